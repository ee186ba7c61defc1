"""Wallets: what is left, of what, and until when."""

from __future__ import annotations

import pytest

from proxy.dashboard.wallets import quota_of
from proxy.dashboard.wording import SPACE
from tests.proxy.dashboard.story import USD
from tests.proxy.dashboard.world import Browser, World, wallet_rows


async def test_every_quota_is_told_of(browser: Browser) -> None:
    await browser.sign_in()

    text = (await browser.get("/wallets")).text

    assert "612 flows" in text
    assert f"76{SPACE}%" in text
    assert "23 Nov, 15:20" in text
    assert '<span class="tone warn small">low</span>' in text
    assert "set billing_key" in text


async def test_a_closed_account_says_why(browser: Browser, world: World) -> None:
    closed = wallet_rows()[0].model_copy(update={"closed": "the account is suspended"})
    world.wallets.rows = [closed.model_copy(update={"quotas": [], "faults": {"rate": "HTTP 500"}})]
    await browser.sign_in()

    text = (await browser.get("/wallets")).text

    assert "No call passes: the account is suspended." in text
    assert "rate: HTTP 500" in text
    assert "No quota was reported yet." in text


def test_a_bar_shows_what_is_used_by_anybody_and_what_came_since() -> None:
    quota = quota_of(wallet_rows()[0].quotas[0])

    assert (quota.limit, quota.remaining) == (800 * USD, 612 * USD)
    assert quota.bar is not None
    assert 'class="used" width="235"' in quota.bar
    assert 'class="held" x="235" width="5"' in quota.bar


@pytest.mark.parametrize(
    ("changes", "word", "tone"),
    [
        ({}, "open", "good"),
        ({"stale": True}, "out of date", "warn"),
        ({"closed": "used up"}, "closed", "bad"),
        ({"remaining": {"nano": 0, "amount": "0"}}, "low", "warn"),
        ({"remaining": None}, "open", "good"),
    ],
)
def test_a_quota_is_judged_in_a_word(changes: dict[str, object], word: str, tone: str) -> None:
    quota = quota_of(wallet_rows()[0].quotas[0].model_copy(update=changes))

    assert (quota.word, quota.tone) == (word, tone)
    assert (quota.bar is None) == (changes == {"remaining": None})
