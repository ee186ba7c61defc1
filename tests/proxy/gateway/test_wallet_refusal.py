"""What a refusal says of a provider's quota: which one, what is left, and when it resets."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from policies.budgets import Budget
from policies.decisions import Standing
from policies.errors import LedgerUnavailable
from policies.ledger.keys import REPORTED
from policies.money import EXACT_MAX
from policies.windows import Reported
from proxy.dialects.interface import ErrorKind
from proxy.gateway.wallet_refusal import NoWallets, wallet_refusal

NAME = "wallet.agipower.5_hour"
RESETS_MS = 1_795_438_800_000
STANDING = Standing(
    budget=NAME,
    subject="",
    unit="flows",
    mode="enforce",
    limit=3,
    spent=1,
    reserved=2_000_000_000,
    overrun=0,
    start_ms=0,
    end_ms=None,
    window=REPORTED,
)


@dataclass(frozen=True)
class View:
    title: str = "the 5-hour quota of 'agipower'"
    unit: str = "flows"
    remaining: int | None = 5_000_000_000
    limit: int | None = 800_000_000_000
    resets_at_ms: int | None = RESETS_MS
    closed: str = ""


@dataclass
class Known:
    """Wallets of which one thing is known, and another one after they are read again."""

    view: View | None = field(default_factory=View)
    later: View | None = None
    fails: bool = False
    refreshed: int = 0

    def is_closed(self, provider: str) -> bool:
        del provider
        return False

    def budgets(self, provider: str) -> tuple[tuple[Budget, str], ...]:
        window = Reported(stale_after_ms=1)
        budget = Budget(
            name=f"wallet.{provider}.account", unit="calls", limit=EXACT_MAX, window=window
        )
        return ((budget, ""),)

    async def refresh(self) -> None:
        self.refreshed += 1
        if self.fails:
            raise LedgerUnavailable("no answer")
        self.view = self.later

    def describe(self, provider: str, budget_name: str) -> View | None:
        del provider, budget_name
        return self.view


async def test_a_quota_without_room_says_what_was_left_and_when_it_is_full_again() -> None:
    refusal = await wallet_refusal(Known(), "agipower", (STANDING,))

    assert (refusal.status, refusal.kind) == (402, ErrorKind.WALLET_EXHAUSTED)
    assert refusal.message == (
        "The 5-hour quota of 'agipower' has no room for this call: 5 flows were left when the "
        "provider was asked last, and calls in flight hold 2 flows; it resets at "
        "2026-11-23T13:00:00Z. Refused by Bursar; nothing was sent to the provider."
    )
    assert dict(refusal.headers) == {
        "x-bursar-decision": "refused",
        "x-bursar-budget": NAME,
        "x-bursar-limit": "800 flows",
        "x-bursar-spent": "795 flows",
        "x-bursar-reserved": "2 flows",
        "x-bursar-resets-at": "2026-11-23T13:00:00Z",
    }


async def test_a_closed_account_says_why() -> None:
    closed = View(closed="account 'agipower' is suspended", resets_at_ms=None)
    known = Known(closed)
    refusal = await wallet_refusal(known, "agipower", (replace(STANDING, closed=True),))

    assert refusal.message.startswith("Account 'agipower' is suspended; it opens when the provider")
    assert "x-bursar-resets-at" not in dict(refusal.headers)
    assert known.refreshed == 0


async def test_a_closure_that_another_replica_found_is_read_before_it_is_explained() -> None:
    known = Known(later=View(closed="the 5-hour quota of 'agipower' is used up"))
    refusal = await wallet_refusal(known, "agipower", (replace(STANDING, closed=True),))

    assert refusal.message.startswith("The 5-hour quota of 'agipower' is used up; it resets at")


@pytest.mark.parametrize("known", [Known(fails=True), Known(View(remaining=None))], ids=str)
async def test_what_cannot_be_explained_is_refused_all_the_same(known: Known) -> None:
    refusal = await wallet_refusal(known, "agipower", (replace(STANDING, closed=True),))

    assert refusal.status == 402
    assert "agipower" in refusal.message


async def test_without_a_standing_the_provider_is_named() -> None:
    refusal = await wallet_refusal(Known(None), "agipower", ())
    assert dict(refusal.headers)["x-bursar-budget"] == "wallet.agipower.account"
    assert refusal.message.startswith("'agipower' takes no calls of this account now; it opens")

    nobody = NoWallets()
    await nobody.refresh()
    refusal = await wallet_refusal(nobody, "agipower", ())
    assert dict(refusal.headers)["x-bursar-budget"] == "agipower"
    assert not nobody.is_closed("agipower")
