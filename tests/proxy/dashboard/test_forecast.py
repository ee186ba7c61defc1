"""Whether a budget will hold, and how that is said."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dashboard.forecast import (
    Flows,
    Forecast,
    Holds,
    Lasts,
    Pace,
    RunsOut,
    TooEarly,
    Unused,
    UsedUp,
    flow,
    forecast,
    pace_of,
    sentence,
)
from proxy.dashboard.wording import DAY_MS, HOUR_MS, SPACE, zone_of
from tests.doubles.fake_clock import NOON_MS

START_MS = NOON_MS - 20 * DAY_MS
END_MS = NOON_MS + 10 * DAY_MS


@dataclass(frozen=True)
class Hour:
    hour_ms: int
    spent: int


def told(used: int, pace: Pace, *, end_ms: int | None = END_MS, length_ms: int = 0) -> Forecast:
    return forecast(
        limit=100, used=used, end_ms=end_ms, now_ms=NOON_MS, pace=pace, length_ms=length_ms
    )


def test_at_an_even_pace_it_holds_and_says_how_much_is_used_at_the_end() -> None:
    assert told(40, Pace(spent=40, since_ms=START_MS)) == Holds(60)


def test_at_a_faster_pace_it_runs_out_when_the_rest_is_spent() -> None:
    assert told(80, Pace(spent=80, since_ms=START_MS)) == RunsOut(NOON_MS + 5 * DAY_MS)


def test_what_is_used_up_stays_so_until_the_window_ends() -> None:
    pace = Pace(spent=100, since_ms=START_MS)

    assert told(100, pace) == UsedUp(END_MS)
    assert told(120, pace, end_ms=None) == UsedUp(None)


def test_without_spending_of_late_it_holds_as_it_is() -> None:
    assert told(40, Pace(spent=0, since_ms=START_MS)) == Holds(40)
    assert told(40, Pace(spent=0, since_ms=START_MS), end_ms=None) == Lasts()


def test_a_window_without_end_runs_out_or_lasts_for_years() -> None:
    slow = Pace(spent=1, since_ms=NOON_MS - 400 * DAY_MS)

    assert told(50, Pace(spent=50, since_ms=START_MS), end_ms=None) == RunsOut(
        NOON_MS + 20 * DAY_MS
    )
    assert told(1, slow, end_ms=None) == Lasts()


def test_too_little_is_known_at_first() -> None:
    fresh = Pace(spent=9, since_ms=NOON_MS - HOUR_MS)

    assert told(9, fresh, length_ms=30 * DAY_MS) == TooEarly()
    assert told(9, fresh, length_ms=DAY_MS) != TooEarly()
    assert told(0, fresh) == Unused()


def test_the_pace_is_that_of_the_last_week() -> None:
    hours = [Hour(NOON_MS - 15 * DAY_MS, 500), Hour(NOON_MS - 2 * DAY_MS, 30), Hour(NOON_MS, 5)]

    assert pace_of(535, hours, START_MS, NOON_MS) == Pace(spent=35, since_ms=NOON_MS - 7 * DAY_MS)


def test_the_pace_of_a_younger_window_is_that_of_all_of_it() -> None:
    since_ms = NOON_MS - 3 * DAY_MS

    assert pace_of(40, [Hour(NOON_MS, 5)], since_ms, NOON_MS) == Pace(spent=40, since_ms=since_ms)


def test_a_lifetime_begins_with_its_first_spending() -> None:
    hours = [Hour(NOON_MS - 2 * DAY_MS, 5)]

    assert pace_of(5, hours, 0, NOON_MS) == Pace(spent=5, since_ms=NOON_MS - 2 * DAY_MS)
    assert pace_of(0, [], 0, NOON_MS) == Pace(spent=0, since_ms=NOON_MS)


def test_a_rolling_window_is_as_full_as_it_is() -> None:
    assert flow(limit=200, used=78) == Flows(39)
    assert flow(limit=200, used=200) == UsedUp(None)
    assert flow(limit=200, used=0) == Unused()


@given(st.integers(1, 10**15), st.integers(0, 10**15), st.integers(0, 10**15), st.integers(1, 400))
def test_what_runs_out_does_so_in_time_and_what_holds_stays_below_its_limit(
    limit: int, used: int, spent: int, days: int
) -> None:
    pace = Pace(spent=spent, since_ms=NOON_MS - days * DAY_MS)

    match forecast(limit=limit, used=used, end_ms=END_MS, now_ms=NOON_MS, pace=pace):
        case RunsOut(at_ms=at_ms):
            assert NOON_MS <= at_ms < END_MS
        case Holds(percent=percent):
            assert percent <= 100
        case UsedUp():
            assert used >= limit
        case other:
            assert other == Unused()


@pytest.mark.parametrize(
    ("outcome", "refuses", "text", "tone"),
    [
        (UsedUp(END_MS), True, "used up: calls are refused until Thu 3 Dec", "bad"),
        (UsedUp(None), True, "used up: calls are refused until it is raised", "bad"),
        (UsedUp(None), False, "above its limit; it only tells, and refuses nothing", "warn"),
        (RunsOut(NOON_MS + 4 * DAY_MS), True, "runs out on Fri 27 Nov at this pace", "warn"),
        (RunsOut(NOON_MS + HOUR_MS), False, "passes its limit today at 15:00 at this pace", "warn"),
        (Holds(62), True, f"will hold: 62{SPACE}% at the end", "good"),
        (Lasts(), True, "will hold: years at this pace", "good"),
        (Unused(), True, "nothing spent yet", "quiet"),
        (TooEarly(), True, "too early to say", "quiet"),
    ],
)
def test_a_forecast_is_a_sentence(outcome: Forecast, refuses: bool, text: str, tone: str) -> None:
    said = sentence(outcome, now_ms=NOON_MS, zone=zone_of("Europe/Berlin"), refuses=refuses)

    assert (said.text, said.tone) == (text, tone)


def test_a_rolling_window_is_told_as_one() -> None:
    def text(outcome: Forecast, *, refuses: bool = True) -> str:
        return sentence(outcome, now_ms=NOON_MS, zone=None, refuses=refuses, window="5 h").text

    assert text(Flows(39)) == f"39{SPACE}% came in the last 5 h"
    assert text(UsedUp(None)) == "full: calls wait until older ones leave the window"
    assert text(UsedUp(None), refuses=False) == "full: nothing waits"
