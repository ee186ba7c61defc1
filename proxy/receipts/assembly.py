"""Putting the work on receipts together, for a worker and for the command line alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from policies.ledger.interface import Ledger
from policies.ledger.keys import Keys
from policies.rulebook import Rulebook
from proxy.billing_settings import ReceiptSettings
from proxy.providers.connection import Upstream
from proxy.receipts.adapters.catalog import build_receipts
from proxy.receipts.desk import Desk, Prices
from proxy.receipts.drift import DriftBook
from proxy.receipts.ghosts import Ghosts
from proxy.receipts.history.pages import HistoryReader
from proxy.receipts.history.scan import Scan
from proxy.receipts.history.shelf import Shelf
from proxy.receipts.history_work import HistoryWork
from proxy.receipts.look_up import LookUps
from proxy.receipts.schedule import Commands, Schedule
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
    schedule = Schedule(commands, keys, ledger.now_ms)
    ghosts = Ghosts(ledger, commands, keys, lambda: around.rulebook().unattributed)
    look_ups = LookUps(around.upstream, settings.timeout_ms / 1000)
    desks: dict[str, Desk] = {}
    histories: dict[str, HistoryWork] = {}
    for name, provider in providers.items():
        adapter = build_receipts(provider)
        if adapter is None:
            continue
        shelf = None
        if provider.kind == "venice" and provider.billing_key:
            shelf = Shelf(commands, keys, name)
            histories[name] = HistoryWork(
                name,
                _scan(provider, settings, around.upstream, shelf),
                shelf,
                ledger=ledger,
                schedule=schedule,
                ghosts=ghosts,
                settings=settings,
                observer=around.watch,
            )
        desks[name] = Desk(
            provider=name,
            adapter=adapter,
            shelf=shelf,
            ledger=ledger,
            schedule=schedule,
            look_ups=look_ups,
            prices=around.prices,
            ghosts=ghosts,
            settings=settings,
            observer=around.watch,
        )
    parts = Parts(
        desks=desks,
        histories=histories,
        totals=(),
        ghosts=ghosts,
        schedule=schedule,
        drift=DriftBook(commands, keys, ledger),
    )
    return ReceiptWork(parts, settings=settings, observer=around.watch, now_ms=ledger.now_ms)


def _scan(
    provider: ProviderSettings, settings: ReceiptSettings, upstream: Upstream, shelf: Shelf
) -> Scan:
    reader = HistoryReader(
        upstream,
        provider,
        form=provider.billing_format,
        timeout_ms=settings.timeout_ms,
        settle_ms=settings.rows_settle_ms,
    )
    overlap_ms = settings.scan_overlap_ms
    return Scan(reader, shelf, billing=provider.billing, overlap_ms=overlap_ms)
