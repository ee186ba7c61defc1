"""Calls: the latest ones, and the life of one."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from policies.journal import ADMITTED, REFUSED, Entry
from policies.ledger.interface import Ledger
from proxy.admin.call_rows import call_row, call_view, refused_row
from proxy.admin.door import access_of
from proxy.admin.journal_tail import latest
from proxy.admin.replies import Refused, reply
from proxy.admin.schemas import CallRow, Page
from proxy.admin.services import Services

CALLS_DEFAULT: Final = 50
CALLS_MAX: Final = 500
#: Each call has about this many entries: admitted, settled, receipted.
ENTRIES_PER_CALL: Final = 3


async def latest_calls(ledger: Ledger, count_max: int) -> list[CallRow]:
    """Return the calls that came in last, the newest first.

    Raises:
        LedgerUnavailable: the ledger did not answer.
    """
    entries = await latest(ledger, count_max * ENTRIES_PER_CALL)
    begun = [entry for entry in reversed(entries) if entry.kind in (ADMITTED, REFUSED)]
    rows = await asyncio.gather(*(_row(ledger, entry) for entry in begun[:count_max]))
    return [row for row in rows if row is not None]


async def _row(ledger: Ledger, entry: Entry) -> CallRow | None:
    if entry.kind == REFUSED:
        return refused_row(entry)
    record = await ledger.find(entry.call_id)
    return None if record is None else call_row(entry.call_id, record)


class Calls:
    """`/admin/v1/calls`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[web.RouteDef]:
        """Return the paths."""
        return [
            web.get("/admin/v1/calls", self.list),
            web.get("/admin/v1/calls/{id}", self.show),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """List the latest calls."""
        access = access_of(request)
        given = request.query.get("limit", str(CALLS_DEFAULT))
        if not given.isdecimal() or not 1 <= int(given) <= CALLS_MAX:
            raise Refused(400, "invalid", f"limit: write a number from 1 to {CALLS_MAX}")
        rows = await latest_calls(self._services.ledger, int(given))
        return reply(Page[CallRow](items=[row for row in rows if access.sees(row.team)]))

    async def show(self, request: web.Request) -> web.Response:
        """Show the whole life of a call."""
        call_id = request.match_info["id"]
        record = await self._services.ledger.find(call_id)
        view = call_view(call_id, record) if record is not None else None
        # Another team's call is not even said to exist.
        if view is None or not access_of(request).sees(view.team):
            raise Refused(404, "not_found", f"the ledger has no record of call {call_id}")
        return reply(view)
