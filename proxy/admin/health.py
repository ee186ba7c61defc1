"""Whether the proxy lives, whether it can take calls, and its numbers; none of it is secret."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from aiohttp import web

from policies.errors import LedgerUnavailable
from proxy.admin.operations import Operation
from proxy.admin.replies import NO_STORE, reply
from proxy.admin.schemas import Row
from proxy.admin.services import Services
from proxy.telemetry.metrics import CONTENT_TYPE

UNAVAILABLE: Final = 503


class Alive(Row):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(Row):
    """Calls can be admitted."""

    status: Literal["ready"] = "ready"


class NotReady(Row):
    """Calls cannot be admitted."""

    status: Literal["unavailable"] = "unavailable"
    reasons: list[str]


class Health:
    """What machines ask."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def operations(self) -> Sequence[Operation]:
        """Return what can be asked, without a token and whatever else stands in the address."""
        return (
            Operation(
                method="GET",
                path="/healthz",
                name="get_health",
                says="Tell that the process answers.",
                handler=self.healthz,
                query=None,
                answer=Alive,
                open=True,
            ),
            Operation(
                method="GET",
                path="/readyz",
                name="get_readiness",
                says="Tell whether calls can be admitted, and what stands against it.",
                handler=self.readyz,
                query=None,
                answer=Ready,
                others={UNAVAILABLE: NotReady},
                open=True,
            ),
            Operation(
                method="GET",
                path="/metrics",
                name="get_metrics",
                says="Show the numbers of all workers, for Prometheus.",
                handler=self.metrics,
                query=None,
                answer=("text/plain",),
                open=True,
            ),
        )

    async def healthz(self, request: web.Request) -> web.Response:
        """Say that the process answers."""
        return reply(Alive())

    async def readyz(self, request: web.Request) -> web.Response:
        """Say whether calls can be admitted, and what stands against it."""
        reasons = list(self._services.obstacles())
        try:
            await self._services.ping()
        except LedgerUnavailable:
            # Its message may name hosts; whoever may know them finds it in the log.
            reasons.append("the ledger does not answer")
        if reasons:
            return reply(NotReady(reasons=reasons), UNAVAILABLE)
        return reply(Ready())

    async def metrics(self, request: web.Request) -> web.Response:
        """Return the numbers of all workers, for Prometheus."""
        return web.Response(
            body=self._services.metrics(), headers={**NO_STORE, "Content-Type": CONTENT_TYPE}
        )
