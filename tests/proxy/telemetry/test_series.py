"""Numbers in memory, and what becomes of them on the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from proxy.telemetry.series import OTHER, SERIES_MAX, Counter, Gauge, Histogram, Latest, Series


class Page(Collector):
    def __init__(self, *series: Series) -> None:
        self._series = series

    def collect(self) -> Iterator[Metric]:
        for one in self._series:
            yield from one.families()


def page(*series: Series) -> list[str]:
    registry = CollectorRegistry()
    registry.register(Page(*series))
    lines = generate_latest(registry).decode().splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_a_counter_counts_each_combination_of_labels() -> None:
    counter = Counter("calls", "Calls.", ("dialect", "provider"))

    counter.add("messages", "a")
    counter.add("messages", "a")
    counter.add_amount(5, "messages", "b")

    assert page(counter) == [
        'calls_total{dialect="messages",provider="a"} 2.0',
        'calls_total{dialect="messages",provider="b"} 5.0',
    ]


def test_a_counter_without_labels_is_there_from_the_beginning() -> None:
    assert page(Counter("calls", "Calls.")) == ["calls_total 0.0"]


def test_labels_that_nobody_thought_of_end_up_as_other() -> None:
    counter = Counter("calls", "Calls.", ("model",))
    histogram = Histogram("seconds", "Seconds.", (1,), ("model",))

    for number in range(SERIES_MAX + 10):
        counter.add(f"made-up-{number}")
        histogram.observe(1, f"made-up-{number}")

    assert ((OTHER,), [10]) in counter.rows()
    assert len(counter.rows()) == len(histogram.rows()) == SERIES_MAX + 1
    assert f'calls_total{{model="{OTHER}"}} 10.0' in page(counter)


def test_a_gauge_has_its_last_value() -> None:
    gauge = Gauge("open", "Open.")

    gauge.set(3)
    gauge.set(2)

    assert page(gauge) == ["open 2.0"]


def test_the_newest_sight_counts_whoever_had_it() -> None:
    one, other = Latest("left", "Left.", ("quota",)), Latest("left", "Left.", ("quota",))
    one.see(5, 1_795_438_800_000, "daily")
    other.see(3, 1_795_438_800_001, "daily")
    other.see(9, 1_795_438_800_000, "monthly")

    for first, second in ((one, other), (other, one)):
        total = first.empty()
        total.take(first.rows())
        total.take(second.rows())

        assert sorted(page(total)) == ['left{quota="daily"} 3.0', 'left{quota="monthly"} 9.0']


def test_an_older_sight_changes_nothing_and_one_of_the_same_moment_does() -> None:
    latest = Latest("left", "Left.", ("quota",))

    latest.see(5, 10, "daily")
    latest.see(4, 9, "daily")
    assert latest.rows() == [(("daily",), [5, 10])]
    latest.see(3, 10, "daily")
    assert latest.rows() == [(("daily",), [3, 10])]


def test_taking_the_same_sights_twice_changes_nothing() -> None:
    latest = Latest("left", "Left.")
    latest.see(5, 10)
    total = latest.empty()

    total.take(latest.rows())
    total.take(latest.rows())

    assert total.rows() == latest.rows() == [((), [5, 10])]


def test_what_nobody_has_seen_is_not_on_the_page() -> None:
    assert page(Latest("left", "Left.", ("quota",)), Latest("other", "Other.")) == []


def test_sights_of_labels_that_nobody_thought_of_end_up_as_other() -> None:
    latest = Latest("left", "Left.", ("quota",))

    for number in range(SERIES_MAX + 10):
        latest.see(number, number, f"made-up-{number}")
    latest.see(7, 1_000, "made-up-0")

    rows = dict(latest.rows())
    assert len(rows) == SERIES_MAX + 1
    assert rows[(OTHER,)] == [SERIES_MAX + 9, SERIES_MAX + 9]
    assert rows["made-up-0",] == [7, 1_000]


@given(st.permutations([(number, at_ms) for at_ms, number in enumerate((5, 3, 9, 1))]))
def test_in_whatever_order_sights_come_the_newest_is_left(
    sights: list[tuple[int, int]],
) -> None:
    latest = Latest("left", "Left.")

    for number, at_ms in sights:
        latest.see(number, at_ms)

    assert latest.rows() == [((), [1, 3])]


def test_a_bucket_holds_those_below_it_too() -> None:
    histogram = Histogram("seconds", "Seconds.", (1, 2.5), ("dialect",))

    for value in (0.5, 1, 2, 9):
        histogram.observe(value, "messages")

    assert page(histogram) == [
        'seconds_bucket{dialect="messages",le="1.0"} 2.0',
        'seconds_bucket{dialect="messages",le="2.5"} 3.0',
        'seconds_bucket{dialect="messages",le="+Inf"} 4.0',
        'seconds_count{dialect="messages"} 4.0',
        'seconds_sum{dialect="messages"} 12.5',
    ]


def test_taking_adds_up() -> None:
    counter, gauge = Counter("a", "A.", ("x",)), Gauge("b", "B.")
    histogram = Histogram("c", "C.", (1,), ("x",))
    counter.add("1")
    gauge.set(2)
    histogram.observe(0.5, "1")
    sums: list[Series] = [counter.empty(), gauge.empty(), histogram.empty()]

    counted: list[Series] = [counter, gauge, histogram]
    for total, one in zip(sums, counted, strict=True):
        total.take(one.rows())
        total.take(one.rows())

    assert sums[0].rows() == [(("1",), [2])]
    assert sums[1].rows() == [((), [4])]
    assert sums[2].rows() == [(("1",), [2, 0, 1.0])]


@pytest.mark.parametrize(
    "rows", [[(("1", "2"), [1.0])], [(("1",), [1.0, 2.0, 3.0, 4.0, 5.0])], [((), [1.0])]]
)
def test_numbers_of_another_shape_are_left_out(
    rows: list[tuple[tuple[str, ...], list[float]]],
) -> None:
    counter, histogram = Counter("a", "A.", ("x",)), Histogram("c", "C.", (1,), ("x",))
    latest = Latest("d", "D.", ("x",))

    counter.take(rows)
    histogram.take(rows)
    latest.take(rows)

    assert counter.rows() == histogram.rows() == latest.rows() == []


@given(st.lists(st.floats(min_value=0, max_value=100)))
def test_every_value_is_counted_once(values: list[float]) -> None:
    histogram = Histogram("seconds", "Seconds.", (0.1, 1, 10))

    for value in values:
        histogram.observe(value)

    counted = sum(sum(numbers[:-1]) for _, numbers in histogram.rows())
    assert counted == len(values)
