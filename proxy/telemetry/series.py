"""Counters, gauges and histograms as plain numbers in memory, cheap enough for every call.

prometheus-client's own need a lock for each number, and in its mode for several processes a write
to a mapped file: several microseconds per call. Here a number is an entry of a dictionary, and
prometheus-client does what it is good at: the page.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence, Sized
from typing import Final

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

#: Of one metric. Labels come from code and configuration; this is for what nobody thought of.
SERIES_MAX: Final = 256
OTHER: Final = "other"

Labels = tuple[str, ...]
#: As it is written down: for each combination of labels its numbers.
Rows = list[tuple[Labels, list[float]]]


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All numbers of one worker at one time, by the metrics' names."""

    at_ms: int
    rows: dict[str, Rows]


def _bounded(series: Sized, labels: Labels) -> Labels:
    """Return the labels that a new series may have."""
    return labels if len(series) < SERIES_MAX else (OTHER,) * len(labels)


class Counter:
    """A number that goes up, for each combination of labels."""

    #: Numbers of different workers belong together, whether those still run or not.
    outlives_worker: Final = True

    def __init__(self, name: str, about: str, labels: Sequence[str] = ()) -> None:
        self.name = name
        self._about = about
        self._labels = tuple(labels)
        self._series: dict[Labels, float] = {} if labels else {(): 0}

    def add(self, *labels: str) -> None:
        """Count one."""
        try:
            self._series[labels] += 1
        except KeyError:
            self.add_amount(1, *labels)

    def add_amount(self, amount: float, *labels: str) -> None:
        """Count so many."""
        series = self._series
        if labels not in series:
            labels = _bounded(series, labels)
        series[labels] = series.get(labels, 0) + amount

    def rows(self) -> Rows:
        """Return all numbers."""
        return [(labels, [number]) for labels, number in self._series.items()]

    def take(self, rows: Rows) -> None:
        """Add the numbers of another worker, or of an earlier run."""
        for labels, numbers in rows:
            if len(labels) == len(self._labels) and len(numbers) == 1:
                self.add_amount(numbers[0], *labels)

    def empty(self) -> Counter:
        """Return one of the same name that has counted nothing."""
        return Counter(self.name, self._about, self._labels)

    def families(self) -> Iterator[Metric]:
        """Yield what Prometheus reads."""
        family = CounterMetricFamily(self.name, self._about, labels=self._labels)
        for labels, number in self._series.items():
            family.add_metric(labels, number)
        yield family


class Gauge:
    """A number that goes up and down; that of all workers is their sum."""

    #: What a worker that is gone had open is open no more.
    outlives_worker: Final = False

    def __init__(self, name: str, about: str) -> None:
        self.name = name
        self._about = about
        self._value: float = 0

    def set(self, value: float) -> None:
        """Take a new value."""
        self._value = value

    def rows(self) -> Rows:
        """Return the number."""
        return [((), [self._value])]

    def take(self, rows: Rows) -> None:
        """Add the number of another worker."""
        for _, numbers in rows:
            self._value += sum(numbers)

    def empty(self) -> Gauge:
        """Return one of the same name at zero."""
        return Gauge(self.name, self._about)

    def families(self) -> Iterator[Metric]:
        """Yield what Prometheus reads."""
        yield GaugeMetricFamily(self.name, self._about, value=self._value)


class Histogram:
    """How often values fell between bounds, and their sum, for each combination of labels."""

    outlives_worker: Final = True

    def __init__(
        self, name: str, about: str, bounds: Sequence[float], labels: Sequence[str] = ()
    ) -> None:
        self.name = name
        self._about = about
        self._bounds = tuple(float(bound) for bound in bounds)
        self._labels = tuple(labels)
        #: For each bound and for what is above the last one a count, then the sum.
        self._width = len(self._bounds) + 2
        self._series: dict[Labels, list[float]] = {}

    def observe(self, value: float, *labels: str) -> None:
        """Take note of a value."""
        numbers = self._series.get(labels)
        if numbers is None:
            labels = _bounded(self._series, labels)
            numbers = self._series.setdefault(labels, [0] * self._width)
        numbers[bisect_left(self._bounds, value)] += 1
        numbers[-1] += value

    def rows(self) -> Rows:
        """Return all numbers."""
        return [(labels, list(numbers)) for labels, numbers in self._series.items()]

    def take(self, rows: Rows) -> None:
        """Add the numbers of another worker, or of an earlier run with the same bounds."""
        for labels, numbers in rows:
            if len(labels) == len(self._labels) and len(numbers) == self._width:
                own = self._series.setdefault(_bounded(self._series, labels), [0] * self._width)
                own[:] = [mine + theirs for mine, theirs in zip(own, numbers, strict=True)]

    def empty(self) -> Histogram:
        """Return one of the same name that has seen nothing."""
        return Histogram(self.name, self._about, self._bounds, self._labels)

    def families(self) -> Iterator[Metric]:
        """Yield what Prometheus reads: each bucket holds those below it too."""
        family = HistogramMetricFamily(self.name, self._about, labels=self._labels)
        for labels, numbers in self._series.items():
            buckets: list[tuple[str, float]] = []
            total = 0.0
            for bound, count in zip((*self._bounds, "+Inf"), numbers, strict=False):
                total += count
                buckets.append((str(bound), total))
            family.add_metric(labels, buckets, sum_value=numbers[-1])
        yield family


class Latest:
    """A number that all workers see alike, for each combination of labels: the newest sight counts."""

    outlives_worker: Final = True

    def __init__(self, name: str, about: str, labels: Sequence[str] = ()) -> None:
        self.name = name
        self._about = about
        self._labels = tuple(labels)
        #: The number, and when it was seen, in ms.
        self._series: dict[Labels, list[float]] = {}

    def see(self, value: float, at_ms: int, *labels: str) -> None:
        """Take note of a value."""
        labels = labels if labels in self._series else _bounded(self._series, labels)
        known = self._series.get(labels)
        if known is None or at_ms >= known[1]:
            self._series[labels] = [value, at_ms]

    def forget_before(self, at_ms: int) -> None:
        """Forget what was not seen since."""
        self._series = {labels: seen for labels, seen in self._series.items() if seen[1] >= at_ms}

    def rows(self) -> Rows:
        """Return all numbers."""
        return [(labels, list(numbers)) for labels, numbers in self._series.items()]

    def take(self, rows: Rows) -> None:
        """Take over what another worker saw later."""
        for labels, numbers in rows:
            if len(labels) == len(self._labels) and len(numbers) == len(("value", "at")):
                self.see(numbers[0], int(numbers[1]), *labels)

    def empty(self) -> Latest:
        """Return one of the same name that has seen nothing."""
        return Latest(self.name, self._about, self._labels)

    def families(self) -> Iterator[Metric]:
        """Yield what Prometheus reads."""
        family = GaugeMetricFamily(self.name, self._about, labels=self._labels)
        for labels, (value, _) in self._series.items():
            family.add_metric(labels, value)
        yield family


Series = Counter | Gauge | Histogram | Latest
