"""A proxy in one process: gateway and admin plane side by side."""

from __future__ import annotations

import asyncio

from structlog.typing import FilteringBoundLogger

from policies.clock import Clock, SystemClock
from policies.errors import LedgerUnavailable
from policies.rulebook import Rulebook
from proxy.app import Application
from proxy.archive.database import database_at
from proxy.cli.admin_plane import admin_plane, admin_services
from proxy.cli.configuration import Configuration
from proxy.cli.events import OperatorLog
from proxy.cli.ledger_access import LedgerAccess
from proxy.cli.listening import free_port, unusable, url
from proxy.cli.receipt_rows import ReceiptRows
from proxy.cli.serving import Addresses
from proxy.cli.upkeep import Upkeep
from proxy.gateway.watch import Watch
from proxy.key_store import KeyStore
from proxy.policy_watch import PolicyWatch, Rejected, Reloaded
from proxy.tasks import Tasks
from proxy.telemetry.metrics import Metrics
from proxy.telemetry.traces import otlp_traces


class SingleProcess:
    """Serves from this process."""

    def __init__(
        self,
        configuration: Configuration,
        ledger_url: str,
        log: FilteringBoundLogger,
        *,
        calls_log: FilteringBoundLogger | None = None,
    ) -> None:
        """Start nothing yet; calls and prices may have a log of their own."""
        settings, clock = configuration.settings, SystemClock()
        self.clock: Clock = clock
        self.configuration = configuration
        self._events = OperatorLog(log)
        self._tasks = Tasks(self._events.failed)
        metrics = Metrics(clock)
        traces = settings.traces
        self._traces = otlp_traces(traces.endpoint, traces.headers, traces.sample)
        self._application = Application(
            settings,
            configuration.rulebook,
            ledger_url=ledger_url,
            clock=clock,
            watch=Watch(metrics, calls_log or log, traces=self._traces, clock=clock),
        )
        self._policies = PolicyWatch(
            settings.policies,
            configuration.rulebook,
            self._use,
            self._events,
            environ=configuration.environ,
        )
        access = LedgerAccess(
            commands=self._application.commands,
            ledger=self._application.ledger,
            key_store=self._application.key_store,
            clock=clock,
        )
        services = admin_services(
            settings,
            access=access,
            database=database_at(settings.archive, settings.data_dir),
            receipts=ReceiptRows(self._application.receipts),
            metrics=metrics,
            rulebook=lambda: self._policies.rulebook,
            reload=self.reload,
            obstacles=self._obstacles,
        )
        self._admin = admin_plane(settings, services, access, log)
        self._upkeep = Upkeep(settings, services, access, metrics, log)
        self._closing = False

    @property
    def key_store(self) -> KeyStore:
        """The keys of its callers."""
        return self._application.key_store

    async def start(self) -> Addresses:
        """Open the ports; calls are taken from now on."""
        gateway = self.configuration.settings.gateway
        admin = self.configuration.settings.admin
        for each in (gateway, admin):
            free_port(each.host, each.port)
        await self._application.start()
        try:
            port = await self._application.listen(gateway.host, gateway.port)
        except OSError as error:
            raise unusable(gateway.host, gateway.port, error) from error
        try:
            admin_port = await self._admin.listen(admin.host, admin.port)
        except OSError as error:
            raise unusable(admin.host, admin.port, error) from error
        await self._upkeep.start()
        self._tasks.spawn(self._policies.run())
        return Addresses(gateway=url(gateway.host, port), admin=url(admin.host, admin_port))

    async def reload(self) -> Reloaded | Rejected:
        """Load the policies anew."""
        return await self._policies.reload()

    async def stop(self) -> None:
        """Take no new calls, let those in flight end, then let go of everything."""
        self._closing = True
        await self._tasks.close()
        # The admin plane stays to the end: it says that this proxy is not ready any more.
        await self._application.drain()
        await self._upkeep.stop()
        await self._application.close()
        await self._admin.close()
        await asyncio.to_thread(self._traces.close)

    def kill(self) -> None:
        """There are no other processes."""

    async def _use(self, rulebook: Rulebook) -> None:
        try:
            await self._application.use_rulebook(rulebook)
        except LedgerUnavailable as fault:
            self._events.policies_not_journalled(str(fault))

    def _obstacles(self) -> list[str]:
        return [] if self._application.ready and not self._closing else ["calls are not taken now"]
