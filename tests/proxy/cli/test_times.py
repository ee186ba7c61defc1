"""Times and spans for people."""

from __future__ import annotations

import pytest

from proxy.cli.times import clock_time, span, until

DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("length_ms", "said"),
    [
        (0, "0s"),
        (999, "0s"),
        (61_000, "1m 1s"),
        (3_600_000, "1h"),
        (3_601_000, "1h"),
        (5 * 3_600_000 + 60_000, "5h 1m"),
        (3 * DAY_MS + 4 * 3_600_000 + 59_000, "3d 4h"),
    ],
)
def test_a_span_has_its_two_largest_units(length_ms: int, said: str) -> None:
    assert span(length_ms) == said


def test_a_window_ends_in_some_time_or_never() -> None:
    assert until(DAY_MS, 0) == "in 1d"
    assert until(0, DAY_MS) == "in 0s"
    assert until(None, 0) == "never"


def test_a_time_is_to_the_second() -> None:
    assert clock_time(1_700_000_000_123) == "2023-11-14 22:13:20"
