"""What is counted about the archive is on the page that Prometheus reads."""

from __future__ import annotations

import pytest

from proxy.telemetry.archive import ArchiveSeries
from proxy.telemetry.metrics import Metrics
from proxy.telemetry.series import Counter, Histogram, Latest, Series
from tests.doubles.fake_clock import FakeClock


@pytest.mark.parametrize("name", sorted(vars(ArchiveSeries())))
def test_every_number_is_on_the_page(name: str, clock: FakeClock) -> None:
    metrics = Metrics(clock)
    one: Series = vars(metrics.archive)[name]

    if isinstance(one, Counter):
        one.add_amount(3, *one._labels)
    elif isinstance(one, Histogram):
        one.observe(3)
    elif isinstance(one, Latest):
        one.see(3, clock.now_ms())

    assert one.name in metrics.render().decode()
    assert one.name.startswith(("bursar_archive_", "bursar_journal_"))


def test_names_are_told_apart() -> None:
    names = [one.name for one in vars(ArchiveSeries()).values()]

    assert len(set(names)) == len(names)
