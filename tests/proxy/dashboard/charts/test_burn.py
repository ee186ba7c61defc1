"""The picture of a window: spent, limit, even pace, and what is ahead."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from proxy.dashboard.charts.burn import Burn, burn_chart, curve_of, limit_is_near
from proxy.dashboard.wording import DAY_MS, HOUR_MS
from tests.doubles.fake_clock import NOON_MS

USD = 10**9
START_MS = NOON_MS - 10 * DAY_MS
BURN = Burn(
    unit="USD",
    limit=100 * USD,
    start_ms=START_MS,
    end_ms=NOON_MS + 20 * DAY_MS,
    now_ms=NOON_MS,
    curve=((START_MS, 0), (NOON_MS, 40 * USD)),
    ahead=(NOON_MS + 15 * DAY_MS, 100 * USD),
    refusals=((NOON_MS - HOUR_MS, 3),),
    has_pace=True,
)


def test_a_window_shows_all_of_its_lines() -> None:
    drawn = burn_chart(BURN, "What <b> spent", None)

    for kind in ("curve", "area", "limit", "even", "ahead", "now", "refused"):
        assert f'class="{kind}"' in drawn
    assert "<title>What &lt;b&gt; spent</title>" in drawn
    assert "<title>3 refused</title>" in drawn
    assert "style=" not in drawn


def test_without_a_pace_nothing_is_drawn_ahead() -> None:
    drawn = burn_chart(replace(BURN, ahead=None, has_pace=False, refusals=()), "", None)

    for kind in ("even", "ahead", "refused"):
        assert f'class="{kind}"' not in drawn


def test_a_limit_that_is_far_away_does_not_press_the_curve_flat() -> None:
    lifetime = replace(BURN, limit=10_000 * USD, has_pace=False, ahead=None)

    assert limit_is_near(BURN)
    assert not limit_is_near(lifetime)
    assert 'class="limit"' not in burn_chart(lifetime, "", None)


@given(st.integers(1, 2**52), st.lists(st.integers(0, 2**45), max_size=20), st.booleans())
def test_nothing_is_drawn_beyond_the_picture(limit: int, spent: list[int], paced: bool) -> None:
    hours = [(START_MS + index * HOUR_MS, amount) for index, amount in enumerate(spent)]
    curve = curve_of(hours, start_ms=START_MS, now_ms=NOON_MS, spent=sum(spent), hour_ms=HOUR_MS)
    burn = replace(BURN, limit=limit, curve=curve, has_pace=paced, ahead=None, refusals=())

    drawn = burn_chart(burn, "", None)

    for path in re.findall(r' d="M([^"]*?)Z?"', drawn):
        for pair in path.split("L"):
            x, y = map(float, pair.split(","))
            assert 0 <= x <= 760
            assert 0 <= y <= 260


def test_the_curve_ends_at_what_the_ledger_says() -> None:
    hours = [(START_MS, 5), (START_MS + 3 * HOUR_MS, 7)]

    curve = curve_of(hours, start_ms=START_MS, now_ms=NOON_MS, spent=20, hour_ms=HOUR_MS)

    assert curve == (
        (START_MS, 0),
        (START_MS + HOUR_MS, 5),
        (START_MS + 3 * HOUR_MS, 5),
        (START_MS + 4 * HOUR_MS, 12),
        (NOON_MS, 20),
    )
