"""What alerts are made from: budgets, wallets, receipts and the archive, as they stand now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from policies.budgets import Budget
from policies.decisions import Standing
from policies.ledger.interface import Ledger
from policies.ledger.keys import place
from policies.rulebook import UNATTRIBUTED, Rulebook
from proxy.admin.schemas import Amount, ReceiptsRow, WalletRow
from proxy.alerts.alert import Alert
from proxy.alerts.conditions import (
    ModelDrift,
    Overdue,
    QuotaLevel,
    archive_alerts,
    budget_alerts,
    receipt_alerts,
    wallet_alerts,
)
from proxy.alerts.work import Source
from proxy.receipts.compare import day_name
from proxy.receipts.schedule import Schedule
from proxy.settings import Settings

_DAY_MS: Final = 86_400_000
_PERCENT: Final = 100

#: How all budgets stand, with what was granted.
Standings = Callable[[], Awaitable[Sequence[Standing]]]
#: How many calls counters have refused since a time, by counter.
Refusals = Callable[[Sequence[str], int], Awaitable[Mapping[str, int]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSources:
    """Asks everybody who knows; may raise any `BursarError`."""

    #: What counts as low, as late and as off.
    settings: Settings
    ledger: Ledger
    #: The queues of receipts.
    schedule: Schedule
    #: The policies in force.
    rulebook: Callable[[], Rulebook]
    standings: Standings
    refusals: Refusals
    #: What providers report.
    wallets: Callable[[], Awaitable[Sequence[WalletRow]]]
    #: How receipts stand.
    receipts: Callable[[], Awaitable[Sequence[ReceiptsRow]]]
    #: How many entries of the journal wait for the archive.
    backlog: Callable[[], Awaitable[int]]

    def by_name(self) -> Mapping[str, Source]:
        """Return them as the round asks them."""
        return {
            "archive": self.of_archive,
            "wallets": self.of_wallets,
            "receipts": self.of_receipts,
            "budgets": self.of_budgets,
        }

    async def of_budgets(self) -> Sequence[Alert]:
        """Return what there is to tell of budgets."""
        rulebook, now_ms = self.rulebook(), self.ledger.now_ms()
        budgets = {**rulebook.budgets, UNATTRIBUTED: rulebook.unattributed}
        standings = await self.standings()
        # Who has spent nothing yet has refused nothing either, but for calls that are too large: those
        # are no news about the budget.
        spent = [each for each in standings if each.spent]
        refused = await self._refused(spent, budgets, now_ms)
        return budget_alerts(spent, budgets, refused, now_ms)

    async def _refused(
        self, standings: Sequence[Standing], budgets: Mapping[str, Budget], now_ms: int
    ) -> Mapping[tuple[str, str], int]:
        counters = {
            place(budgets[each.budget], each.subject, now_ms).counter: each
            for each in standings
            if each.budget in budgets and each.mode == "enforce"
        }
        if not counters:
            return {}
        since_ms = min(each.start_ms for each in counters.values())
        found = await self.refusals(list(counters), since_ms)
        return {
            (counters[name].budget, counters[name].subject): calls for name, calls in found.items()
        }

    async def of_wallets(self) -> Sequence[Alert]:
        """Return what there is to tell of wallets."""
        levels = [
            QuotaLevel(
                provider=row.provider,
                quota=quota.name,
                unit=quota.unit,
                limit=_number(quota.limit),
                remaining=_number(quota.remaining),
                closed=row.closed or quota.closed,
                resets_at=quota.resets_at,
            )
            for row in await self.wallets()
            for quota in row.quotas
        ]
        return wallet_alerts(levels, self.settings.alerts.wallet_low)

    async def of_receipts(self) -> Sequence[Alert]:
        """Return what there is to tell of receipts."""
        now_ms = self.ledger.now_ms()
        before_ms = now_ms - self.settings.alerts.receipts_overdue_ms
        rows = await self.receipts()
        overdue = [
            Overdue(
                provider=row.provider,
                calls=await self.schedule.begun_before(row.provider, before_ms),
            )
            for row in rows
        ]
        days = {day_name(now_ms - back * _DAY_MS).removeprefix("sums:") for back in (0, 1)}
        return receipt_alerts(overdue, self._drifts(rows, days))

    def _drifts(self, rows: Sequence[ReceiptsRow], days: set[str]) -> list[ModelDrift]:
        settings, found = self.settings.receipts, []
        for row in rows:
            for drift in row.drift:
                change = abs(drift.difference.nano_usd)
                is_off = change * _PERCENT > drift.metered.nano_usd * settings.drift_max
                if drift.day in days and drift.compared >= settings.drift_calls_min and is_off:
                    found.append(
                        ModelDrift(
                            provider=row.provider,
                            model=drift.model,
                            day=drift.day,
                            compared=drift.compared,
                            metered_nano_usd=drift.metered.nano_usd,
                            billed_nano_usd=drift.billed.nano_usd,
                        )
                    )
        return found

    async def of_archive(self) -> Sequence[Alert]:
        """Return what there is to tell of the archive."""
        return archive_alerts(await self.backlog(), self.settings.archive.backlog_max)


def _number(amount: Amount | None) -> int | None:
    """Return an amount of a row in nano-units, or in whole units where it is counted so."""
    if isinstance(amount, dict):
        return int(amount["nano_usd" if "nano_usd" in amount else "nano"])
    return amount
