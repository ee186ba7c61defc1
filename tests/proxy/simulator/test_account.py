"""The account that AGIPower keys draw on."""

import msgspec
import pytest

from proxy.simulator.account import NANO, Account, FlowWindow
from proxy.simulator.keys import KeyKind
from proxy.simulator.scenario import Scenario
from tests.proxy.simulator.conversation import HandClock


@pytest.fixture
def account(clock: HandClock) -> Account:
    return Account(clock)


def _adopt(account: Account, **fields: object) -> None:
    account.adopt(msgspec.convert(fields, Scenario))


def test_a_window_starts_with_its_first_use_and_ends_after_its_length() -> None:
    window = FlowWindow(100, 10)

    states = [(window.used_nano_flows, window.resets_at)]
    for now in (1_000, 1_099, 1_100):
        window.use(4, now=now)
        states.append((window.used_nano_flows, window.resets_at))

    assert states == [(0, None), (4, 1_100), (8, 1_100), (4, 1_200)]


def test_a_window_is_used_up_at_its_limit() -> None:
    window = FlowWindow(100, 10)

    window.use(9, now=0)
    assert not window.is_used_up(1)
    window.use(1, now=1)
    assert window.is_used_up(2)
    assert not window.is_used_up(100)


def test_a_call_takes_flows_from_all_windows_rounded_up(account: Account) -> None:
    nano_flows = account.use_flows(32_830_001)

    assert nano_flows == NANO + 31
    assert account.five_hours.used_nano_flows == account.month.used_nano_flows == nano_flows


def test_a_used_up_quota_refuses_subscription_keys_alone(account: Account) -> None:
    _adopt(account, quota={"quota_7_day": {"used_flows": "6182"}})

    refused = account.refuses(KeyKind.SUBSCRIPTION)

    assert refused is not None
    assert (refused.status, refused.type) == (402, "quote_exceeded")
    assert account.refuses(KeyKind.PAYG) is None


def test_extra_usage_is_billed_silently(account: Account) -> None:
    _adopt(account, quota={"quota_5_hour": {"max_flows": "0"}}, extra_usage=True)

    assert account.refuses(KeyKind.SUBSCRIPTION) is None
    assert account.bill_type(KeyKind.SUBSCRIPTION) == "fallbackMetered"


def test_a_reset_empties_both_windows_at_once(account: Account) -> None:
    account.use_flows(NANO)

    _adopt(account, quota={"reset": True})

    assert account.five_hours.used_nano_flows == account.seven_days.used_nano_flows == 0
    assert account.five_hours.resets_at is None


def test_an_empty_balance_refuses_pay_as_you_go_alone(account: Account) -> None:
    _adopt(account, balance_usd="0.5")
    account.spend(NANO // 2)

    refused = account.refuses(KeyKind.PAYG)

    assert refused is not None
    assert (refused.status, refused.type) == (402, "insufficient_credit")
    assert account.refuses(KeyKind.SUBSCRIPTION) is None


@pytest.mark.parametrize("status", ["suspended", "banned"])
def test_a_blocked_account_gets_nothing(account: Account, status: str) -> None:
    _adopt(account, account_status=status)

    assert account.refuses(KeyKind.PAYG) is not None


def test_every_so_many_requests_are_limited(account: Account) -> None:
    _adopt(account, management_422_every=2, rate_limit_every=3)

    assert [account.management_is_limited() for _ in range(4)] == [False, True, False, True]
    assert [account.inference_is_limited() for _ in range(3)] == [False, False, True]


def test_the_61st_request_for_cost_within_a_minute_is_limited(
    account: Account, clock: HandClock
) -> None:
    assert not any(account.cost_is_limited() for _ in range(60))
    assert account.cost_is_limited()
    clock.advance(60)
    assert not account.cost_is_limited()


def test_settings_stay_until_the_account_is_restored(account: Account) -> None:
    _adopt(
        account,
        quota={"base_usd_per_flow": "1", "effective_usd_per_flow": "2"},
        billing_usage_gone=True,
        cursor_expires_after_s=1,
        ledger_rows=[{"timestamp": "2026-01-01T00:00:00.000Z"}],
    )
    _adopt(account)
    assert account.use_flows(NANO) == NANO // 2
    assert account.billing_usage_gone
    assert len(account.ledger_rows) == 1

    account.restore()

    assert account.use_flows(NANO) > NANO // 2
    assert not account.billing_usage_gone
    assert account.ledger_rows == []
