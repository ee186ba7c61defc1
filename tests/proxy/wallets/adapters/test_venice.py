"""Venice's balances: of the account, of the key, and in headers."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.wallets.adapters.venice import BALANCE, KEY, VeniceWallet
from proxy.wallets.quota import Quota, Report, SlowDown, Unavailable, Unreadable
from tests.proxy.wallets.documents import NANO, body, settings, venice_balance, venice_key


def wallet(**more: Any) -> VeniceWallet:
    keys = {"api_key": "VENICE_INFERENCE_KEY_a", "billing_key": "VENICE_ADMIN_KEY_a"}
    return VeniceWallet(settings("venice", base_url="http://venice.test/api/v1", **(keys | more)))


def read(name: str, document: object) -> Any:
    return wallet().read(name, 200, {}, body(document))


def test_the_account_has_all_its_balances_together() -> None:
    report = read(BALANCE, venice_balance())

    assert report == Report(quotas=(Quota(name="balance", unit="USD", remaining=125_500_000_000),))


def test_a_key_has_what_it_may_use_until_the_next_epoch() -> None:
    report = read(KEY, venice_key())

    assert report.quotas == (
        Quota(
            name="key",
            unit="USD",
            remaining=175_253_000_000,
            resets_at_ms=1_776_729_600_000,
            partly_in_passing=True,
        ),
    )
    assert report.closed == ""


def test_headers_tell_all_of_a_key_that_has_no_other_credits() -> None:
    report = read(KEY, venice_key(balances={"USD": 1, "DIEM": 2, "BUNDLED_CREDITS": 0}))

    assert not report.quotas[0].partly_in_passing


def test_each_is_asked_for_with_the_key_that_may_ask() -> None:
    targets = dict(wallet().targets())

    assert str(targets[BALANCE].url) == "http://venice.test/api/v1/billing/balance"
    assert ("Authorization", "Bearer VENICE_ADMIN_KEY_a") in targets[BALANCE].headers
    assert str(targets[KEY].url) == "http://venice.test/api/v1/api_keys/rate_limits"
    assert ("Authorization", "Bearer VENICE_INFERENCE_KEY_a") in targets[KEY].headers
    assert list(dict(wallet(billing_key="").targets())) == [KEY]
    assert wallet(billing_key="", api_key="").targets() == ()


def test_an_account_or_a_key_that_may_not_pay_is_closed() -> None:
    assert "canConsume" in read(BALANCE, venice_balance(canConsume=False)).closed
    assert "accessPermitted" in read(KEY, venice_key(accessPermitted=False)).closed


def test_an_overdrawn_balance_takes_nothing_from_the_others() -> None:
    balances = {"usd": -4, "diem": "1.5", "earnedCredits": None}

    (quota,) = read(BALANCE, venice_balance(balances=balances)).quotas

    assert quota.remaining == 1_500_000_000


@pytest.mark.parametrize(
    ("name", "document"),
    [
        (BALANCE, venice_balance(balances=None)),
        (BALANCE, venice_balance(balances=[1, 2])),
        (BALANCE, venice_balance(balances={"usd": "lots"})),
        (BALANCE, venice_balance(balances={"usd": 1e15})),
        (BALANCE, venice_balance(balances={"usd": True})),
        (BALANCE, venice_balance(canConsume="no")),
        (BALANCE, {}),
        (KEY, {"data": None}),
        (KEY, {"data": []}),
        (KEY, venice_key(balances=None)),
        (KEY, venice_key(accessPermitted=None)),
    ],
)
def test_what_makes_no_sense_is_not_read(name: str, document: object) -> None:
    assert isinstance(read(name, document), Unreadable)


@pytest.mark.parametrize("name", [BALANCE, KEY])
def test_every_request_is_refused_in_the_same_ways(name: str) -> None:
    assert wallet().read(name, 429, {"Retry-After": "30"}, b"") == SlowDown(30_000)
    refused = wallet().read(name, 401, {}, b'{"error":"Admin API key required"}')
    assert isinstance(refused, Unavailable)
    assert isinstance(wallet().read(name, 402, {}, b'{"x402Version":1}'), Unreadable)
    assert isinstance(wallet().read(name, 200, {}, b"<html>"), Unreadable)


def test_headers_tell_what_a_key_had_before_the_call() -> None:
    headers = {"X-Venice-Balance-USD": "12.50", "X-Venice-Balance-DIEM": "0.5"}

    assert wallet().in_passing(headers) == Report(
        quotas=(Quota(name="key", unit="USD", remaining=13 * NANO),)
    )


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-venice-balance-usd": "1"},
        {"x-venice-balance-usd": "1", "x-venice-balance-diem": ""},
        {"x-venice-balance-usd": "NaN", "x-venice-balance-diem": "1"},
        {"x-venice-balance-usd": "1e40", "x-venice-balance-diem": "1"},
    ],
)
def test_headers_that_tell_a_part_or_nonsense_tell_nothing(headers: dict[str, str]) -> None:
    assert wallet().in_passing(headers) is None
