"""What is counted, and the page that Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy.telemetry.metrics import CONTENT_TYPE, GONE_AFTER_MS, Metrics
from tests.doubles.fake_clock import FakeClock


@pytest.fixture
def metrics(clock: FakeClock) -> Metrics:
    return Metrics(clock)


def numbers(metrics: Metrics) -> dict[str, float]:
    """Return what the page says, by name and labels, without what is zero."""
    return {
        sample.name + "".join(f" {label}" for label in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
        if sample.value
    }


@pytest.mark.parametrize(
    ("happen", "counted"),
    [
        (lambda m: m.admitted("messages", "a"), {"bursar_calls_admitted_total messages a": 1}),
        (
            lambda m: m.refused("messages", "budget_exceeded"),
            {"bursar_calls_refused_total messages budget_exceeded": 1},
        ),
        (
            lambda m: m.ended("a", "settled", "at_least"),
            {"bursar_calls_ended_total a settled at_least": 1},
        ),
        (
            lambda m: m.admitted_on_allowance(),
            {"bursar_calls_admitted_on_allowance_total": 1},
        ),
        (lambda m: m.expired(), {"bursar_calls_expired_total": 1}),
        (lambda m: m.client_left(), {"bursar_clients_left_total": 1}),
        (lambda m: m.overrun(1_500), {"bursar_overrun_nano_usd_total": 1_500}),
        (lambda m: m.put_off(), {"bursar_settlements_put_off_total": 1}),
        (lambda m: m.replayed(3), {"bursar_settlements_late_total": 3}),
        (lambda m: m.unbooked(4), {"bursar_settlements_waiting": 4}),
        (lambda m: m.ledger_unavailable(), {"bursar_ledger_unavailable_total": 1}),
        (
            lambda m: m.upstream_answered("a", 204),
            {"bursar_upstream_answers_total a 2xx": 1},
        ),
        (
            lambda m: m.upstream_answered("a", 999),
            {"bursar_upstream_answers_total a other": 1},
        ),
        (
            lambda m: m.upstream_refused("a", 402, "quota"),
            {"bursar_upstream_refusals_total a quota 4xx": 1},
        ),
        (
            lambda m: m.upstream_refused("a", 500, None),
            {"bursar_upstream_refusals_total a none 5xx": 1},
        ),
        (
            lambda m: m.authentication_failed("revoked"),
            {"bursar_authentication_failures_total revoked": 1},
        ),
        (lambda m: m.failed(), {"bursar_failures_total": 1}),
        (lambda m: m.drains_running(2), {"bursar_drains_running": 2}),
    ],
)
def test_what_happens_is_counted(
    metrics: Metrics, happen: Callable[[Metrics], None], counted: dict[str, float]
) -> None:
    happen(metrics)

    assert numbers(metrics) == {"bursar_workers": 1, **counted}


def test_times_fall_into_buckets(metrics: Metrics) -> None:
    metrics.took("messages", 42)
    metrics.added("messages", 0.002)

    seen = numbers(metrics)
    assert seen["bursar_call_seconds_sum messages"] == 42
    assert seen["bursar_call_seconds_bucket messages 60.0"] == 1
    assert "bursar_call_seconds_bucket messages 30.0" not in seen
    assert seen["bursar_added_seconds_bucket messages 0.0025"] == 1


def test_the_page_has_a_type() -> None:
    assert CONTENT_TYPE.startswith("text/plain")


# Several workers…


def worker(clock: FakeClock, folder: Path, name: str) -> Metrics:
    return Metrics(clock, folder=folder, worker=name)


def test_the_page_has_the_numbers_of_all_workers(clock: FakeClock, tmp_path: Path) -> None:
    first, second = worker(clock, tmp_path, "0"), worker(clock, tmp_path, "1")
    first.expired()
    second.expired()
    first.drains_running(2)
    second.drains_running(3)
    first.took("messages", 1)
    second.took("messages", 2)
    second.save()

    seen = numbers(first)

    assert seen["bursar_workers"] == 2
    assert seen["bursar_calls_expired_total"] == 2
    assert seen["bursar_drains_running"] == 5
    assert seen["bursar_call_seconds_sum messages"] == 3


def test_what_a_dead_worker_counted_stays_and_what_it_had_open_does_not(
    clock: FakeClock, tmp_path: Path
) -> None:
    dead, alive = worker(clock, tmp_path, "0"), worker(clock, tmp_path, "1")
    dead.expired()
    dead.drains_running(2)
    dead.save()
    clock.advance(GONE_AFTER_MS)

    assert numbers(alive) == {"bursar_workers": 1, "bursar_calls_expired_total": 1}


def test_a_worker_that_comes_back_counts_on(clock: FakeClock, tmp_path: Path) -> None:
    before = worker(clock, tmp_path, "0")
    before.expired()
    before.drains_running(2)
    before.save()

    after = worker(clock, tmp_path, "0")
    after.expired()

    assert numbers(after) == {"bursar_workers": 1, "bursar_calls_expired_total": 2}


def test_rendering_changes_no_number(clock: FakeClock, tmp_path: Path) -> None:
    metrics = worker(clock, tmp_path, "0")
    metrics.expired()
    other = worker(clock, tmp_path, "1")
    other.expired()
    other.save()

    assert numbers(metrics) == numbers(metrics)


def test_numbers_of_another_version_of_the_program_do_no_harm(
    clock: FakeClock, tmp_path: Path
) -> None:
    text = '{"at_ms":%d,"rows":{"bursar_gone":[[["x"],[1]]],"bursar_failures":[[["y"],[7]]]}}'
    (tmp_path / "1.metrics.json").write_text(text % clock.now_ms())

    assert numbers(worker(clock, tmp_path, "0")) == {"bursar_workers": 2}


def test_without_a_folder_saving_does_nothing(metrics: Metrics) -> None:
    metrics.save()
