"""What providers report of our accounts."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from proxy.admin.operations import Operation
from proxy.admin.replies import reply
from proxy.admin.schemas import Page, WalletRow
from proxy.admin.services import Services


class Wallets:
    """`/admin/v1/wallets`."""

    def __init__(self, services: Services) -> None:
        self._wallets = services.wallets

    def operations(self) -> Sequence[Operation]:
        """Return what can be asked."""
        return (
            Operation(
                method="GET",
                path="/admin/v1/wallets",
                name="list_wallets",
                says="Show quotas and balances, as providers reported them last.",
                handler=self.list,
                answer=Page[WalletRow],
                for_all_teams=True,
            ),
        )

    async def list(self, request: web.Request) -> web.Response:
        """Show quotas and balances, as they were reported last."""
        return reply(Page[WalletRow](items=list(await self._wallets.list())))
