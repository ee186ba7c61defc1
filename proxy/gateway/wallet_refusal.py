"""What a caller is told when it is the provider's own quota that has no room, or its whole account."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from policies.budgets import Budget
from policies.clock import rfc3339
from policies.decisions import Standing
from policies.errors import LedgerUnavailable
from policies.ledger.keys import REPORTED
from policies.units import amount_text, policy_text
from proxy.dialects.interface import ErrorKind
from proxy.gateway.call import Refusal


class QuotaView(Protocol):
    """What may be said of a quota that a provider reports; amounts in nano-units of `unit`."""

    @property
    def title(self) -> str:
        """Names it within a sentence."""
        ...

    @property
    def unit(self) -> str:
        """What it counts."""
        ...

    @property
    def remaining(self) -> int | None:
        """As it was reported; None: that is not known."""
        ...

    @property
    def limit(self) -> int | None:
        """The cap; None: it has none, or that is not known."""
        ...

    @property
    def resets_at_ms(self) -> int | None:
        """When it is full again; None: that is not known."""
        ...

    @property
    def closed(self) -> str:
        """Why no call passes, as a clause; empty: calls pass."""
        ...


class Wallets(Protocol):
    """Whatever knows the quotas that providers report (`wallets.gate`)."""

    def is_closed(self, provider: str) -> bool:
        """Tell whether the provider has just refused a call because something of ours ran out."""
        ...

    def budgets(self, provider: str) -> tuple[tuple[Budget, str], ...]:
        """Return the budgets that stand for a provider's quotas, each with its subject."""
        ...

    async def refresh(self) -> None:
        """Read what any replica knows by now. Raises `LedgerUnavailable`."""
        ...

    def describe(self, provider: str, budget_name: str) -> QuotaView | None:
        """Return what is known of the quota behind a budget; None: there is none now."""
        ...


class NoWallets:
    """No provider reports anything."""

    def is_closed(self, provider: str) -> bool:
        """Nobody would know."""
        del provider
        return False

    def budgets(self, provider: str) -> tuple[tuple[Budget, str], ...]:
        """There are none."""
        del provider
        return ()

    async def refresh(self) -> None:
        """Nobody knows anything."""

    def describe(self, provider: str, budget_name: str) -> None:
        """Nothing is known."""
        del provider, budget_name


async def wallet_refusal(wallets: Wallets, provider: str, standings: Sequence[Standing]) -> Refusal:
    """Return why a provider's own quota lets no call through.

    Args:
        wallets: what is known of quotas.
        provider: whose.
        standings: of the budgets that stand for them; the first one is the reason.
    """
    standing = next((s for s in standings if s.window == REPORTED), None)
    named = next((budget.name for budget, _ in wallets.budgets(provider)), provider)
    name = standing.budget if standing is not None else named
    view = wallets.describe(provider, name)
    if standing is not None and standing.closed and (view is None or not view.closed):
        # The ledger knows it from another replica, and why will be known here in a moment.
        with suppress(LedgerUnavailable):
            await wallets.refresh()
            view = wallets.describe(provider, name)
    return Refusal(
        status=402,
        kind=ErrorKind.WALLET_EXHAUSTED,
        message=_message(provider, view, standing),
        standing=standing,
        headers=_headers(name, view, standing),
    )


def _message(provider: str, view: QuotaView | None, standing: Standing | None) -> str:
    reason = f"'{provider}' takes no calls of this account now"
    if view is not None and view.closed:
        reason = view.closed
    elif view is not None and view.remaining is not None:
        ours = standing.reserved if standing is not None else 0
        reason = (
            f"{view.title} has no room for this call: {amount_text(view.unit, view.remaining)} were "
            f"left when the provider was asked last, and calls in flight hold "
            f"{amount_text(view.unit, ours)}"
        )
    elif view is not None:
        reason = f"{view.title} has no room for this call"
    reset = (
        f"it resets at {rfc3339(view.resets_at_ms)}"
        if view and view.resets_at_ms
        else ("it opens when the provider reports room again")
    )
    return f"{reason[0].upper()}{reason[1:]}; {reset}. Refused by Bursar; nothing was sent to the provider."


def _headers(
    name: str, view: QuotaView | None, standing: Standing | None
) -> tuple[tuple[str, str], ...]:
    """Return the headers of a budget's refusal, with what the provider reported in them."""
    headers = [("x-bursar-decision", "refused"), ("x-bursar-budget", name)]
    if view is not None and view.limit is not None:
        headers.append(("x-bursar-limit", policy_text(view.unit, view.limit)))
        if view.remaining is not None:
            spent = max(0, view.limit - view.remaining)
            headers.append(("x-bursar-spent", policy_text(view.unit, spent)))
    if view is not None and standing is not None:
        headers.append(("x-bursar-reserved", policy_text(view.unit, standing.reserved)))
    if view is not None and view.resets_at_ms:
        headers.append(("x-bursar-resets-at", rfc3339(view.resets_at_ms)))
    return tuple(headers)
