"""Putting the work on receipts together, for a worker and for the command line alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from policies.ledger.interface import Ledger
from policies.ledger.keys import Keys
from policies.rulebook import Rulebook
from proxy.billing_settings import ReceiptSettings
from proxy.providers.connection import Upstream
from proxy.receipts.account_totals import AccountTotals
from proxy.receipts.accounts import accounts
from proxy.receipts.adapters.agipower_totals import AgiPowerTotals
from proxy.receipts.adapters.catalog import build_receipts
from proxy.receipts.billed_hours import BilledHours
from proxy.receipts.desk import Desk, Prices
from proxy.receipts.drift import DriftBook
from proxy.receipts.ghosts import Ghosts
from proxy.receipts.history.pages import HistoryReader
from proxy.receipts.history.scan import Scan
from proxy.receipts.history.shelf import Shelf
from proxy.receipts.history_work import HistoryWork
from proxy.receipts.look_up import LookUps
from proxy.receipts.schedule import SLOW_MS_MIN, Commands, Schedule
from proxy.receipts.undecided_calls import UndecidedCalls
from proxy.receipts.watch import ReceiptWatch
from proxy.receipts.work import Parts, ReceiptWork
from proxy.settings import ProviderSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the work on receipts stands on."""

    commands: Commands
    keys: Keys
    ledger: Ledger
    prices: Prices
    upstream: Upstream
    watch: ReceiptWatch
    rulebook: Callable[[], Rulebook]


def assemble(
    providers: Mapping[str, ProviderSettings], settings: ReceiptSettings, around: Surroundings
) -> ReceiptWork:
    """Return the work on the receipts of these providers.

    Raises:
        ValueError: a path of a provider's configuration cannot be used.
    """
    ledger, commands, keys = around.ledger, around.commands, around.keys
    slow_ms_min = min(SLOW_MS_MIN, settings.retry_after_ms)
    schedule = Schedule(commands, keys, ledger.now_ms, slow_ms_min=slow_ms_min)
    ghosts = Ghosts(ledger, commands, keys, lambda: around.rulebook().unattributed)
    histories = {
        name: _history(name, provider, settings, around, schedule, ghosts)
        for name, provider in providers.items()
        if provider.kind == "venice" and provider.billing_key
    }
    look_ups = LookUps(around.upstream, settings.timeout_ms / 1000)
    desks: dict[str, Desk] = {}
    for name, provider in providers.items():
        adapter = build_receipts(provider)
        if adapter is None:
            continue
        desks[name] = Desk(
            provider=name,
            adapter=adapter,
            shelf=histories[name].shelf if name in histories else None,
            ledger=ledger,
            schedule=schedule,
            look_ups=look_ups,
            prices=around.prices,
            ghosts=ghosts,
            settings=settings,
            observer=around.watch,
        )
    found = _totals(providers, settings, around, ghosts)
    parts = Parts(
        desks=desks,
        histories=histories,
        totals=tuple(totals for totals, _ in found.values()),
        extra_usage={name: hours.extra_usage for name, (_, hours) in found.items()},
        ghosts=ghosts,
        schedule=schedule,
        drift=DriftBook(commands, keys, ledger),
    )
    return ReceiptWork(parts, settings=settings, observer=around.watch, now_ms=ledger.now_ms)


def _totals(
    providers: Mapping[str, ProviderSettings],
    settings: ReceiptSettings,
    around: Surroundings,
    ghosts: Ghosts,
) -> dict[str, tuple[AccountTotals, BilledHours]]:
    """Return who compares what accounts were billed with our calls, by the account's name."""
    found = {}
    commands, keys = around.commands, around.keys
    for account in accounts(providers):
        hours = BilledHours(
            AgiPowerTotals(*(providers[name] for name in account.providers)),
            around.upstream,
            commands,
            keys,
            account=account.name,
            now_ms=around.ledger.now_ms,
            ghost_after_ms=settings.ghost_after_ms,
            timeout_ms=settings.timeout_ms,
        )
        totals = AccountTotals(
            account,
            hours=hours,
            undecided_ms=UndecidedCalls(commands, keys, account.providers).oldest_ms,
            ghosts=ghosts,
            commands=commands,
            keys=keys,
            settings=settings,
            observer=around.watch,
        )
        found[account.name] = totals, hours
    return found


def _history(
    name: str,
    provider: ProviderSettings,
    settings: ReceiptSettings,
    around: Surroundings,
    schedule: Schedule,
    ghosts: Ghosts,
) -> HistoryWork:
    """Return who reads the billing history of a provider, and keeps its rows."""
    shelf = Shelf(around.commands, around.keys, name)
    reader = HistoryReader(
        around.upstream,
        provider,
        form=provider.billing_format,
        timeout_ms=settings.timeout_ms,
        settle_ms=settings.rows_settle_ms,
    )
    return HistoryWork(
        name,
        Scan(reader, shelf, billing=provider.billing, overlap_ms=settings.scan_overlap_ms),
        shelf,
        ledger=around.ledger,
        schedule=schedule,
        ghosts=ghosts,
        settings=settings,
        observer=around.watch,
    )
