"""How receipts stand, and looking for those that are due."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from aiohttp import web

from proxy.admin.acts import RECEIPTS_RUN, note_act
from proxy.admin.asked import access_of
from proxy.admin.operations import Operation
from proxy.admin.replies import reply
from proxy.admin.schemas import Page, ReceiptRun, ReceiptsRow
from proxy.admin.services import Services

#: Clients and what stands before us give up on an answer after about a minute.
RUN_S: Final = 50.0


class Receipts:
    """`/admin/v1/receipts`."""

    def __init__(self, services: Services, run_s: float = RUN_S) -> None:
        """Take who looks for receipts, and for how long one request may have it do so."""
        self._receipts = services.receipts
        self._ledger = services.ledger
        self._run_s = run_s

    def operations(self) -> Sequence[Operation]:
        """Return what can be asked."""
        return (
            Operation(
                method="GET",
                path="/admin/v1/receipts",
                name="list_receipts",
                says="Show how the receipts of every provider stand.",
                handler=self.list,
                answer=Page[ReceiptsRow],
                for_all_teams=True,
            ),
            Operation(
                method="POST",
                path="/admin/v1/receipts/run",
                name="run_receipts",
                says="Look for the receipts that are due now, as far as that gets in 50 seconds.",
                handler=self.run,
                answer=ReceiptRun,
            ),
        )

    async def list(self, request: web.Request) -> web.Response:
        """Show how the receipts of every provider stand."""
        return reply(Page[ReceiptsRow](items=list(await self._receipts.status())))

    async def run(self, request: web.Request) -> web.Response:
        """Look for what is due now, as far as that gets in the time."""
        await note_act(self._ledger, RECEIPTS_RUN, access_of(request))
        results: dict[str, int] = {}

        def told(so_far: Mapping[str, int]) -> None:
            results.update(so_far)

        try:
            async with asyncio.timeout(self._run_s):
                told(await self._receipts.run_due(told))
        except TimeoutError:
            # Whatever was claimed is due again by itself.
            return reply(ReceiptRun(results=results, finished=False))
        return reply(ReceiptRun(results=results, finished=True))
