"""A counter's name tells what it counts over, but not in which time zone."""

from __future__ import annotations

import pytest

from policies.budgets import Budget
from policies.ledger.keys import FIXED, REPORTED, place
from policies.units import USD
from policies.windows import Calendar, FirstUse, Lifetime, Reported, Rolling
from policies.windows import Window as BudgetWindow
from proxy.archive.backtest.records import Check
from proxy.archive.recovery.windows import Window, may_be_open, window_of
from tests.doubles.fake_clock import NOON_MS

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def name_at(window: BudgetWindow, at_ms: int = NOON_MS) -> str:
    return place(Budget(name="b", unit=USD, limit=1, window=window), "", at_ms).counter


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (Lifetime(), Window(kind=FIXED, length_ms=0)),
        (Calendar("month"), Window(kind=FIXED, length_ms=None)),
        (Rolling(HOUR_MS), Window(kind="rolling", length_ms=HOUR_MS, bucket_ms=60_000)),
        (FirstUse(HOUR_MS), Window(kind="first-use", length_ms=HOUR_MS)),
        (Reported(1_000), Window(kind=REPORTED, length_ms=0)),
    ],
)
def test_a_name_tells_what_its_budget_counts_over(window: BudgetWindow, expected: Window) -> None:
    assert window_of(name_at(window), None) == expected


def test_a_decision_that_looked_at_it_tells_when_it_ends() -> None:
    counter = name_at(Calendar("day"))
    amounts = (0, 5, 5, 9, "enforce", 0, 0)
    check = Check("b", "", USD, counter, FIXED, NOON_MS + 5, 0, *amounts)

    assert window_of(counter, check) == Window(kind=FIXED, length_ms=NOON_MS + 5)


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kolkata"])
@pytest.mark.parametrize("period", ["hour", "day", "week", "month"])
def test_a_calendar_window_is_open_until_it_is_over_everywhere(zone: str, period: str) -> None:
    window = Calendar(period, zone)  # type: ignore[arg-type]  # One of its four periods.
    counter = name_at(window)
    end_ms = window.span(NOON_MS).end_ms
    assert end_ms is not None

    assert may_be_open(counter, NOON_MS, NOON_MS)
    assert may_be_open(counter, NOON_MS, end_ms - 1)
    assert not may_be_open(counter, NOON_MS, end_ms + 5 * DAY_MS)


@pytest.mark.parametrize("window", [Rolling(HOUR_MS), FirstUse(HOUR_MS)])
def test_a_window_of_some_length_is_open_that_long_after_it_was_used(window: BudgetWindow) -> None:
    counter = name_at(window)

    assert may_be_open(counter, NOON_MS, NOON_MS + HOUR_MS)
    assert not may_be_open(counter, NOON_MS, NOON_MS + HOUR_MS + 60_001)


def test_a_lifetime_is_open_and_what_is_reported_is_not_ours() -> None:
    assert may_be_open(name_at(Lifetime()), 0, NOON_MS)
    assert not may_be_open(name_at(Reported(1_000)), NOON_MS, NOON_MS)


@pytest.mark.parametrize(
    "window_id", ["2026-W99", "2026-13", "nonsense", "rolling-x", "2026-11-32"]
)
def test_a_window_of_no_known_form_may_be_open(window_id: str) -> None:
    assert may_be_open(f"b:USD::{window_id}", NOON_MS, NOON_MS + 400 * DAY_MS)
