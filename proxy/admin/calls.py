"""Calls: pages of them, and the life of one."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Annotated, Final, Protocol

from aiohttp import web
from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from policies.journal import ADMITTED, REFUSED
from policies.ledger.interface import Ledger
from policies.texts import suggestion
from proxy.admin.access import Access
from proxy.admin.asked import access_of, query_of
from proxy.admin.call_rows import (
    call_row,
    call_view,
    life_view,
    line_row,
    refused_row,
    refused_view,
)
from proxy.admin.cursors import cursor, number_of
from proxy.admin.journal_rows import archived_row, recent_row
from proxy.admin.journal_schemas import CallLifeView
from proxy.admin.operations import NOT_FOUND, Operation
from proxy.admin.queries import CURSOR_SCHEMA, PAGE_DEFAULT, Limit, Moment, Query, Wanted
from proxy.admin.recent import Numbered, fits_call, object_of, recent
from proxy.admin.replies import Refused, reply
from proxy.admin.schemas import CallRow, Page
from proxy.admin.services import Services
from proxy.admin.sight import seen, sight
from proxy.archive.database import ArchiveUnavailable
from proxy.archive.filters import CALL_STATES, CallFilter
from proxy.archive.lines import CallLine
from proxy.archive.lines import Page as ArchivePage
from proxy.archive.reader import ArchiveReader

_LIST: Final = "calls"


def _known_state(text: str) -> str:
    if text not in CALL_STATES:
        raise ValueError(f"'{text:.40}' is no call's state: {suggestion(text, CALL_STATES)}")
    return text


CallState = Annotated[
    str,
    AfterValidator(_known_state),
    WithJsonSchema({"type": "string", "enum": list(CALL_STATES)}),
]
CallsCursor = Annotated[
    int,
    BeforeValidator(lambda text: number_of(_LIST, text) if isinstance(text, str) else text),
    CURSOR_SCHEMA,
]


class CallsQuery(Query):
    """Which calls."""

    team: Wanted | None = None
    user: Wanted | None = None
    #: The key's id.
    key: Wanted | None = None
    provider: Wanted | None = None
    #: Exact, or with * for anything.
    model: Wanted | None = None
    state: CallState | None = None
    since: Moment | None = None
    until: Moment | None = None
    limit: Limit = PAGE_DEFAULT
    cursor: CallsCursor | None = None

    def filter(self, access: Access) -> CallFilter:
        """Return it as the archive has it. Raises `BadFilter`."""
        return CallFilter(
            teams=access.seen_teams,
            team=self.team,
            user=self.user,
            key_id=self.key,
            provider=self.provider,
            model=self.model,
            state=self.state,
            since_ms=self.since,
            until_ms=self.until,
        )


# --- What is asked, whoever asks it ---


class Places(Protocol):
    """Where calls are found."""

    @property
    def ledger(self) -> Ledger:
        """Has those of the last days."""
        ...

    @property
    def archive(self) -> ArchiveReader:
        """Has all but those of the last moment."""
        ...


async def calls_page(
    places: Places, wanted: CallFilter, *, before: int | None, count_max: int
) -> ArchivePage[CallRow]:
    """Return calls, newest first: those that the archive has not yet, and behind them its own.

    Args:
        places: ledger and archive.
        wanted: which calls; whose may be seen is part of it.
        before: where the page begins: the `next` of the one before.
        count_max: how many at most.

    Raises:
        LedgerUnavailable: the ledger did not answer.
        ArchiveUnavailable: the archive did not answer.
        BadFilter: the page cannot be.
    """
    late = await recent(places.ledger, places.archive)
    rows = await _recent_rows(places.ledger, wanted, late.newest(before), count_max)
    if len(rows) >= count_max:
        return ArchivePage(items=tuple(row for _, row in rows), next=rows[-1][0])
    page = await places.archive.calls(
        wanted, before=late.archive_before(before), count_max=count_max - len(rows)
    )
    moved = {each.entry.call_id for each in late.entries}
    archived = await asyncio.gather(
        *(_fresh_row(places.ledger, line, moved) for line in page.items)
    )
    kept = [row for row in archived if wanted.state in (None, row.state)]
    return ArchivePage(items=(*(row for _, row in rows), *kept), next=page.next)


async def call_life(places: Places, call_id: str, access: Access) -> CallLifeView | None:
    """Return the whole life of a call; None: there is none, or not of a team that they see.

    What the ledger still knows is shown without the archive too, then without its entries.

    Raises:
        LedgerUnavailable: the ledger did not answer.
        ArchiveUnavailable: the ledger has forgotten the call, and the archive did not answer.
    """
    record = await places.ledger.find(call_id)
    try:
        late = (await recent(places.ledger, places.archive)).of_call(call_id)
        life = await places.archive.call(call_id, teams=access.seen_teams)
    except ArchiveUnavailable:
        if record is None:
            raise
        view = CallLifeView(**dict(call_view(call_id, record)), entries=None)
        return view if access.sees(view.team) else None
    entries = [archived_row(entry) for entry in life.entries] if life is not None else []
    known = {entry.id for entry in entries}
    entries += [recent_row(each) for each in late if each.entry.id not in known]
    if record is not None:
        found = dict(call_view(call_id, record))
    elif life is not None:
        found = dict(life_view(life))
    else:
        refused = [each.entry for each in late if each.entry.kind == REFUSED]
        found = dict(refused_view(refused[0])) if refused else {}
    if not found or not access.sees(found["team"]):
        return None
    return CallLifeView(**{**found, "entries": entries})


async def _recent_rows(
    ledger: Ledger, wanted: CallFilter, entries: Sequence[Numbered], count_max: int
) -> list[tuple[int, CallRow]]:
    """Return rows of calls that are not archived, with their numbers, as many as are wanted."""
    begun = [
        each
        for each in entries
        if each.entry.kind in (ADMITTED, REFUSED)
        and fits_call(wanted, object_of(each.entry.data), each.entry.at_ms)
    ]
    rows: list[tuple[int, CallRow]] = []
    for start in range(0, len(begun), count_max):
        some = begun[start : start + count_max]
        found = await asyncio.gather(*(_row(ledger, each) for each in some))
        rows += [
            (each.number, row)
            for each, row in zip(some, found, strict=True)
            if row is not None and wanted.state in (None, row.state)
        ]
        if len(rows) >= count_max:
            break
    return rows[:count_max]


async def _row(ledger: Ledger, found: Numbered) -> CallRow | None:
    entry = found.entry
    if entry.kind == REFUSED:
        return refused_row(entry)
    record = await ledger.find(entry.call_id)
    return None if record is None else call_row(entry.call_id, record)


async def _fresh_row(ledger: Ledger, line: CallLine, moved: Collection[str]) -> CallRow:
    """Return a call of the archive; as it is now, if it moved since it was archived."""
    record = await ledger.find(line.call_id) if line.call_id in moved else None
    return line_row(line) if record is None else call_row(line.call_id, record)


class Calls:
    """`/admin/v1/calls`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def operations(self) -> Sequence[Operation]:
        """Return what can be asked."""
        return (
            Operation(
                method="GET",
                path="/admin/v1/calls",
                name="list_calls",
                says="List calls, newest first. A page may hold fewer than `limit`, even none, and "
                "still have a cursor: only so much is looked through at once.",
                handler=self.list,
                query=CallsQuery,
                answer=Page[CallRow],
            ),
            Operation(
                method="GET",
                path="/admin/v1/calls/{id}",
                name="get_call",
                says="Show the whole life of a call, from its quote to its receipt.",
                handler=self.show,
                answer=CallLifeView,
                refuses=(NOT_FOUND,),
            ),
        )

    async def list(self, request: web.Request) -> web.Response:
        """List calls."""
        query = query_of(request, CallsQuery)
        page = await calls_page(
            self._services,
            query.filter(access_of(request)),
            before=query.cursor,
            count_max=query.limit,
        )
        following = None if page.next is None else cursor(_LIST, page.next)
        return reply(Page[CallRow](items=list(page.items), cursor=following))

    async def show(self, request: web.Request) -> web.Response:
        """Show the whole life of a call."""
        call_id, access = request.match_info["id"], access_of(request)
        found = await call_life(self._services, call_id, access)
        if found is None:
            # Another team's call is not even said to exist.
            raise Refused(404, "not_found", f"there is no record of call {call_id}")
        if found.entries is None:
            return reply(found)
        sees = sight(self._services.rulebook(), access)
        entries = [seen(entry, sees) for entry in found.entries]
        return reply(found.model_copy(update={"entries": entries}))
