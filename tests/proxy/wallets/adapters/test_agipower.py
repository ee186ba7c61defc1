"""AGIPower's subscription, balance and rate, as documented and otherwise."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wallets.adapters.agipower import BALANCE, DETAIL, FLOW_RATE, AgiPowerWallet
from proxy.wallets.quota import Quota, Report, SlowDown, Unavailable, Unreadable
from tests.proxy.wallets.documents import (
    MANAGEMENT,
    NANO,
    PAYG,
    SUBSCRIPTION,
    body,
    detail,
    payg_balance,
    settings,
    window,
)


def wallet(api_key: str = SUBSCRIPTION, **more: Any) -> AgiPowerWallet:
    fields = {"base_url": "http://agi.test", "management_key": MANAGEMENT, **more}
    return AgiPowerWallet(settings("agipower", api_key=api_key, **fields))


def read(name: str, document: object, api_key: str = SUBSCRIPTION) -> Any:
    return wallet(api_key).read(name, 200, {}, body(document))


def by_name(report: Report) -> dict[str, Quota]:
    return {quota.name: quota for quota in report.quotas}


def test_a_subscription_key_is_gated_by_three_quotas() -> None:
    report = read(DETAIL, detail())

    assert report == Report(
        quotas=(
            Quota(
                name="5_hour",
                unit="flows",
                limit=800 * NANO,
                remaining=742_800_000_000,
                resets_at_ms=1_774_341_309_000,
            ),
            Quota(
                name="7_day",
                unit="flows",
                limit=6_182 * NANO,
                remaining=5_765_890_000_000,
                resets_at_ms=1_774_491_305_000,
            ),
            Quota(
                name="month",
                unit="flows",
                limit=34_560 * NANO,
                resets_at_ms=1_775_982_416_000,
                cycle="2026-04-12T08:26:56Z",
            ),
        ),
        account_status="healthy",
        usd_per_credit={"flows": "0.03283"},
    )


def test_any_other_key_is_gated_by_the_balance_and_knows_the_accounts_state() -> None:
    account = read(DETAIL, detail(account_status="monitored"), PAYG)
    balance = read(BALANCE, payg_balance(), PAYG)

    assert (account.quotas, account.account_status) == ((), "monitored")
    assert balance.quotas == (
        Quota(name="balance", unit="USD", remaining=482_740_000_000, lags=True),
    )


@pytest.mark.parametrize(
    ("api_key", "names"),
    [
        (SUBSCRIPTION, [DETAIL, FLOW_RATE]),
        (PAYG, [DETAIL, BALANCE, FLOW_RATE]),
        ("", [DETAIL, BALANCE, FLOW_RATE]),
    ],
)
def test_the_management_key_asks(api_key: str, names: list[str]) -> None:
    targets = wallet(api_key).targets()

    assert [name for name, _ in targets] == names
    for _, target in targets:
        assert ("Authorization", f"Bearer {MANAGEMENT}") in target.headers
        assert target.method == "GET"
    assert str(targets[0][1].url) == "http://agi.test/api/v1/management/subscription/detail"
    assert wallet(api_key, management_key="").targets() == ()


def test_paths_can_be_elsewhere() -> None:
    moved = wallet(paths={"payg_balance": "/money"}, api_key=PAYG)

    assert str(moved.targets()[1][1].url) == "http://agi.test/money"


@pytest.mark.parametrize("status", ["healthy", "monitored", "abusive", "something_new"])
def test_states_that_pay(status: str) -> None:
    report = read(DETAIL, detail(account_status=status))

    assert (report.account_status, report.closed) == (status, "")


@pytest.mark.parametrize("status", ["suspended", "banned", "Banned"])
@pytest.mark.parametrize("api_key", [SUBSCRIPTION, PAYG])
def test_states_that_do_not_pay(status: str, api_key: str) -> None:
    report = read(DETAIL, detail(account_status=status), api_key)

    assert report.closed == f"is {status.lower()}"


def test_a_quota_that_has_not_begun_is_full() -> None:
    fresh = window(usage_percentage=0, resets_at=None, used_flows=0, remaining_flows=800)

    quota = by_name(read(DETAIL, detail(quota_5_hour=fresh)))["5_hour"]

    assert (quota.remaining, quota.resets_at_ms) == (800 * NANO, None)


@pytest.mark.parametrize(
    ("fields", "remaining"),
    [
        ({"remaining_flows": None, "used_flows": 300.5}, 499_500_000_000),
        ({"remaining_flows": 12.5, "used_flows": None}, 12_500_000_000),
        ({"remaining_flows": 0, "used_flows": 800}, 0),
        ({"remaining_flows": None, "used_flows": 801.5}, 0),
        ({"remaining_flows": -1.5, "used_flows": 801.5}, 0),
        ({"remaining_flows": "742.80", "max_flows": "800"}, 742_800_000_000),
    ],
)
def test_what_remains_is_what_is_said_or_else_what_was_not_used(
    fields: dict[str, Any], remaining: int
) -> None:
    quota = by_name(read(DETAIL, detail(quota_5_hour=window(**fields))))["5_hour"]

    assert quota.remaining == remaining


@pytest.mark.parametrize(
    "fields",
    [
        {"max_flows": None},
        {"max_flows": -1},
        {"max_flows": 10},
        {"max_flows": 1e30},
        {"used_flows": -5},
        {"remaining_flows": -5},
        {"remaining_flows": None, "used_flows": None},
        {"remaining_flows": True},
        {"remaining_flows": "much"},
        {"remaining_flows": float("nan")},
    ],
)
def test_a_quota_that_does_not_add_up_is_not_read(fields: dict[str, Any]) -> None:
    assert isinstance(read(DETAIL, detail(quota_5_hour=window(**fields))), Unreadable)


@pytest.mark.parametrize(
    "more",
    [
        {"quota_5_hour": []},
        {"quota_monthly": {"max_flows": -1}},
        {"quota_monthly": 5},
        {"plan": "ultra"},
        {"account_status": 1},
        {"effective_usd_per_flow": -0.03},
        {"effective_usd_per_flow": 1e9},
        {"effective_usd_per_flow": 1e-30},
        {"effective_usd_per_flow": "cheap"},
    ],
)
def test_a_detail_that_makes_no_sense_is_not_read(more: dict[str, Any]) -> None:
    assert isinstance(read(DETAIL, detail(**more)), Unreadable)


@pytest.mark.parametrize(
    "more",
    [
        {"plan": None},
        {"plan": {"tier": "pro", "expires_at": None}},
        {"plan": {"tier": "pro", "interval": "year", "expires_at": "2027-04-12T08:26:56Z"}},
        {"quota_monthly": None},
    ],
)
def test_without_a_billing_month_there_is_nothing_to_count_in(more: dict[str, Any]) -> None:
    assert set(by_name(read(DETAIL, detail(**more)))) == {"5_hour", "7_day"}


def test_an_account_without_quotas_has_none() -> None:
    nothing = {"plan": None, "quota_5_hour": None, "quota_7_day": None, "quota_monthly": None}

    report = read(DETAIL, detail(**nothing, effective_usd_per_flow=None))

    assert report == Report(account_status="healthy")


def test_a_detail_without_envelope_is_read_too() -> None:
    assert by_name(read(DETAIL, detail()["data"])) == by_name(read(DETAIL, detail()))


def test_an_overdrawn_balance_is_used_up() -> None:
    (quota,) = read(BALANCE, payg_balance(total_credits=-3.5), PAYG).quotas

    assert quota.remaining == 0


@pytest.mark.parametrize(
    "more", [{"currency": "eur"}, {"total_credits": None}, {"total_credits": 1e12}]
)
def test_a_balance_that_makes_no_sense_is_not_read(more: dict[str, Any]) -> None:
    assert isinstance(read(BALANCE, payg_balance(**more), PAYG), Unreadable)


def test_a_flow_is_worth_its_effective_rate() -> None:
    data = {"currency": "usd", "base_usd_per_flow": 0.03, "effective_usd_per_flow": "0.05"}

    assert read(FLOW_RATE, {"success": True, "data": data}).usd_per_credit == {"flows": "0.05"}
    assert read(FLOW_RATE, {"success": True, "data": {}}).usd_per_credit == {}
    assert read(DETAIL, detail(effective_usd_per_flow=0)).usd_per_credit == {}
    tiny = b'{"effective_usd_per_flow": 6e-7}'
    assert wallet().read(FLOW_RATE, 200, {}, tiny).usd_per_credit == {"flows": "0.0000006"}  # type: ignore[union-attr]  # It is a report.


@pytest.mark.parametrize("name", [DETAIL, BALANCE, FLOW_RATE])
def test_every_request_is_refused_in_the_same_ways(name: str) -> None:
    adapter = wallet()
    failed = body({"success": False, "data": detail()["data"]})

    assert adapter.read(name, 422, {}, b"") == SlowDown(None)
    assert adapter.read(name, 429, {"retry-after": "60"}, b"") == SlowDown(60_000)
    assert isinstance(adapter.read(name, 403, {}, b"{}"), Unavailable)
    assert isinstance(adapter.read(name, 404, {}, b"{}"), Unavailable)
    assert isinstance(adapter.read(name, 500, {}, b"{}"), Unreadable)
    assert isinstance(adapter.read(name, 200, {}, b"<html>"), Unreadable)
    assert isinstance(adapter.read(name, 200, {}, b"[]"), Unreadable)
    assert isinstance(adapter.read(name, 200, {}, failed), Unreadable)


def test_answers_to_calls_tell_nothing() -> None:
    assert wallet().in_passing({"x-balance": "1"}) is None


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
junk = st.one_of(plain, st.lists(plain, max_size=2), st.dictionaries(st.text(), plain, max_size=2))
members = st.sampled_from(
    ["plan", "account_status", "effective_usd_per_flow", "quota_5_hour", "quota_monthly"]
)
fields = st.sampled_from(["max_flows", "used_flows", "remaining_flows", "resets_at"])


@given(st.dictionaries(members, junk), st.dictionaries(fields, junk))
def test_whatever_stands_in_a_detail_what_is_read_of_it_can_be_gated_on(
    changed: dict[str, Any], quota: dict[str, Any]
) -> None:
    changed = {"quota_5_hour": window(**quota), **changed}
    sent = json.dumps(detail(**changed)).encode()

    reading = wallet().read(DETAIL, 200, {}, sent)

    if isinstance(reading, Report):
        for each in reading.quotas:
            assert each.limit is not None
            assert each.remaining is None or 0 <= each.remaining <= each.limit
            assert each.resets_at_ms is None or each.resets_at_ms > 0
