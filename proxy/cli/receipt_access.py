"""The work on receipts for a process that serves no calls: a command, or the parent of workers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal

from structlog.typing import FilteringBoundLogger

from policies.rulebook import Rulebook
from proxy.cli.ledger_access import LedgerAccess
from proxy.cli.receipt_rows import ReceiptRows
from proxy.gateway.watch import Watch
from proxy.prices.book import PriceBook
from proxy.prices.refresh import PriceRefresh
from proxy.providers.agipower import by_subscription
from proxy.providers.catalog import build_provider
from proxy.providers.connection import Upstream
from proxy.receipts.assembly import Surroundings, assemble
from proxy.receipts.watch import ReceiptWatch
from proxy.settings import Settings
from proxy.telemetry.metrics import Metrics
from proxy.wallets.store import WalletStore


@asynccontextmanager
async def receipt_access(
    settings: Settings,
    access: LedgerAccess,
    rulebook: Callable[[], Rulebook],
    metrics: Metrics,
    log: FilteringBoundLogger,
) -> AsyncIterator[ReceiptRows]:
    """Give the work on a configuration's receipts.

    Raises:
        ValueError: a path of a provider's configuration cannot be used.
    """
    upstream = Upstream(
        connect_timeout_s=settings.gateway.timeouts.connect_ms / 1000,
        idle_timeout_s=settings.receipts.timeout_ms / 1000,
    )
    prices = PriceBook(
        kinds={name: provider.kind for name, provider in settings.providers.items()},
        overrides=settings.price_fields(),
        clock=access.clock,
    )
    work = assemble(
        settings.providers,
        settings.receipts,
        Surroundings(
            commands=access.commands,
            keys=access.ledger.keys,
            ledger=access.ledger,
            prices=prices,
            upstream=upstream,
            watch=ReceiptWatch(metrics.billing, log, access.clock),
            rulebook=rulebook,
        ),
    )
    metering = _Metering(settings, access, prices, upstream, Watch(metrics, log))
    await upstream.open()
    try:
        yield ReceiptRows(work, metering.prepare)
    finally:
        await upstream.close()


class _Metering:
    """What it takes to meter again a call of a subscription key whose answer was cut.

    Other calls end at what their provider says: nothing is metered for those, and no list is read.
    """

    def __init__(
        self,
        settings: Settings,
        access: LedgerAccess,
        prices: PriceBook,
        upstream: Upstream,
        watch: Watch,
    ) -> None:
        self._subscribed = {
            name: provider
            for name, provider in settings.providers.items()
            if by_subscription(provider)
        }
        self._store = WalletStore(access.commands, access.ledger.keys)
        self._prices = prices
        self._refresh = PriceRefresh(
            book=prices,
            providers={name: build_provider(name, p) for name, p in self._subscribed.items()},
            upstream=upstream,
            ledger=access.ledger,
            observer=watch,
        )

    async def prepare(self) -> None:
        """Read the price lists, and what a Flow is worth. Raises `LedgerUnavailable`."""
        await self._refresh.refresh()
        for name, stored in (await self._store.load_all(self._subscribed)).items():
            for credit, rate in stored.wallet.usd_per_credit.items():
                self._prices.set_credit_rate(name, credit, Decimal(rate))
