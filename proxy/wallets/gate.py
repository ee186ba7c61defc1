"""What a worker knows of wallets, so that a call costs no round trip for them: the ledger decides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from policies.budgets import Budget
from policies.errors import LedgerUnavailable
from policies.ledger.interface import Ledger
from proxy.billing_settings import WalletSettings
from proxy.providers.interface import Exhausted
from proxy.wallets.limits import (
    ACCOUNT,
    budget_of,
    budget_prefix,
    budgets_of,
    in_passing_limit,
    title,
    window_of,
)
from proxy.wallets.quota import WalletAdapter
from proxy.wallets.reports import Observer, journal_closed
from proxy.wallets.store import Stored, WalletStore
from proxy.wallets.wallet import KnownQuota, Source, Wallet

REFRESH_EVERY_S: Final = 1.0
#: Headers of answers are taken in this often for each provider; each time costs a round trip.
PASSING_EVERY_MS: Final = 1_000
#: How many regular polls a refusal holds where no poll can end it.
HOLDS_POLLS: Final = 2
_REASONS: Final[dict[str, str]] = {
    Exhausted.QUOTA: "a quota of '{}' is used up: it refused a call",
    Exhausted.CREDIT: "the credit at '{}' is used up: it refused a call",
    Exhausted.SPEND_LIMIT: "the spend limit at '{}' is reached: it refused a call",
    Exhausted.KEY_LIMIT: "the limit of our key at '{}' is reached: it refused a call",
}

#: Told what a credit of a provider is worth in US dollars, whenever that changes.
SetRate = Callable[[str, str, Decimal], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaView:
    """What messages and headers may say of one quota; amounts are nano-units of `unit`."""

    #: `5_hour`, `7_day`, `month`, `balance`, `key`; `account` where nothing is known.
    quota: str
    #: Within a sentence: `the 5-hour quota of 'agipower'`.
    title: str
    unit: str
    #: As the provider reported it; None: it does not say.
    remaining: int | None = None
    limit: int | None = None
    resets_at_ms: int | None = None
    account_status: str | None = None
    #: Why no call passes, as a clause: `account 'agipower' is suspended`; empty: calls pass.
    closed: str = ""
    #: When it was asked for, by the ledger's clock; None: nothing is known.
    asked_ms: int | None = None
    #: It is older than `stale_after`, or not known at all.
    is_stale: bool = True


@dataclass(frozen=True, slots=True)
class _Shut:
    """A provider that refused a call of this worker because something of ours ran out."""

    reason: str
    at_ms: int
    until_ms: int


class WalletGate:
    """Names the budgets that calls of a provider are charged to, and closes them on a refusal."""

    def __init__(
        self,
        *,
        providers: Mapping[str, WalletAdapter | None],
        ledger: Ledger,
        store: WalletStore,
        settings: WalletSettings,
        set_rate: SetRate,
        observer: Observer,
    ) -> None:
        """Take whose wallets there are.

        Args:
            providers: all that are configured; None: nobody can be asked for its quotas.
            ledger: decides, and is told of refusals.
            store: what the replicas share.
            settings: the section `wallets` of the configuration.
            set_rate: is told what credits are worth.
            observer: is told of closures.
        """
        self._adapters = providers
        self._ledger = ledger
        self._store = store
        self._settings = settings
        self._set_rate = set_rate
        self._observer = observer
        self._polled = {
            name for name, adapter in providers.items() if adapter is not None and adapter.targets()
        }
        self._known: dict[str, Stored] = {}
        self._budgets = {name: self._budgets_of(name, None) for name in providers}
        self._shut: dict[str, _Shut] = {}
        self._rates: dict[tuple[str, str], str] = {}
        self._passed_ms: dict[str, int] = {}

    # Before a call: nothing here waits…

    def budgets(self, provider: str) -> tuple[tuple[Budget, str], ...]:
        """Return what a call is charged to at a provider: budgets, each with its subject."""
        return self._budgets.get(provider, ())

    def is_closed(self, provider: str) -> bool:
        """Tell whether the provider refused a call of this worker, and nothing newer is known."""
        shut = self._shut.get(provider)
        return shut is not None and self._ledger.now_ms() < shut.until_ms

    def describe(self, provider: str, budget_name: str) -> QuotaView | None:
        """Return what is known of the quota behind a budget; None: there is no such budget now."""
        found = next((b for b, _ in self.budgets(provider) if b.name == budget_name), None)
        if found is None:
            return None
        stored = self._known.get(provider, Stored(Wallet(), 0))
        for source in stored.wallet.sources.values():
            for quota in source.quotas:
                if quota.name == _quota_of(provider, budget_name):
                    return self._view(provider, stored, source, quota)
        return QuotaView(
            quota=ACCOUNT,
            title=title(provider, ACCOUNT),
            unit=found.unit,
            account_status=stored.wallet.account_status,
            closed=self._refused(provider, stored),
        )

    def _view(self, provider: str, stored: Stored, source: Source, quota: KnownQuota) -> QuotaView:
        age_ms = self._ledger.now_ms() - source.began_ms
        return QuotaView(
            quota=quota.name,
            title=title(provider, quota.name),
            unit=quota.unit,
            remaining=quota.remaining,
            limit=quota.limit,
            resets_at_ms=quota.resets_at_ms,
            account_status=stored.wallet.account_status,
            closed=self._refused(provider, stored) or quota.closed,
            asked_ms=source.began_ms,
            is_stale=age_ms > self._settings.stale_after_ms,
        )

    def _refused(self, provider: str, stored: Stored) -> str:
        """Return what a call was refused for, here or at another replica, since the last report."""
        shut = self._shut.get(provider)
        if shut is not None and self.is_closed(provider):
            return shut.reason
        holds_until_ms = stored.nudged_at_ms + self._holds_ms(provider)
        is_news = stored.nudged_at_ms >= stored.wallet.began_ms
        return stored.refused if is_news and self._ledger.now_ms() < holds_until_ms else ""

    # Beside the calls…

    async def run(self) -> None:
        """Keep what is known up to date until cancelled."""
        while True:
            await asyncio.sleep(REFRESH_EVERY_S)
            with suppress(LedgerUnavailable):  # What is known stays, and the ledger decides.
                await self.refresh()

    async def refresh(self) -> None:
        """Read what the poll of any replica found.

        Raises:
            LedgerUnavailable: what was known stays.
        """
        for provider, stored in (await self._store.load_all(self._adapters)).items():
            if provider not in self._polled:
                # What was known before its key was taken out of the configuration.
                stored = stored._replace(wallet=Wallet())  # noqa: PLW2901 - It is the same one.
            self._known[provider] = stored
            self._budgets[provider] = self._budgets_of(provider, stored.wallet)
            self._hand_on_rates(provider, stored.wallet)
            shut = self._shut.get(provider)
            if shut is not None and (
                stored.wallet.began_ms > shut.at_ms or not self.is_closed(provider)
            ):
                del self._shut[provider]

    def _budgets_of(self, provider: str, wallet: Wallet | None) -> tuple[tuple[Budget, str], ...]:
        window = window_of(self._settings, is_polled=provider in self._polled)
        return budgets_of(provider, wallet, window)

    def _hand_on_rates(self, provider: str, wallet: Wallet) -> None:
        for credit, text in wallet.usd_per_credit.items():
            if self._rates.get((provider, credit)) == text:
                continue
            self._rates[provider, credit] = text
            with suppress(ArithmeticError, ValueError):  # Another version may have kept it.
                self._set_rate(provider, credit, Decimal(text))

    # After a call…

    async def upstream_refused(self, provider: str, label: str) -> None:
        """Close a provider's wallet, because it refused a call: here at once, then everywhere.

        Args:
            provider: who refused.
            label: what ran out, one of `Exhausted`; a rate limit closes nothing.
        """
        said = _REASONS.get(label)
        if said is None:
            return
        reason, now_ms = said.format(provider), self._ledger.now_ms()
        for_ms = self._holds_ms(provider)
        self._shut[provider] = _Shut(reason, now_ms, now_ms + for_ms)
        await asyncio.gather(
            self._nudge(provider, now_ms, reason),
            *(
                self._close(provider, budget, subject, reason=reason, for_ms=for_ms)
                for budget, subject in self.budgets(provider)
            ),
        )

    async def _nudge(self, provider: str, now_ms: int, reason: str) -> None:
        with suppress(LedgerUnavailable):  # The poll comes at its own time.
            await self._store.nudge(provider, now_ms, reason)

    async def _close(
        self, provider: str, budget: Budget, subject: str, *, reason: str, for_ms: int
    ) -> None:
        quota = _quota_of(provider, budget.name)
        with suppress(LedgerUnavailable):  # Other workers find out with a call of their own.
            if await self._ledger.close(budget, subject, reason=reason, for_ms=for_ms):
                since = str(self._ledger.now_ms())
                await journal_closed(
                    self._ledger, self._observer, provider, quota, reason, {}, since=since
                )

    def _holds_ms(self, provider: str) -> int:
        """Return for how long a refusal closes a wallet, should no poll open it."""
        if provider in self._polled:
            return self._settings.stale_after_ms
        return HOLDS_POLLS * self._settings.every_ms

    async def passing(
        self,
        provider: str,
        headers: Mapping[str, str],
        spent_at_admission: Mapping[str, int],
        admitted_at_ms: int,
    ) -> None:
        """Take in what the headers of a call's answer tell of the wallet.

        Args:
            provider: who answered.
            headers: of the answer, in whatever case.
            spent_at_admission: what the ledger had counted when the call passed, by budget.
            admitted_at_ms: when that was, by the ledger's clock.
        """
        adapter, stored = self._adapters.get(provider), self._known.get(provider)
        now_ms = self._ledger.now_ms()
        if adapter is None or stored is None or self.is_closed(provider):
            return
        if now_ms - self._passed_ms.get(provider, now_ms - PASSING_EVERY_MS) < PASSING_EVERY_MS:
            return
        told = adapter.in_passing(headers)
        if told is None:
            return
        self._passed_ms[provider] = now_ms
        window = window_of(self._settings, is_polled=True)
        remaining = {quota.name: quota.remaining for quota in told.quotas}
        for quota in stored.wallet.quotas:
            budget = budget_of(provider, quota.name, quota.unit, window)
            left, spent = remaining.get(quota.name), spent_at_admission.get(budget.name)
            # A closure is the poll's to end; and where credits are besides, too little is told.
            if left is None or spent is None or quota.closed or quota.partly_in_passing:
                continue
            limit = in_passing_limit(quota, left, spent, self._settings.keep)
            with suppress(LedgerUnavailable):  # The next answer tells it again.
                await self._ledger.report(
                    budget, quota.cycle, limit=limit, closed="", began_ms=admitted_at_ms
                )


def _quota_of(provider: str, budget_name: str) -> str:
    return budget_name.removeprefix(budget_prefix(provider))
