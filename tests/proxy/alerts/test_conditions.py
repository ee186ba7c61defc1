"""When there is something to tell, and in which words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.budgets import Budget
from policies.decisions import Standing
from policies.windows import Calendar, Lifetime, Rolling
from proxy.alerts.alert import Alert, Topic
from proxy.alerts.conditions import (
    ModelDrift,
    Overdue,
    QuotaLevel,
    archive_alerts,
    budget_alerts,
    receipt_alerts,
    wallet_alerts,
)

USD = 1_000_000_000
NOW_MS = 1_795_000_000_000
DAY_MS = 86_400_000
BUDGET = Budget(
    name="research", unit="USD", limit=100 * USD, window=Calendar("day"), warn_at_percent=(50, 80)
)
STANDING = Standing(
    budget="research",
    subject="",
    unit="USD",
    mode="enforce",
    limit=100 * USD,
    spent=0,
    reserved=0,
    overrun=0,
    start_ms=NOW_MS - DAY_MS // 2,
    end_ms=NOW_MS + DAY_MS // 2,
    window="day",
)


def alerts_of(standing: Standing, budget: Budget = BUDGET, refused: int = 0) -> list[Alert]:
    counts = {(standing.budget, standing.subject): refused}
    return budget_alerts([standing], {budget.name: budget}, counts, NOW_MS)


@pytest.mark.parametrize(
    ("spent", "percents"),
    [
        (0, []),
        (50 * USD - 1, []),
        (50 * USD, [50]),
        (80 * USD - 1, [50]),
        (80 * USD, [80]),
        (99 * USD, [80]),
    ],
)
def test_the_highest_threshold_that_was_passed_is_told(spent: int, percents: list[int]) -> None:
    found = alerts_of(replace(STANDING, spent=spent))

    assert [alert.facts["percent"] for alert in found] == percents


def test_what_is_only_reserved_passes_no_threshold() -> None:
    assert alerts_of(replace(STANDING, reserved=90 * USD)) == []


def test_each_threshold_of_each_window_has_a_mark_of_its_own() -> None:
    half = alerts_of(replace(STANDING, spent=50 * USD))
    most = alerts_of(replace(STANDING, spent=80 * USD))
    tomorrow = alerts_of(replace(STANDING, spent=50 * USD, start_ms=STANDING.start_ms + DAY_MS))
    other = alerts_of(replace(STANDING, spent=50 * USD, subject="alice"))

    assert len({each[0].mark for each in (half, most, tomorrow, other)}) == 4
    assert half[0].until_ms == STANDING.end_ms


def test_a_rolling_window_is_told_of_once_in_its_length() -> None:
    budget = replace(BUDGET, window=Rolling(3_600_000))
    standing = replace(STANDING, spent=50 * USD, end_ms=None)
    now, later = (alerts_of(replace(standing, start_ms=at), budget) for at in (1_000, 2_000))

    assert now[0].mark == later[0].mark
    assert now[0].until_ms == NOW_MS + 3_600_000


def test_a_window_without_an_end_is_told_of_once_for_ever() -> None:
    budget = replace(BUDGET, window=Lifetime())
    found = alerts_of(replace(STANDING, spent=50 * USD, start_ms=0, end_ms=None), budget)

    assert (found[0].until_ms or 0) > NOW_MS + 5 * 365 * DAY_MS


@pytest.mark.parametrize(
    ("spent", "refused", "mode", "words"),
    [
        (100 * USD, 0, "enforce", "is used up:"),
        (99 * USD, 3, "enforce", "has no room and refuses calls"),
        (120 * USD, 0, "shadow", "only watches"),
    ],
)
def test_a_budget_that_is_exhausted_says_so(
    spent: int, refused: int, mode: str, words: str
) -> None:
    budget = replace(BUDGET, warn_at_percent=())
    found = alerts_of(replace(STANDING, spent=spent, mode=mode), budget, refused)

    assert [alert.topic for alert in found] == [Topic.BUDGET_EXHAUSTED]
    assert words in found[0].text
    assert "resets at" in found[0].text


def test_a_call_that_was_too_large_does_not_make_a_budget_exhausted() -> None:
    budget = replace(BUDGET, warn_at_percent=())

    assert alerts_of(replace(STANDING, spent=90 * USD - 1), budget, refused=5) == []
    assert len(alerts_of(replace(STANDING, spent=90 * USD), budget, refused=5)) == 1


def test_a_budget_that_no_policy_names_any_more_is_not_told_of() -> None:
    assert budget_alerts([replace(STANDING, spent=200 * USD)], {}, {}, NOW_MS) == []


def test_a_limit_of_nothing_is_exhausted_and_has_no_thresholds() -> None:
    found = alerts_of(replace(STANDING, limit=0))

    assert [alert.topic for alert in found] == [Topic.BUDGET_EXHAUSTED]


LEVEL = QuotaLevel(
    provider="sim", quota="5_hour", unit="flows", limit=800 * USD, remaining=80 * USD, closed=None
)


@given(limit=st.integers(1, 2**53), remaining=st.integers(0, 2**53), percent=st.integers(0, 100))
def test_a_quota_is_low_at_its_share_and_below(limit: int, remaining: int, percent: int) -> None:
    found = wallet_alerts([replace(LEVEL, limit=limit, remaining=remaining)], percent)

    assert bool(found) == (remaining * 100 <= limit * percent)


def test_what_a_provider_does_not_say_is_not_low() -> None:
    unknown = [replace(LEVEL, limit=None), replace(LEVEL, remaining=None)]

    assert wallet_alerts(unknown, 100) == []


def test_a_closed_quota_is_told_with_its_reason_and_its_reset() -> None:
    closed = replace(LEVEL, remaining=0, closed="it is used up", resets_at="2026-11-23T17:00:00Z")

    (alert,) = wallet_alerts([closed], 10)

    assert alert.topic is Topic.WALLET_CLOSED
    assert alert.until_ms is None
    assert "it is used up; it resets at 2026-11-23T17:00:00Z" in alert.text


def test_overdue_receipts_are_told_by_provider() -> None:
    found = receipt_alerts([Overdue(provider="a", calls=3), Overdue(provider="b", calls=0)], ())

    assert [(alert.name, alert.facts["calls"]) for alert in found] == [("a", 3)]


@pytest.mark.parametrize(("billed", "words"), [(144, "+44 %"), (50, "-50 %")])
def test_a_price_list_that_is_off_says_by_how_much(billed: int, words: str) -> None:
    drift = ModelDrift(
        provider="sim",
        model="acme/mini",
        day="2026-11-23",
        compared=40,
        metered_nano_usd=100,
        billed_nano_usd=billed,
    )

    (alert,) = receipt_alerts((), [drift])

    assert words in alert.text
    assert alert.name.endswith("2026-11-23")


def test_a_backlog_is_told_when_it_is_above_what_is_set() -> None:
    assert archive_alerts(100, 100) == []
    assert archive_alerts(101, 100)[0].facts["entries"] == 101
