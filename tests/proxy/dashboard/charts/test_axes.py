"""Round marks for amounts, and times where people expect them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.dashboard.charts.axes import WIDE, amount_axis, amount_marks, time_marks
from proxy.dashboard.wording import DAY_MS, HOUR_MS, zone_of
from tests.doubles.fake_clock import NOON_MS

MIDNIGHT_MS = NOON_MS - 13 * HOUR_MS


def test_marks_are_round() -> None:
    assert amount_marks(1_512, 4) == [0, 500, 1_000, 1_500]
    assert amount_marks(7, 4) == [0, 2, 4, 6]
    assert amount_marks(0, 4) == [0, 1]


@given(st.integers(0, 2**60), st.integers(1, 12))
def test_there_are_some_marks_and_never_too_many(top: int, count_max: int) -> None:
    marks = amount_marks(top, count_max)

    assert marks[0] == 0
    assert marks[-1] <= max(1, top)
    assert len(marks) <= count_max + 1


def test_a_day_is_marked_by_hours_and_a_month_by_days() -> None:
    day = time_marks(MIDNIGHT_MS, MIDNIGHT_MS + DAY_MS, 9, None)
    month = time_marks(MIDNIGHT_MS, MIDNIGHT_MS + 30 * DAY_MS, 9, None)

    assert [text for _, text in day][:3] == ["00:00", "03:00", "06:00"]
    assert [text for _, text in month][:3] == ["23 Nov", "30 Nov", "7 Dec"]


def test_days_begin_at_midnight_of_their_zone_whatever_the_clock_does() -> None:
    berlin = zone_of("Europe/Berlin")
    # 2026-10-20T22:00Z is midnight there; the clock goes back on the 25th.
    start_ms = 1_792_533_600_000

    marks = time_marks(start_ms, start_ms + 8 * DAY_MS + HOUR_MS, 9, berlin)

    assert [text for _, text in marks][-3:] == ["26 Oct", "27 Oct", "28 Oct"]
    assert marks[-1][0] == start_ms + 7 * DAY_MS + HOUR_MS


def test_a_unit_that_no_sign_tells_is_named() -> None:
    tokens = "".join(amount_axis(WIDE, [0, 10], 12, "tokens"))
    dollars = "".join(amount_axis(WIDE, [0, 10**9], 10**9, "USD"))

    assert ">tokens</text>" in tokens
    assert ">$1</text>" in dollars
    assert "USD" not in dollars
