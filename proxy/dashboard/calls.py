"""Calls: filtered, page by page, or as they come in."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from proxy.archive.filters import CALL_STATES, BadFilter
from proxy.archive.lines import CallLine, Page
from proxy.dashboard.call_filters import FIELDS, cursor_of, wanted_of
from proxy.dashboard.gate import Gate, Visit
from proxy.dashboard.pages import Pages
from proxy.dashboard.sources import Sources

PER_PAGE: Final = 50


class Calls:
    """`/calls`."""

    def __init__(self, sources: Sources, gate: Gate, pages: Pages) -> None:
        self._sources = sources
        self._gate = gate
        self._pages = pages

    def routes(self) -> list[web.RouteDef]:
        """Return the paths."""
        return [web.get("/calls", self._gate.page(self.show))]

    async def show(self, visit: Visit) -> web.StreamResponse:
        """Show a page of them; what is wrong with a filter is said beside it."""
        now_ms = self._sources.services.ledger.now_ms()
        found: Page[CallLine] = Page(items=(), next=None)
        wanted, said, before = None, "", None
        try:
            teams = visit.session.access.seen_teams
            wanted = wanted_of(visit.request.query, teams, now_ms)
            before = cursor_of(visit.asked("before"))
            found = await self._sources.services.archive.calls(
                wanted.calls, before=before, count_max=PER_PAGE
            )
        except BadFilter as bad:
            said = str(bad)
        values: dict[str, Any] = {
            "fields": {name: visit.asked(name) for name in FIELDS},
            "states": CALL_STATES,
            "is_filtered": any(visit.asked(name) for name in FIELDS),
            "lines": found.items,
            "said": said,
            "next_address": (
                wanted.address("/calls", before=found.next)
                if wanted is not None and found.next is not None
                else None
            ),
            "first_address": (
                wanted.address("/calls") if wanted is not None and before is not None else None
            ),
            # What comes in is newer than any older page.
            "live_address": (
                wanted.address("/calls/live") if wanted is not None and before is None else None
            ),
        }
        return self._pages.show(
            "calls.html",
            title="Calls",
            place="/calls",
            session=visit.session,
            status=400 if said else 200,
            values=values,
        )
