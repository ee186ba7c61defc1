"""Vercel's credits: texts, without an envelope."""

from __future__ import annotations

import pytest

from proxy.wallets.adapters.vercel import CREDITS, VercelWallet
from proxy.wallets.quota import Quota, Report, SlowDown, Unreadable
from tests.proxy.wallets.documents import settings

WALLET = VercelWallet(settings("vercel", base_url="http://vercel.test/v1", api_key="vck_a"))


def test_the_balance_is_a_text() -> None:
    reading = WALLET.read(CREDITS, 200, {}, b'{"balance":"95.50","total_used":"4.50"}')

    assert reading == Report(quotas=(Quota(name="balance", unit="USD", remaining=95_500_000_000),))


def test_it_is_asked_for_with_the_inference_key() -> None:
    ((name, target),) = WALLET.targets()

    assert (name, str(target.url)) == (CREDITS, "http://vercel.test/v1/credits")
    assert ("Authorization", "Bearer vck_a") in target.headers
    assert VercelWallet(settings("vercel", api_key="")).targets() == ()


@pytest.mark.parametrize(
    ("body", "remaining"), [(b'{"balance":"-0.01"}', 0), (b'{"balance":"1e-10"}', 0)]
)
def test_next_to_nothing_is_nothing(body: bytes, remaining: int) -> None:
    reading = WALLET.read(CREDITS, 200, {}, body)

    assert isinstance(reading, Report)
    assert reading.quotas[0].remaining == remaining


@pytest.mark.parametrize("body", [b"{}", b'{"balance":null}', b'{"balance":"$5"}', b"[]", b"<p>"])
def test_what_makes_no_sense_is_not_read(body: bytes) -> None:
    assert isinstance(WALLET.read(CREDITS, 200, {}, body), Unreadable)


def test_it_is_refused_as_everywhere() -> None:
    error = b'{"error":{"message":"Failed to retrieve usage data","type":"internal_server_error"}}'

    assert WALLET.read(CREDITS, 429, {}, b"") == SlowDown(None)
    assert isinstance(WALLET.read(CREDITS, 500, {}, error), Unreadable)
    assert WALLET.in_passing({}) is None
