"""A proxy in several processes: workers share the gateway's port, the admin plane is here."""

from __future__ import annotations

import socket
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from structlog.typing import FilteringBoundLogger

import proxy
from policies.clock import Clock, SystemClock
from policies.errors import LedgerUnavailable
from policies.rulebook import Rulebook
from proxy.admin.plane import AdminPlane
from proxy.admin.services import Services
from proxy.archive.database import database_at
from proxy.cli.admin_plane import admin_plane, admin_services
from proxy.cli.configuration import Configuration
from proxy.cli.events import OperatorLog
from proxy.cli.ledger_access import LedgerAccess, ledger_access
from proxy.cli.listening import free_port, hold, unusable, url
from proxy.cli.receipt_access import receipt_access
from proxy.cli.receipt_rows import ReceiptRows
from proxy.cli.serving import Addresses
from proxy.cli.upkeep import Upkeep
from proxy.cli.worker import Brief
from proxy.key_store import KeyStore
from proxy.policy_watch import PolicyWatch, Rejected, Reloaded
from proxy.tasks import Tasks
from proxy.telemetry.metrics import Metrics
from proxy.workers import Supervisor

# Not `-m`: that would look for packages in the working directory first, and find strangers there.
_ROOT: Final = str(Path(proxy.__file__).parents[1])
WORKER: Final = (
    *(sys.executable, "-P", "-c"),
    f"import sys; sys.path.append({_ROOT!r}); from proxy.cli.worker import main; main()",
)


class SeveralProcesses:
    """Serves from workers, which this process looks after."""

    def __init__(
        self, configuration: Configuration, ledger_url: str, log: FilteringBoundLogger
    ) -> None:
        self.configuration = configuration
        self._ledger_url = ledger_url
        self._log = log
        self.clock: Clock = SystemClock()
        self._events = OperatorLog(log)
        self._tasks = Tasks(self._events.failed)
        self._held = AsyncExitStack()
        self._port: socket.socket | None = None
        self._access: LedgerAccess | None = None
        self._admin: AdminPlane | None = None
        self._upkeep: Upkeep | None = None
        self._closing = False
        self._metrics = configuration.settings.data_dir / "metrics"
        self._supervisor = Supervisor(
            WORKER,
            configuration.settings.workers,
            self._brief,
            self._events,
            now_s=self.clock.monotonic_s,
        )
        self._policies = PolicyWatch(
            configuration.settings.policies,
            configuration.rulebook,
            self._supervisor.tell,
            self._events,
            environ=configuration.environ,
        )

    @property
    def key_store(self) -> KeyStore:
        """The keys of its callers."""
        return self._opened.key_store

    async def start(self) -> Addresses:
        """Open the ports; calls are taken from now on."""
        settings = self.configuration.settings
        gateway, admin = settings.gateway, settings.admin
        free_port(admin.host, admin.port)
        self._port = hold(gateway.host, gateway.port)
        for left in self._metrics.glob("*.metrics.json"):
            # Numbers of an earlier run; a counter begins at zero when its process does.
            left.unlink()
        organization = self.configuration.rulebook.organization
        self._access = await self._held.enter_async_context(
            ledger_access(self._ledger_url, settings, organization)
        )
        try:
            await self._access.open()
        except LedgerUnavailable as fault:
            self._events.ledger_unavailable(str(fault))
        await self._supervisor.start()
        metrics = Metrics(self.clock, folder=self._metrics, worker="supervisor")
        receipts = await self._held.enter_async_context(
            receipt_access(settings, self._access, self._in_force, metrics, self._log)
        )
        services = self._services(self._access, receipts, metrics)
        self._admin = admin_plane(settings, services, self._access, self._log)
        self._upkeep = Upkeep(settings, services, self._access, metrics, self._log)
        try:
            admin_port = await self._admin.listen(admin.host, admin.port)
        except OSError as error:
            raise unusable(admin.host, admin.port, error) from error
        await self._upkeep.start()
        self._tasks.spawn(self._policies.run())
        port = self._port.getsockname()[1]
        return Addresses(gateway=url(gateway.host, port), admin=url(admin.host, admin_port))

    async def reload(self) -> Reloaded | Rejected:
        """Load the policies anew, here, for all workers."""
        return await self._policies.reload()

    async def stop(self) -> None:
        """Let the workers end their calls, then let go of everything."""
        self._closing = True
        await self._tasks.close()
        timeouts = self.configuration.settings.gateway.timeouts
        await self._supervisor.stop(timeouts.shutdown_ms / 1000)
        if self._upkeep is not None:
            await self._upkeep.stop()
        if self._admin is not None:
            await self._admin.close()
        await self._held.aclose()
        if self._port is not None:
            self._port.close()

    def kill(self) -> None:
        """End the workers at once."""
        self._supervisor.kill()

    @property
    def _opened(self) -> LedgerAccess:
        if self._access is None:
            raise RuntimeError("the ledger is open from start to stop")
        return self._access

    def _brief(self, number: int) -> Brief:
        if self._port is None:
            raise RuntimeError("the port is held from start to stop")
        return Brief(
            number=number,
            settings=self.configuration.settings,
            rulebook=self._policies.rulebook,
            ledger_url=self._ledger_url,
            port=self._port.getsockname()[1],
            metrics=self._metrics,
        )

    def _services(self, access: LedgerAccess, receipts: ReceiptRows, metrics: Metrics) -> Services:
        settings = self.configuration.settings
        return admin_services(
            settings,
            access=access,
            database=database_at(settings.archive, settings.data_dir),
            receipts=receipts,
            metrics=metrics,
            rulebook=self._in_force,
            reload=self.reload,
            obstacles=self._obstacles,
        )

    def _in_force(self) -> Rulebook:
        return self._policies.rulebook

    def _obstacles(self) -> list[str]:
        if self._closing:
            return ["calls are not taken now"]
        return [] if self._supervisor.ready else ["no worker is ready"]
