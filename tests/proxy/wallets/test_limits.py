"""How far counters may go by a report, and why calls are refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.money import EXACT_MAX
from policies.units import CALLS
from policies.windows import Reported
from proxy.billing_settings import WalletSettings
from proxy.wallets.limits import (
    account_closed,
    budget_of,
    budgets_of,
    counted_before,
    in_passing_limit,
    kept,
    known,
    limit_of,
    next_ms,
    room,
    title,
    used_up,
    window_of,
)
from proxy.wallets.quota import Quota
from proxy.wallets.wallet import KnownQuota, Source, Wallet

WINDOW = Reported(stale_after_ms=600_000)
amounts = st.integers(min_value=0, max_value=EXACT_MAX)
percents = st.integers(min_value=0, max_value=100)


def quota(**more: Any) -> KnownQuota:
    fields = {"name": "5_hour", "unit": "flows", "limit": 100, "remaining": 60, **more}
    return KnownQuota(**fields)


def take(
    former: KnownQuota | None = None,
    *,
    at_ms: int = 0,
    counted: int = 0,
    lag_ms: int = 0,
    **more: Any,
) -> KnownQuota:
    fields = {"name": "balance", "unit": "USD", "remaining": 50, **more}
    return known(Quota(**fields), former, asked_ms=at_ms, counted=counted, lag_ms=lag_ms)


def test_a_quota_is_a_budget_whose_limit_the_provider_tells() -> None:
    budget = budget_of("acme", "5_hour", "flows", WINDOW)

    assert (budget.name, budget.unit, budget.limit) == ("wallet.acme.5_hour", "flows", EXACT_MAX)
    assert budget.window == WINDOW


def test_a_provider_whose_quotas_are_not_known_has_one_budget_of_its_account() -> None:
    for wallet in (None, Wallet(), Wallet(sources={"detail": Source(fault="cut")})):
        ((budget, subject),) = budgets_of("acme", wallet, WINDOW)
        assert (budget.name, budget.unit, subject) == ("wallet.acme.account", CALLS, "")


def test_a_quota_that_tells_no_use_is_counted_by_its_cycle() -> None:
    month = quota(name="month", cycle="2026-04-12T08:26:56Z", remaining=None)
    wallet = Wallet(sources={"detail": Source(quotas=(quota(), month))})

    found = budgets_of("acme", wallet, WINDOW)

    assert [(budget.name, subject) for budget, subject in found] == [
        ("wallet.acme.5_hour", ""),
        ("wallet.acme.month", "2026-04-12T08:26:56Z"),
    ]


def test_what_is_unknown_refuses_only_where_it_can_become_known() -> None:
    strict = WalletSettings(when_unknown="refuse", when_stale="refuse")

    assert window_of(strict, is_polled=True) == Reported(600_000, True, True)
    assert window_of(strict, is_polled=False) == Reported(600_000, False, False)
    assert window_of(WalletSettings(), is_polled=True) == WINDOW


def test_limits_go_on_from_what_was_counted() -> None:
    assert limit_of(quota(), 0) == 60
    assert limit_of(quota(samples=((1, 7),)), 0) == 67
    assert limit_of(quota(samples=((1, 7),)), 5) == 62
    assert limit_of(quota(remaining=3, samples=((1, 7),)), 5) == 7
    assert limit_of(quota(remaining=None, limit=None), 0) is None
    assert limit_of(quota(remaining=None, cycle="c", samples=((1, 7),)), 10) == 90
    assert limit_of(quota(remaining=EXACT_MAX, samples=((1, 7),)), 0) == EXACT_MAX


def test_what_is_kept_is_rounded_up() -> None:
    assert kept(quota(limit=101), 1) == 2
    assert kept(quota(limit=101), 0) == 0
    assert kept(quota(limit=None, highest=40), 50) == 20


@given(amounts, amounts, amounts, percents)
def test_a_limit_never_reaches_further_than_what_remains(
    cap: int, remaining: int, counted: int, keep: int
) -> None:
    limit = limit_of(quota(limit=cap, remaining=remaining, samples=((1, counted),)), keep)

    assert limit is not None
    assert 0 <= limit <= EXACT_MAX
    assert limit - counted <= remaining
    assert limit <= counted or limit - counted <= remaining - cap * keep / 100


def test_a_report_keeps_what_matters_of_the_one_before() -> None:
    first = take(remaining=80, counted=5, at_ms=1)
    second = take(first, remaining=30, counted=9, at_ms=2)

    assert (second.highest, second.samples) == (80, ((2, 9),))
    assert take(second, unit="DIEM").highest == 50
    assert take(second, cycle="next").highest == 50


def test_a_late_bill_is_counted_until_it_must_have_come() -> None:
    taken = None
    bases = []
    for minute in range(10):
        taken = take(taken, at_ms=minute * 60_000, counted=minute, lag_ms=300_000, lags=True)
        bases.append(counted_before(taken))

    assert bases == [0, 0, 0, 0, 0, 0, 1, 2, 3, 4]


@given(st.lists(st.tuples(st.integers(1, 400_000), st.integers(0, 9)), min_size=1, max_size=200))
def test_samples_stay_few_and_none_is_too_young(steps: list[tuple[int, int]]) -> None:
    lag_ms, at_ms, counted = 300_000, 0, 0
    taken, history = None, [(0, 0)]
    for wait_ms, more in steps:
        at_ms, counted = at_ms + wait_ms, counted + more
        history.append((at_ms, counted))
        taken = take(taken, at_ms=at_ms, counted=counted, lag_ms=lag_ms, lags=True)
        old = [amount for when, amount in history[1:] if when <= at_ms - lag_ms]

        assert len(taken.samples) <= 36
        assert counted_before(taken) <= (old[-1] if old else history[1][1])


def test_a_counter_that_went_down_takes_the_limit_with_it() -> None:
    first = take(counted=1_000, at_ms=1, lags=True, lag_ms=300_000)
    restored = take(first, counted=10, at_ms=60_000, lags=True, lag_ms=300_000)

    assert limit_of(restored, 0) == 60


def test_headers_move_the_limit_as_a_report_does() -> None:
    assert in_passing_limit(quota(limit=None, highest=100), 40, 7, 10) == 37
    assert in_passing_limit(quota(limit=None), 0, 7, 0) == 7
    assert in_passing_limit(quota(), 60, 7, 5) == 62


def test_reasons_name_the_quota_and_the_provider() -> None:
    gone = quota(remaining=0)

    assert used_up("agipower", gone, 0) == "the 5-hour quota of 'agipower' is used up"
    assert used_up("agipower", quota(remaining=3), 5).endswith(", but for the 5% that is kept")
    assert used_up("agipower", quota(), 5) == ""
    assert used_up("agipower", quota(remaining=None), 5) == ""
    assert used_up("agipower", quota(remaining=None, limit=0, cycle="c"), 5) == ""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("5_hour", "the 5-hour quota of 'a'"),
        ("7_day", "the 7-day quota of 'a'"),
        ("month", "the monthly quota of 'a'"),
        ("balance", "the balance of 'a'"),
        ("key", "the limit of our key at 'a'"),
        ("account", "the account 'a'"),
        ("epoch", "the quota epoch of 'a'"),
    ],
)
def test_titles(name: str, said: str) -> None:
    assert title("a", name) == said


def test_an_account_is_closed_by_what_it_says_or_by_setting() -> None:
    def wallet(**more: Any) -> Wallet:
        return Wallet(sources={"balance": Source(began_ms=1), "detail": Source(began_ms=2, **more)})

    strict = WalletSettings(when_abusive="refuse")
    abusive = wallet(account_status="abusive")

    assert account_closed("a", wallet(), strict) == ""
    assert (
        account_closed("a", wallet(closed="is banned"), WalletSettings()) == "account 'a' is banned"
    )
    assert account_closed("a", abusive, WalletSettings()) == ""
    assert account_closed("a", abusive, strict) == "account 'a' is abusive"


def test_a_used_up_quota_is_asked_for_when_it_resets() -> None:
    def source(**more: Any) -> Source:
        return Source(quotas=(quota(**more),))

    assert next_ms(source(remaining=0, resets_at_ms=30_000), 60_000, 0, 0) == 31_000
    assert next_ms(source(remaining=4, resets_at_ms=30_000), 60_000, 0, 5) == 31_000
    assert next_ms(source(remaining=6, resets_at_ms=30_000), 60_000, 0, 5) == 60_000
    assert next_ms(source(remaining=0, resets_at_ms=90_000), 60_000, 0, 0) == 60_000
    assert next_ms(source(remaining=0, resets_at_ms=30_000), 60_000, 40_000, 0) == 60_000
    assert next_ms(source(remaining=0), 60_000, 0, 0) == 60_000
    assert room(quota(remaining=None), 0) is None
