"""How a budget stands, from the numbers of its counter."""

from __future__ import annotations

import pytest

from policies.budgets import Budget
from policies.ledger.interface import Ask
from policies.ledger.keys import place
from policies.ledger.standings import standing_of
from policies.units import USD
from policies.windows import Calendar, FirstUse, Lifetime, Rolling, Window
from tests.doubles.fake_clock import NOON_MS

DAY_MS = 86_400_000
MIDNIGHT = NOON_MS - NOON_MS % DAY_MS


@pytest.mark.parametrize(
    ("window", "slot", "start_ms", "end_ms"),
    [
        (Calendar("day"), 0, MIDNIGHT, MIDNIGHT + DAY_MS),
        (Lifetime(), 0, 0, None),
        (Rolling(3_600_000), 99, 0, None),
        (FirstUse(3_600_000), 1_000, 1_000, 3_601_000),
        (FirstUse(3_600_000), 0, 0, None),
    ],
    ids=["calendar", "lifetime", "rolling", "first use", "not used yet"],
)
def test_a_standing_says_when_its_window_began_and_ends(
    window: Window, slot: int, start_ms: int, end_ms: int | None
) -> None:
    budget = Budget(name="b", unit=USD, limit=10, window=window, mode="warn")
    at = place(budget, "alice", NOON_MS)
    ask = Ask(budget=budget, subject="alice", held=0, bound=0)

    found = standing_of(ask, at, spent=3, reserved=4, overrun=1, slot=slot)

    assert (found.start_ms, found.end_ms) == (start_ms, end_ms)
    assert (found.budget, found.subject, found.unit, found.mode) == ("b", "alice", USD, "warn")
    assert (found.limit, found.spent, found.reserved, found.overrun) == (10, 3, 4, 1)
    assert (found.remaining, found.window) == (3, at.window_id)


def test_what_is_left_is_never_below_zero() -> None:
    budget = Budget(name="b", unit=USD, limit=10, window=Lifetime())
    at = place(budget, "", NOON_MS)
    ask = Ask(budget=budget, subject="", held=0, bound=0)

    assert standing_of(ask, at, spent=9, reserved=4, overrun=0, slot=0).remaining == 0
