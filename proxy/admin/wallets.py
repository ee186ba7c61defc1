"""What providers report of our accounts."""

from __future__ import annotations

from aiohttp import web

from proxy.admin.door import access_of, check_sees_all
from proxy.admin.replies import reply
from proxy.admin.schemas import Page, WalletRow
from proxy.admin.services import Services


class Wallets:
    """`/admin/v1/wallets`."""

    def __init__(self, services: Services) -> None:
        self._wallets = services.wallets

    def routes(self) -> list[web.RouteDef]:
        """Return the paths."""
        return [web.get("/admin/v1/wallets", self.list)]

    async def list(self, request: web.Request) -> web.Response:
        """Show quotas and balances, as they were reported last."""
        check_sees_all(access_of(request))
        return reply(Page[WalletRow](items=list(await self._wallets.list())))
