"""The admin plane as a server: every path it has, behind its door."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiohttp import web
from structlog.typing import FilteringBoundLogger

from proxy.admin.access import Opening, Tokens
from proxy.admin.asked import routes
from proxy.admin.attempts import Attempts
from proxy.admin.audit import Audit
from proxy.admin.audit_export import AuditExport
from proxy.admin.audit_verify import AuditVerify
from proxy.admin.budgets import Budgets
from proxy.admin.calls import Calls
from proxy.admin.door import DOCUMENT_PATH, Door
from proxy.admin.grants import BudgetGrants
from proxy.admin.health import Health
from proxy.admin.keys import Keys
from proxy.admin.openapi import OpenApi
from proxy.admin.operations import Operation, Part
from proxy.admin.policies import Policies
from proxy.admin.receipts import Receipts
from proxy.admin.replies import BODY_BYTES_MAX
from proxy.admin.services import Services
from proxy.admin.spend import Spend
from proxy.admin.wallets import Wallets

# Answers here are small; whoever still waits for one when the proxy ends has asked in vain.
SHUTDOWN_S: Final = 1.0
# Longer addresses are refused before anybody can answer in our form; texts in a query end far below.
LINE_BYTES_MAX: Final = 64 * 1024


class AdminPlane:
    """What operators and their machines ask, on a port of its own."""

    def __init__(
        self, services: Services, openings: Sequence[Opening], log: FilteringBoundLogger
    ) -> None:
        #: Shared with whoever else lets people in by these tokens.
        self.tokens = Tokens(openings)
        self.attempts = Attempts(services.clock)
        door = Door(
            self.tokens, self.attempts, ledger=services.ledger, clock=services.clock, log=log
        )
        self.application = web.Application(
            middlewares=[door.middleware()], client_max_size=BODY_BYTES_MAX
        )
        #: All that can be asked; the OpenAPI document says the same.
        self.operations: Sequence[Operation] = _operations(services)
        self.application.add_routes(routes(self.operations, services.clock))
        self._runner: web.AppRunner | None = None

    async def listen(self, host: str, port: int) -> int:
        """Open the port and return it. Raises `OSError` when it cannot be had."""
        self._runner = web.AppRunner(
            self.application,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=SHUTDOWN_S,
            max_line_size=LINE_BYTES_MAX,
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


def _operations(services: Services) -> Sequence[Operation]:
    parts: tuple[Part, ...] = (
        Health(services),
        Budgets(services, services.grants),
        BudgetGrants(services, services.grants),
        Keys(services),
        Policies(services),
        Calls(services),
        Spend(services),
        Receipts(services),
        Wallets(services),
        Audit(services),
        AuditExport(services),
        AuditVerify(services),
    )
    found = [operation for part in parts for operation in part.operations()]
    return [*found, *OpenApi(DOCUMENT_PATH, found).operations()]
