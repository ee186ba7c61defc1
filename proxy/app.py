"""The composition root: the one place that chooses implementations and wires them together."""

from __future__ import annotations

import asyncio
import gc
import json
from decimal import Decimal
from pathlib import Path
from typing import Final

from aiohttp import web

from policies.clock import Clock
from policies.errors import LedgerUnavailable
from policies.learning import Learning
from policies.ledger.deployment import Commands, deployment
from policies.ledger.interface import Ask, Due
from policies.ledger.redis_ledger import RedisLedger
from policies.rulebook import Rulebook
from policies.rulebook_text import as_document
from proxy.dialects.registry import DIALECTS
from proxy.gateway.admit import Gate
from proxy.gateway.allowance import Allowance
from proxy.gateway.background import Background
from proxy.gateway.books import Books, replay
from proxy.gateway.drain import DrainLimits, Drains
from proxy.gateway.ending import Endings
from proxy.gateway.forward import Forwarder
from proxy.gateway.free import FreeRequests
from proxy.gateway.http_server import HttpServer
from proxy.gateway.inference import Stations
from proxy.gateway.intake import Intake
from proxy.gateway.leases import Leases
from proxy.gateway.meter import meter_answer
from proxy.gateway.owners import ResponseOwners
from proxy.gateway.quote import Quoter
from proxy.gateway.refuse import Refuser
from proxy.gateway.route import Route, Router
from proxy.gateway.server import DataPlane
from proxy.gateway.settle import Conclusion, Settler
from proxy.gateway.watch import Watch
from proxy.gateway.write_ahead import Unbooked, WriteAhead
from proxy.grant_store import GrantBook
from proxy.key_store import KeyStore
from proxy.keys import KeyRing
from proxy.prices.book import PriceBook
from proxy.prices.names import same_model
from proxy.prices.refresh import PriceRefresh
from proxy.providers.agipower import by_subscription
from proxy.providers.catalog import build_provider
from proxy.providers.connection import Upstream
from proxy.providers.interface import Provider
from proxy.receipts.assembly import Surroundings
from proxy.receipts.assembly import assemble as assemble_receipts
from proxy.receipts.watch import ReceiptWatch
from proxy.receipts.work import ReceiptWork
from proxy.settings import Settings
from proxy.tasks import Tasks
from proxy.wallets.assembly import assemble as assemble_wallets
from proxy.wallets.watch import WalletWatch

# At start, calls wait this long for the providers' own lists before other prices are used.
PRICES_WAIT_S: Final = 5.0
REPLAY_EVERY_S: Final = 0.5
KEYS_EVERY_S: Final = 1.0
HEADER_BYTES_MAX: Final = 64 * 1024


class Application:
    """One worker: the data plane, and what runs beside it."""

    #: The version of the policies that the journal has.
    _noted = ""

    def __init__(
        self, settings: Settings, rulebook: Rulebook, *, ledger_url: str, clock: Clock, watch: Watch
    ) -> None:
        self.settings = settings
        self.rulebook = rulebook
        self._clock = clock
        self._watch = watch
        self._tasks = Tasks(watch.task_failed)
        self._calls = Tasks(watch.task_failed)
        self.commands: Commands = deployment(
            ledger_url,
            timeout_s=settings.ledger.timeout_ms / 1000,
            spawn=self._tasks.spawn,
            clock=clock,
        )
        self.ledger = RedisLedger(
            self.commands, rulebook.organization, clock, lease_ms=settings.ledger.lease_ms
        )
        self.key_store = KeyStore(self.commands, self.ledger.keys, clock)
        self.keys = KeyRing(self.commands, self.ledger.keys, clock)
        self.grants = GrantBook(self.commands, self.ledger.keys, self.ledger.now_ms)
        self.providers: dict[str, Provider] = {
            name: build_provider(name, provider) for name, provider in settings.providers.items()
        }
        self.prices = PriceBook(
            kinds={name: provider.kind for name, provider in self.providers.items()},
            overrides=settings.price_fields(),
            clock=clock,
        )
        self._upstream = _upstream(settings, settings.gateway.timeouts.upstream_idle_ms)
        # Billing endpoints answer at once or not at all: whoever waits for one holds up nobody else.
        self._billing_upstream = _upstream(settings, settings.receipts.timeout_ms)
        self._price_refresh = PriceRefresh(
            book=self.prices,
            providers=self.providers,
            upstream=self._upstream,
            ledger=self.ledger,
            observer=watch,
        )
        self._write_ahead = WriteAhead(Path(settings.data_dir) / "write-ahead")
        self._allowance = Allowance()
        self._drains = _drains(settings)
        self._build_billing(watch)
        due_of = self.receipts.due
        self.leases = Leases(self.ledger, settings.ledger.lease_ms, watch, due_of)
        self._plane = self._build_plane()
        self._runners: list[web.ServerRunner] = []

    def _build_billing(self, watch: Watch) -> None:
        settings, commands, ledger = self.settings, self.commands, self.ledger
        self.receipts: ReceiptWork = assemble_receipts(
            settings.providers,
            settings.receipts,
            Surroundings(
                commands=commands,
                keys=ledger.keys,
                ledger=ledger,
                prices=self.prices,
                upstream=self._billing_upstream,
                watch=ReceiptWatch(watch.metrics.billing, watch.log, self._clock),
                rulebook=lambda: self.rulebook,
            ),
        )
        self.wallets, self._wallet_poll = assemble_wallets(
            settings.providers,
            settings.wallets,
            commands=commands,
            keys=ledger.keys,
            ledger=ledger,
            upstream=self._billing_upstream,
            set_rate=self._set_rate,
            watch=WalletWatch(watch.metrics.billing, watch.log, self._clock),
        )
        for name, provider in settings.providers.items():
            if provider.kind == "agipower" and not by_subscription(provider):
                self.prices.charge_no_credit(name, "flows")

    def _set_rate(self, provider: str, credit: str, usd_per_credit: Decimal) -> None:
        if by_subscription(self.settings.providers[provider]):
            self.prices.set_credit_rate(provider, credit, usd_per_credit)

    def _due(self, provider: str, conclusion: Conclusion) -> Due | None:
        exact = conclusion.certainty == "exact"
        return self.receipts.due(provider, exact=exact, cost_told=conclusion.cost_told)

    def _build_plane(self) -> DataPlane:
        owners = ResponseOwners(self.commands, self.rulebook.organization)
        router = Router(self.providers, self._routes(), self.prices, same_model)
        body_bytes_max = self.settings.gateway.body_bytes_max
        return DataPlane(
            stations=self._build_stations(owners, router),
            free=FreeRequests(
                upstream=self._upstream,
                router=router,
                owners=owners,
                body_bytes_max=body_bytes_max,
            ),
            refuser=Refuser(self.settings.gateway.refusal_status.model_dump()),
            dialects=DIALECTS,
            providers=frozenset(self.providers),
            calls=self._calls,
            calls_max=self.settings.gateway.calls_max,
            clock=self._clock,
        )

    def _build_stations(self, owners: ResponseOwners, router: Router) -> Stations:
        ledger, watch, wallets = self.ledger, self._watch, self.wallets
        learning = Learning()
        factor = self.receipts.factor
        quoter = Quoter(
            self.prices,
            learning,
            wallets=wallets.budgets,
            factor=factor,
            raised=self.grants.raised,
        )
        books = Books(ledger, self._write_ahead, self._allowance, watch, self._due)
        endings = Endings(
            ledger=ledger,
            settler=Settler(self.prices, learning, same_model),
            books=books,
            background=Background(upstream=self._upstream, leases=self.leases, tasks=self._calls),
            owners=owners,
        )
        forwarder = Forwarder(
            upstream=self._upstream,
            meter_answer=meter_answer,
            ends=endings,
            drains=self._drains,
            observer=watch,
            wallets=wallets,
        )
        requote, unused = quoter.with_quote, endings.unused
        return Stations(
            keys=self.keys,
            router=router,
            quoter=quoter,
            gate=Gate(ledger, self._allowance, requote, unused, self._clock, wallets),
            forwarder=forwarder,
            endings=endings,
            leases=self.leases,
            owners=owners,
            intake=Intake(),
            ledger=ledger,
            clock=self._clock,
            watch=watch,
            body_bytes_max=self.settings.gateway.body_bytes_max,
            rulebook=lambda: self.rulebook,
        )

    def _routes(self) -> list[Route]:
        return [
            Route(
                provider=route.provider,
                models=() if route.models == ("*",) else tuple(route.models),
                dialects=frozenset(route.dialects),
            )
            for route in self.settings.routes
        ]

    # Starting and stopping…

    async def start(self) -> None:
        """Connect, catch up with what an earlier worker left, and begin the background work."""
        await self._upstream.open()
        await self._billing_upstream.open()
        try:
            await self.commands.open()
            await self.ledger.synchronise()
            await self.keys.refresh()
            await self.grants.refresh()
            await self._note_policies()
            await self.wallets.refresh()
        except LedgerUnavailable as fault:
            self._watch.ledger_away(str(fault))
        self._watch.adopted(self._write_ahead.adopt(), self._write_ahead.unreadable)
        first_prices = self._tasks.run(self._price_refresh.refresh())
        await asyncio.wait([first_prices], timeout=PRICES_WAIT_S)
        self._tasks.spawn(self._price_refresh.run())
        self._tasks.spawn(self._keep_keys())
        self._tasks.spawn(self._keep_books())
        self._tasks.spawn(self.leases.run())
        self._tasks.spawn(self.wallets.run())
        self._tasks.spawn(self._wallet_poll.run())
        for loop in self.receipts.loops():
            self._tasks.spawn(loop)
        # What is here by now stays; the collector need not look at it again and again.
        gc.collect()
        gc.freeze()

    async def listen(
        self, host: str, port: int, *, shared: bool = False, handler_cancellation: bool = False
    ) -> int:
        """Open a port of the data plane and return it.

        Args:
            host: where.
            port: 0 for any that is free.
            shared: among the workers of one machine.
            handler_cancellation: what aiohttp does with the handler of a client that left; calls
                end in the ledger either way.
        """
        server = HttpServer(
            self._plane.handle,
            self._plane.malformed,
            header_bytes_max=HEADER_BYTES_MAX,
            handler_cancellation=handler_cancellation,
        )
        runner = web.ServerRunner(server)
        self._runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, host, port, reuse_port=shared or None, backlog=2_048)
        await site.start()
        return int(runner.addresses[0][1])

    async def stop(self) -> None:
        """Take no new calls, let those in flight end, then let go of everything."""
        await self.drain()
        await self.close()

    async def drain(self) -> None:
        """Take no new calls, and let those in flight end."""
        self._plane.closing = True
        for site in [site for runner in self._runners for site in runner.sites]:
            await site.stop()
        left = await self._calls.drain(self.settings.gateway.timeouts.shutdown_ms / 1000)
        if left:
            self._watch.cut_at_shutdown(left)
        await self._calls.close()
        for runner in self._runners:
            await runner.cleanup()

    async def close(self) -> None:
        """Let go of everything."""
        await self._tasks.close()
        await self._upstream.close()
        await self._billing_upstream.close()
        await self.commands.close()
        self._write_ahead.close()

    @property
    def busy(self) -> bool:
        """Whether a call is in flight, or its end waits to be booked."""
        return bool(len(self._calls) or len(self._write_ahead))

    @property
    def ready(self) -> bool:
        """Whether calls can be admitted now."""
        return self.commands.connected and not self._plane.closing

    async def use_rulebook(self, rulebook: Rulebook) -> None:
        """Put other policies in force, for the calls that come from now on."""
        self.rulebook = rulebook
        await self._note_policies()

    async def _note_policies(self) -> None:
        version = self.rulebook.version
        data = json.dumps(
            {
                "version": version,
                "budgets": list(self.rulebook.budgets),
                "document": as_document(self.rulebook),
            }
        )
        await self.ledger.journal_once(
            "policies", "version", version, kind="policies_loaded", data=data
        )
        self._noted = version

    # What runs beside the calls…

    async def _keep_keys(self) -> None:
        while True:
            await asyncio.sleep(KEYS_EVERY_S)
            try:
                await self.keys.refresh_if_changed()
                await self.grants.refresh_if_changed()
                if self._noted != self.rulebook.version:
                    await self._note_policies()
            except LedgerUnavailable:
                continue

    async def _keep_books(self) -> None:
        """Bring what waits in the write-ahead file to the ledger, as soon as that answers."""
        while True:
            await asyncio.sleep(REPLAY_EVERY_S)
            self._watch.stock(unbooked=len(self._write_ahead), drains=self._drains.running)
            if not self._write_ahead or not self.commands.connected:
                continue
            try:
                booked = await replay(self.ledger, self._write_ahead, self._asks_again)
            except LedgerUnavailable:
                continue
            if not self._write_ahead:
                self._allowance.reset()
            self._watch.replayed(booked)

    def _asks_again(self, entry: Unbooked) -> tuple[Ask, ...]:
        """Return what a call asked of its budgets, as far as those are still there."""
        return tuple(
            Ask(
                budget=self.grants.raised(self.rulebook.budgets[charge.budget], charge.subject),
                subject=charge.subject,
                held=charge.held,
                bound=charge.bound,
            )
            for charge in entry.reservation.charges
            if charge.budget in self.rulebook.budgets
        )


def _upstream(settings: Settings, idle_ms: int) -> Upstream:
    connect_timeout_s = settings.gateway.timeouts.connect_ms / 1000
    return Upstream(connect_timeout_s=connect_timeout_s, idle_timeout_s=idle_ms / 1000)


def _drains(settings: Settings) -> Drains:
    drain = settings.gateway.drain
    time_s = drain.time_ms / 1000
    return Drains(DrainLimits(calls_max=drain.calls_max, bytes_max=drain.bytes_max, time_s=time_s))
