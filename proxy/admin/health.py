"""Whether the proxy lives, whether it can take calls, and its numbers; none of it is secret."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from policies.errors import LedgerUnavailable
from proxy.admin.replies import NO_STORE
from proxy.admin.services import Services
from proxy.telemetry.metrics import CONTENT_TYPE

UNAVAILABLE: Final = 503


class Health:
    """What machines ask."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[web.RouteDef]:
        """Return the paths."""
        return [
            web.get("/healthz", self.healthz),
            web.get("/readyz", self.readyz),
            web.get("/metrics", self.metrics),
        ]

    async def healthz(self, request: web.Request) -> web.Response:
        """Say that the process answers."""
        return web.json_response({"status": "ok"}, headers=NO_STORE)

    async def readyz(self, request: web.Request) -> web.Response:
        """Say whether calls can be admitted, and what stands against it."""
        reasons = list(self._services.obstacles())
        try:
            await self._services.ping()
        except LedgerUnavailable:
            # Its message may name hosts; whoever may know them finds it in the log.
            reasons.append("the ledger does not answer")
        if reasons:
            body = {"status": "unavailable", "reasons": reasons}
            return web.json_response(body, status=UNAVAILABLE, headers=NO_STORE)
        return web.json_response({"status": "ready"}, headers=NO_STORE)

    async def metrics(self, request: web.Request) -> web.Response:
        """Return the numbers of all workers, for Prometheus."""
        return web.Response(
            body=self._services.metrics(), headers={**NO_STORE, "Content-Type": CONTENT_TYPE}
        )
