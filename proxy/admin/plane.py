"""The admin plane as a server: every path it has, behind its door."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiohttp import web
from structlog.typing import FilteringBoundLogger

from proxy.admin.access import Grant, Tokens
from proxy.admin.budgets import Budgets
from proxy.admin.calls import Calls
from proxy.admin.door import Door
from proxy.admin.health import Health
from proxy.admin.keys import Keys
from proxy.admin.policies import Policies
from proxy.admin.receipts import Receipts
from proxy.admin.replies import BODY_BYTES_MAX
from proxy.admin.services import Services
from proxy.admin.wallets import Wallets

# Answers here are small; whoever still waits for one when the proxy ends has asked in vain.
SHUTDOWN_S: Final = 1.0


class AdminPlane:
    """What operators and their machines ask, on a port of its own."""

    def __init__(
        self, services: Services, grants: Sequence[Grant], log: FilteringBoundLogger
    ) -> None:
        door = Door(Tokens(grants), log)
        self.application = web.Application(
            middlewares=[door.middleware()], client_max_size=BODY_BYTES_MAX
        )
        for part in (Health, Budgets, Keys, Policies, Calls, Receipts, Wallets):
            self.application.add_routes(part(services).routes())
        self._runner: web.AppRunner | None = None

    async def listen(self, host: str, port: int) -> int:
        """Open the port and return it. Raises `OSError` when it cannot be had."""
        self._runner = web.AppRunner(
            self.application, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_S
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        bound: int = self._runner.addresses[0][1]
        return bound

    async def close(self) -> None:
        """Close the port."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
