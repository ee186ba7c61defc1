"""Telling the ledger what a poll found: limits, closures, and what changed for the journal."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from policies.budgets import Budget
from policies.errors import LedgerUnavailable
from policies.ledger.interface import Ask, Ledger
from policies.money import EXACT_MAX
from policies.units import CALLS
from proxy.billing_settings import WalletSettings
from proxy.wallets.limits import (
    ACCOUNT,
    account_closed,
    budget_of,
    known,
    limit_of,
    used_up,
    window_of,
)
from proxy.wallets.quota import Quota
from proxy.wallets.wallet import KnownQuota, Source, Wallet, with_source

#: Under which the journal remembers what it was told last of wallets.
TOPIC: Final = "wallets"
CLOSED: Final = "wallet_closed"
OPENED: Final = "wallet_opened"
STATUS: Final = "wallet_status"


class Observer(Protocol):
    """Whoever wants to know what changes for calls."""

    def wallet_status(self, provider: str, status: str) -> None:
        """The account's state is another one; once for all replicas. All but `healthy` need a look."""
        ...

    def wallet_closed(self, provider: str, quota: str, reason: str) -> None:
        """A quota lets no call pass from now on; once for all replicas."""
        ...

    def wallet_opened(self, provider: str, quota: str) -> None:
        """A quota lets calls pass; once for all replicas."""
        ...


class Reports:
    """Brings reports to the ledger."""

    def __init__(self, ledger: Ledger, settings: WalletSettings, observer: Observer) -> None:
        self._ledger = ledger
        self._settings = settings
        self._observer = observer
        self._window = window_of(settings, is_polled=True)

    async def counted(self, provider: str, quotas: Sequence[KnownQuota]) -> Mapping[str, int]:
        """Return what the ledger has counted of ours, by quota; to be asked for before the provider.

        Raises:
            LedgerUnavailable: it does not say.
        """
        asks = [
            Ask(budget=self._budget(provider, quota), subject=quota.cycle, held=0, bound=0)
            for quota in quotas
        ]
        standings = await self._ledger.standings(asks) if asks else ()
        return {
            quota.name: standing.spent for quota, standing in zip(quotas, standings, strict=True)
        }

    async def known(
        self,
        provider: str,
        quotas: Sequence[Quota],
        former: Sequence[KnownQuota],
        counted: Mapping[str, int],
        asked_ms: int,
    ) -> tuple[KnownQuota, ...]:
        """Return quotas as they are known with this report.

        Raises:
            LedgerUnavailable: it is not known what was counted on one of them.
        """
        before = {quota.name: quota for quota in former}
        new = [
            KnownQuota(name=quota.name, unit=quota.unit, cycle=quota.cycle)
            for quota in quotas
            if quota.name not in counted
        ]
        # No call is charged to a quota that no replica knows yet, so there is nothing to miss.
        counted = {**counted, **await self.counted(provider, new)}
        return tuple(
            known(
                quota,
                before.get(quota.name),
                asked_ms=asked_ms,
                counted=counted[quota.name],
                lag_ms=self._settings.balance_lag_ms,
            )
            for quota in quotas
        )

    async def tell(
        self, provider: str, wallet: Wallet, told: Collection[str]
    ) -> tuple[Wallet, frozenset[str]]:
        """Set limits and closures.

        Args:
            provider: whose wallet it is.
            wallet: with what is new in it.
            told: the requests that told something in this poll.

        Returns:
            The wallet with the closures, and the quotas that the ledger took over.

        Raises:
            LedgerUnavailable: some may be set and others not; the next poll sets them again.
        """
        reason = account_closed(provider, wallet, self._settings)
        taken = set()
        for name, source in wallet.sources.items():
            quotas = []
            for quota in source.quotas:
                closed = reason or used_up(provider, quota, self._settings.keep)
                if name not in told:
                    closed = await self._close(provider, quota, reason)
                elif await self._report(provider, quota, source.began_ms, closed):
                    taken.add(quota.name)
                quotas.append(msgspec.structs.replace(quota, closed=closed))
            wallet = with_source(
                wallet, name, msgspec.structs.replace(source, quotas=tuple(quotas))
            )
        if told and not wallet.quotas and await self._report_account(provider, wallet, reason):
            taken.add(ACCOUNT)
        return wallet, frozenset(taken)

    async def _report(self, provider: str, quota: KnownQuota, began_ms: int, closed: str) -> bool:
        """Tell the ledger of one quota; False: a call was refused since, and the next poll knows more."""
        return await self._ledger.report(
            self._budget(provider, quota),
            quota.cycle,
            limit=limit_of(quota, self._settings.keep),
            closed=closed,
            began_ms=began_ms,
        )

    async def _close(self, provider: str, quota: KnownQuota, reason: str) -> str:
        """Close a quota that was not reported now, if the account pays for nothing; return why it is."""
        if not reason or quota.closed == reason:
            return quota.closed
        budget, for_ms = self._budget(provider, quota), self._settings.stale_after_ms
        await self._ledger.close(budget, quota.cycle, reason=reason, for_ms=for_ms)
        return reason

    async def _report_account(self, provider: str, wallet: Wallet, reason: str) -> bool:
        """Tell the ledger of an account that has no quotas, as far as it can be known."""
        knows_all = all(source.began_ms for source in wallet.sources.values())
        return await self._ledger.report(
            budget_of(provider, ACCOUNT, CALLS, self._window),
            "",
            limit=EXACT_MAX if knows_all else None,
            closed=reason,
            began_ms=min(source.began_ms for source in wallet.sources.values() if source.began_ms),
        )

    # The journal…

    async def journal(
        self, provider: str, wallet: Wallet, told: Collection[str], taken: Collection[str]
    ) -> None:
        """Journal what changed; what the ledger does not take now is journalled by the next poll."""
        try:
            for name in told:
                await self._journal_status(provider, wallet.sources[name])
            for quota in wallet.quotas:
                if quota.name in taken:
                    await self._journal_quota(provider, quota)
            if ACCOUNT in taken:
                closed = account_closed(provider, wallet, self._settings)
                account = KnownQuota(name=ACCOUNT, unit=CALLS, closed=closed)
                await self._journal_quota(provider, account)
        except LedgerUnavailable:
            return

    async def _journal_status(self, provider: str, source: Source) -> None:
        status = source.account_status
        if status is None:
            return
        data = json.dumps({"provider": provider, "status": status})
        if await self._ledger.journal_once(TOPIC, provider, status, kind=STATUS, data=data):
            self._observer.wallet_status(provider, status)

    async def _journal_quota(self, provider: str, quota: KnownQuota) -> None:
        amounts = {
            "unit": quota.unit,
            "limit": quota.limit,
            "remaining": quota.remaining,
            "resets_at_ms": quota.resets_at_ms,
        }
        if quota.closed:
            await journal_closed(
                self._ledger, self._observer, provider, quota.name, quota.closed, amounts
            )
            return
        data = json.dumps({"provider": provider, "quota": quota.name, **amounts})
        name = f"{provider}/{quota.name}"
        if await self._ledger.journal_once(TOPIC, name, OPENED, kind=OPENED, data=data):
            self._observer.wallet_opened(provider, quota.name)

    def _budget(self, provider: str, quota: KnownQuota) -> Budget:
        return budget_of(provider, quota.name, quota.unit, self._window)


async def journal_closed(
    ledger: Ledger,
    observer: Observer,
    provider: str,
    quota: str,
    reason: str,
    more: Mapping[str, object],
    *,
    since: str = "",
) -> None:
    """Journal that a quota lets no call pass, unless that is known.

    Args:
        since: tells one closure from another for the same reason, where that is known.

    Raises:
        LedgerUnavailable: it may not be journalled.
    """
    data = json.dumps({"provider": provider, "quota": quota, "reason": reason, **more})
    name, value = f"{provider}/{quota}", f"{CLOSED}: {reason} {since}".rstrip()
    if await ledger.journal_once(TOPIC, name, value, kind=CLOSED, data=data):
        observer.wallet_closed(provider, quota, reason)
