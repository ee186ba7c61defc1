"""What is counted about receipts and wallets is on the page that Prometheus reads, and outlives its worker."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy.telemetry.billing import Billing
from proxy.telemetry.metrics import Metrics
from proxy.telemetry.series import Counter, Latest, Series
from tests.doubles.fake_clock import FakeClock


def series() -> dict[str, Series]:
    """Return all of them, by their names in the code."""
    return dict(vars(Billing()))


def labels_of(one: Series) -> tuple[str, ...]:
    return one._labels if isinstance(one, Counter | Latest) else ()


def touch(one: Series, at_ms: int = 1) -> None:
    """Let a series have a number, under labels that are called what they are labels of."""
    if isinstance(one, Counter):
        one.add_amount(3, *labels_of(one))
    elif isinstance(one, Latest):
        one.see(3, at_ms, *labels_of(one))


def numbers(metrics: Metrics) -> dict[str, float]:
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
        if set(sample.labels) == set(sample.labels.values())
    }


def test_names_are_told_apart_and_say_their_unit() -> None:
    names = [one.name for one in series().values()]

    assert len(set(names)) == len(names)
    assert all(name.startswith("bursar_") for name in names)
    money = {"raised", "lowered", "ghosts"}
    assert {name for name, one in series().items() if one.name.endswith("_nano_usd")} == money


def test_every_number_tells_the_provider_but_that_of_our_own_faults() -> None:
    told = {name: labels_of(one)[:1] for name, one in series().items()}

    assert told.pop("failed") == ()
    assert set(told.values()) == {("provider",)}


@pytest.mark.parametrize("name", sorted(series()))
def test_every_number_is_on_the_page(name: str, clock: FakeClock) -> None:
    metrics = Metrics(clock)
    one: Series = vars(metrics.billing)[name]

    touch(one, clock.now_ms())

    shown = one.name + ("_total" if isinstance(one, Counter) else "")
    assert numbers(metrics)[shown] == 3


def test_workers_add_up_what_they_counted_and_agree_on_what_they_saw(
    tmp_path: Path, clock: FakeClock
) -> None:
    workers = [Metrics(clock, folder=tmp_path, worker=str(number)) for number in range(3)]
    for number, worker in enumerate(workers):
        worker.billing.look_ups.add("provider", "result")
        worker.billing.waiting.see(10 + number, clock.now_ms() - number, "provider")
        worker.save()

    found = numbers(workers[2])

    assert found["bursar_receipt_look_ups_total"] == 3
    assert found["bursar_receipts_waiting"] == 10
    # Another one with the name of one that is gone goes on where that was.
    again = Metrics(clock, folder=tmp_path, worker="0")
    assert numbers(again) == found
