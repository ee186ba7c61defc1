"""OpenRouter's credits and the limit of a key."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.wallets.adapters.openrouter import CREDITS, KEY, OpenRouterWallet
from proxy.wallets.quota import Quota, Report, SlowDown, Unavailable, Unreadable
from tests.proxy.wallets.documents import NANO, body, settings


def wallet(**more: Any) -> OpenRouterWallet:
    fields = {"api_key": "sk-or-v1-a", "management_key": "sk-or-mg-a", **more}
    return OpenRouterWallet(settings("openrouter", base_url="http://or.test/api/v1", **fields))


def read(name: str, **data: Any) -> Any:
    return wallet().read(name, 200, {}, body({"data": data}))


def test_the_balance_is_what_was_bought_and_not_used() -> None:
    (quota,) = read(CREDITS, total_credits=100.5, total_usage=25.75).quotas

    assert quota == Quota(name="balance", unit="USD", remaining=74_750_000_000)
    assert read(CREDITS, total_credits=1, total_usage=1.5).quotas[0].remaining == 0


def test_a_key_has_its_own_limit() -> None:
    (quota,) = read(KEY, limit=100, limit_remaining=74.5, limit_reset="monthly").quotas

    assert quota == Quota(name="key", unit="USD", limit=100 * NANO, remaining=74_500_000_000)
    assert read(KEY, limit=100, limit_remaining=-0.5).quotas[0].remaining == 0


def test_a_key_without_a_limit_has_no_quota() -> None:
    assert read(KEY, limit=None, limit_remaining=None) == Report()


def test_each_is_asked_for_with_the_key_that_may_ask() -> None:
    targets = dict(wallet().targets())

    assert str(targets[CREDITS].url) == "http://or.test/api/v1/credits"
    assert ("Authorization", "Bearer sk-or-mg-a") in targets[CREDITS].headers
    assert str(targets[KEY].url) == "http://or.test/api/v1/key"
    assert ("Authorization", "Bearer sk-or-v1-a") in targets[KEY].headers
    assert list(dict(wallet(management_key="").targets())) == [KEY]
    assert wallet(management_key="", api_key="").targets() == ()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        (CREDITS, {}),
        (CREDITS, {"total_credits": -1, "total_usage": 0}),
        (CREDITS, {"total_credits": 1, "total_usage": None}),
        (KEY, {"limit": 100}),
        (KEY, {"limit": 100, "limit_remaining": 101}),
        (KEY, {"limit": "x", "limit_remaining": 1}),
        (KEY, {"limit": 1, "limit_remaining": []}),
    ],
)
def test_what_makes_no_sense_is_not_read(name: str, data: dict[str, Any]) -> None:
    assert isinstance(read(name, **data), Unreadable)


def test_it_is_refused_as_everywhere() -> None:
    assert wallet().read(KEY, 429, {}, b"") == SlowDown(None)
    assert isinstance(wallet().read(CREDITS, 403, {}, b"{}"), Unavailable)
    assert wallet().in_passing({}) is None
