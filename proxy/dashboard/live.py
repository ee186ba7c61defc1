"""Calls as they come in: one look into the journal each second, for however many who follow."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from aiohttp import web

from policies.errors import LedgerUnavailable
from policies.journal import ADMITTED, REFUSED, Entry
from policies.ledger.interface import Ledger
from proxy.admin.call_rows import call_row, refused_row
from proxy.admin.schemas import CallRow
from proxy.dashboard.call_filters import Wanted, wanted_of
from proxy.dashboard.gate import COOKIE, Gate, Turned, Visit
from proxy.dashboard.pages import HEADERS, NO_STORE
from proxy.dashboard.sessions import Sessions
from proxy.dashboard.sources import Sources
from proxy.dashboard.wording import cost, second
from proxy.tasks import Tasks

EVERY_S: Final = 1.0
#: What came in just before is told too: the page may not have it yet, and clocks differ a little.
BACK_MS: Final = 1_000
#: A connection in between may close one on which nothing is said.
HEARTBEAT_S: Final = 15.0
CLIENTS_MAX: Final = 64
#: Nobody reads more lines in a second; what is left out is on the page when it is loaded again.
ROWS_MAX: Final = 100
#: Whoever is so far behind is let go: the browser comes again by itself.
WAITING_MAX: Final = 8
_PAGE_ENTRIES: Final = 1_000
_PAGES_MAX: Final = 10
# Disjoint parts of what was used; reasoning is a part of the output.
_INPUT: Final = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "audio_input_tokens",
)
_OUTPUT: Final = ("output_tokens", "audio_output_tokens")


class Tail:
    """Looks into the journal while somebody follows, and tells all of them."""

    def __init__(self, ledger: Ledger, tasks: Tasks, every_s: float = EVERY_S) -> None:
        self._ledger = ledger
        self._tasks = tasks
        self._every_s = every_s
        self._followers: set[asyncio.Queue[Sequence[CallRow] | None]] = set()
        self._looks = False

    def __len__(self) -> int:
        """Return how many follow."""
        return len(self._followers)

    def follow(self) -> asyncio.Queue[Sequence[CallRow] | None]:
        """Return where calls will be told from now on; None: this follower was too slow."""
        queue: asyncio.Queue[Sequence[CallRow] | None] = asyncio.Queue(WAITING_MAX)
        self._followers.add(queue)
        if not self._looks:
            self._looks = True
            self._tasks.spawn(self._look())
        return queue

    def leave(self, queue: asyncio.Queue[Sequence[CallRow] | None]) -> None:
        """Tell somebody no more."""
        self._followers.discard(queue)

    async def close(self) -> None:
        """Let everybody go."""
        for queue in list(self._followers):
            self._let_go(queue)
        await self._tasks.close()

    async def _look(self) -> None:
        after = f"{self._ledger.now_ms() - BACK_MS}-0"
        try:
            while self._followers:
                await asyncio.sleep(self._every_s)
                try:
                    after, rows = await self._news(after)
                except LedgerUnavailable:
                    # Whoever follows goes on to wait; it is on every other page that it is away.
                    continue
                if rows:
                    self._tell(rows)
        finally:
            self._looks = False
            # After a fault nobody waits in vain: browsers come again, and with them another look.
            for queue in list(self._followers):
                self._let_go(queue)

    async def _news(self, after: str) -> tuple[str, list[CallRow]]:
        """Return where to look next, and the calls that came in or moved on, oldest first."""
        moved: dict[str, Entry] = {}
        for _ in range(_PAGES_MAX):
            entries = await self._ledger.journal(after=after, count_max=_PAGE_ENTRIES)
            for entry in entries:
                if entry.call_id:
                    moved[entry.call_id] = entry
            if not entries:
                break
            after = entries[-1].id
        latest = list(moved.values())[-ROWS_MAX:]
        rows = await asyncio.gather(*(self._row(entry) for entry in latest))
        return after, [row for row in rows if row is not None]

    async def _row(self, entry: Entry) -> CallRow | None:
        if entry.kind == REFUSED:
            return refused_row(entry)
        record = await self._ledger.find(entry.call_id)
        return None if record is None else call_row(entry.call_id, record)

    def _tell(self, rows: Sequence[CallRow]) -> None:
        for queue in list(self._followers):
            try:
                queue.put_nowait(rows)
            except asyncio.QueueFull:
                self._let_go(queue)

    def _let_go(self, queue: asyncio.Queue[Sequence[CallRow] | None]) -> None:
        self._followers.discard(queue)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)


class Live:
    """`/calls/live`: server-sent events."""

    def __init__(
        self,
        sources: Sources,
        sessions: Sessions,
        gate: Gate,
        tail: Tail,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._sources = sources
        self._sessions = sessions
        self._gate = gate
        self._tail = tail
        self._heartbeat_s = heartbeat_s

    def routes(self) -> list[web.RouteDef]:
        """Return the paths."""
        return [web.get("/calls/live", self._gate.page(self.show), allow_head=False)]

    async def show(self, visit: Visit) -> web.StreamResponse:
        """Tell of calls until somebody goes, or their session ends."""
        access = visit.session.access
        now_ms = self._sources.services.ledger.now_ms()
        wanted = wanted_of(visit.request.query, access.seen_teams, now_ms)
        if len(self._tail) >= CLIENTS_MAX:
            raise Turned(503, "Too many follow", f"{CLIENTS_MAX} follow already: try later.")
        response = web.StreamResponse(headers={**HEADERS, **NO_STORE, "X-Accel-Buffering": "no"})
        response.content_type = "text/event-stream"
        response.charset = "utf-8"
        await response.prepare(visit.request)
        queue = self._tail.follow()
        try:
            await response.write(b"retry: 3000\nevent: ready\ndata: {}\n\n")
            await self._tell(visit, response, queue, wanted)
        except ConnectionResetError:
            # They went away.
            return response
        finally:
            self._tail.leave(queue)
        return response

    async def _tell(
        self,
        visit: Visit,
        response: web.StreamResponse,
        queue: asyncio.Queue[Sequence[CallRow] | None],
        wanted: Wanted,
    ) -> None:
        secret = visit.request.cookies.get(COOKIE, "")
        address = visit.session.access.address
        while True:
            rows: Sequence[CallRow] | None = ()
            try:
                async with asyncio.timeout(self._heartbeat_s):
                    rows = await queue.get()
            except TimeoutError:
                await response.write(b": still here\n\n")
            if rows is None:
                return
            # A token that was taken back, or somebody signing out elsewhere, ends this too.
            try:
                session = await self._sessions.find(secret, address, keeps_open=False)
            except LedgerUnavailable:
                # Nobody can say whether they may still hear this, so they do not.
                continue
            if session is None:
                await response.write(b"event: end\ndata: {}\n\n")
                return
            for row in rows:
                if session.access.sees(row.team) and wanted.takes(row):
                    await response.write(event_of(row))


def event_of(row: CallRow) -> bytes:
    """Return a call as one event: what the page's rows are filled with."""

    def money(amount: object) -> str:
        return cost(getattr(amount, "nano_usd", None))

    taken_in = sum(row.usage.get(part, 0) for part in _INPUT)
    put_out = sum(row.usage.get(part, 0) for part in _OUTPUT)
    said = {
        "id": row.id,
        "address": f"/calls/{row.id}",
        "time": second(int(datetime.fromisoformat(row.at).timestamp() * 1000)),
        "state": row.state,
        "team": row.team or "",
        "user": row.user or "",
        "model": row.model or "",
        "provider": row.provider or "",
        "input": f"{taken_in:,}" if row.usage else "–",
        "output": f"{put_out:,}" if row.usage else "–",
        "quoted": money(row.quoted),
        "settled": money(row.settled),
        "receipted": money(row.receipted),
        "begun": row.state in (ADMITTED, REFUSED, "reserved"),
    }
    # JSON has no line breaks of its own, so one line is one event.
    return f"event: call\ndata: {json.dumps(said)}\n\n".encode()
