"""What the picture of a window shows."""

from __future__ import annotations

from dataclasses import replace

from policies.windows import Lifetime, Rolling
from proxy.archive.lines import HourLine
from proxy.dashboard.burn_view import burn_of, picture
from proxy.dashboard.wording import DAY_MS, HOUR_MS
from tests.doubles.fake_clock import NOON_MS
from tests.proxy.dashboard.story import USD
from tests.proxy.dashboard.test_budget_rows import BUDGET, STANDING, counted


def hour(ago_ms: int, spent: int, refused: int = 0) -> HourLine:
    return HourLine(hour_ms=NOON_MS - ago_ms, spent=spent * USD, refused=refused)


def test_a_month_is_shown_as_a_whole_with_what_is_ahead() -> None:
    burn = burn_of(counted(), [hour(3 * DAY_MS, 30), hour(DAY_MS, 12, refused=2)], NOON_MS)

    assert burn is not None
    assert (burn.start_ms, burn.end_ms) == (STANDING.start_ms, STANDING.end_ms)
    assert burn.curve[-1] == (NOON_MS, 60 * USD)
    assert burn.refusals == ((NOON_MS - DAY_MS, 2),)
    assert burn.has_pace
    # 42 dollars in the last week: the other 40 last for 20/3 days.
    assert burn.ahead == (NOON_MS + 40 * 7 * DAY_MS // 42, 100 * USD)


def test_what_holds_leads_to_the_end_of_the_window() -> None:
    burn = burn_of(counted(spent=20 * USD), [hour(3 * DAY_MS, 7)], NOON_MS)

    assert burn is not None
    assert burn.ahead == (STANDING.end_ms, 30 * USD)


def test_nothing_lies_ahead_of_what_is_used_up_or_stands_still() -> None:
    for one in (counted(spent=100 * USD), counted(spent=10 * USD)):
        burn = burn_of(one, [hour(15 * DAY_MS, 10)], NOON_MS)

        assert burn is not None
        assert burn.ahead is None


def test_a_lifetime_begins_with_its_first_call_and_has_some_future() -> None:
    one = counted(replace(BUDGET, window=Lifetime()), start_ms=0, end_ms=None)

    burn = burn_of(one, [hour(10 * DAY_MS, 60)], NOON_MS)

    assert burn is not None
    assert burn.start_ms == NOON_MS - 10 * DAY_MS
    assert burn.end_ms == NOON_MS + 5 * DAY_MS
    assert not burn.has_pace


def test_without_spending_there_is_nothing_to_draw() -> None:
    nothing = counted(spent=0, reserved=0)

    assert burn_of(nothing, [], NOON_MS) is None
    assert picture(nothing, None, "", None, [], NOON_MS) is None


def test_a_rolling_window_is_shown_hour_by_hour() -> None:
    one = counted(replace(BUDGET, window=Rolling(5 * HOUR_MS)), start_ms=0, end_ms=None)

    assert burn_of(one, [hour(0, 5)], NOON_MS) is None
    drawn = picture(one, None, "", None, [hour(0, 5), hour(90 * DAY_MS, 7)], NOON_MS)

    assert drawn is not None
    assert "What was booked in each of the last 1 d" in drawn
    assert "2026-11-23T13:00:00Z: $5.00" in drawn
    assert "$7.00" not in drawn


def test_the_picture_says_the_forecast_to_those_who_cannot_see_it() -> None:
    burn = burn_of(counted(), [hour(DAY_MS, 12)], NOON_MS)

    drawn = picture(counted(), burn, "will hold", None, [], NOON_MS)

    assert drawn is not None
    assert "What was spent of b over its window: will hold</title>" in drawn
