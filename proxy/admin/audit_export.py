"""Exports over HTTP: the journal or the calls as a file, sent as it is read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Annotated, Final

from aiohttp import web
from pydantic import WithJsonSchema

from policies.clock import utc
from proxy.admin.access import Access
from proxy.admin.acts import EXPORTED, note_act
from proxy.admin.asked import access_of, check_sees_all, query_of
from proxy.admin.calls import CallState
from proxy.admin.operations import BUSY, Operation
from proxy.admin.queries import Moment, Query, Wanted
from proxy.admin.replies import NO_STORE, Refused
from proxy.admin.services import Services
from proxy.archive.database import ArchiveUnavailable
from proxy.archive.export.mark import Chunk
from proxy.archive.export.question import MEDIA_TYPES, SUFFIXES, Format, Question
from proxy.archive.export.stream import chunks
from proxy.archive.filters import CallFilter

#: Each of them keeps a thread and the database busy; people wait for one, programs for a few.
AT_ONCE_MAX: Final = 4


def _without_parameters(media: str) -> str:
    return media.partition(";")[0]


class ExportQuery(Query):
    """What to export, and in which form."""

    #: `jsonl` is the journal, the others are calls; without other filters than times it can be verified.
    format: Annotated[
        Format, WithJsonSchema({"type": "string", "enum": [form.value for form in Format]})
    ] = Format.JSONL
    #: Of `jsonl`: entries of this kind alone.
    kind: Wanted | None = None
    team: Wanted | None = None
    user: Wanted | None = None
    key: Wanted | None = None
    provider: Wanted | None = None
    model: Wanted | None = None
    state: CallState | None = None
    since: Moment | None = None
    until: Moment | None = None

    def question(self, access: Access) -> Question:
        """Return it as the archive has it. Raises `BadFilter`."""
        return Question(
            format=self.format,
            calls=CallFilter(
                teams=access.seen_teams,
                team=self.team,
                user=self.user,
                key_id=self.key,
                provider=self.provider,
                model=self.model,
                state=self.state,
                since_ms=self.since,
                until_ms=self.until,
            ),
            kinds=(self.kind,) if self.kind is not None else (),
        )


def file_name(organization: str, form: Format, at_ms: int) -> str:
    """Return what an export is called: whose, and of when."""
    return f"bursar-{organization}-{utc(at_ms):%Y%m%dT%H%M%SZ}{SUFFIXES[form]}"


class AuditExport:
    """`/admin/v1/audit/export`."""

    def __init__(self, services: Services, at_once_max: int = AT_ONCE_MAX) -> None:
        """Take what is exported, and how many may wait for it at once."""
        self._services = services
        self._free = at_once_max

    def operations(self) -> Sequence[Operation]:
        """Return what can be asked."""
        return (
            Operation(
                method="GET",
                path="/admin/v1/audit/export",
                name="export_audit",
                says="Download the journal (jsonl) or the calls (csv, parquet, focus, "
                "focus-parquet). A connection that ends before its last chunk means a file that is "
                "not whole.",
                handler=self.export,
                query=ExportQuery,
                answer=tuple(dict.fromkeys(map(_without_parameters, MEDIA_TYPES.values()))),
                refuses=(BUSY,),
            ),
        )

    async def export(self, request: web.Request) -> web.StreamResponse:
        """Send an export."""
        query, access = query_of(request, ExportQuery), access_of(request)
        question = query.question(access)
        if question.format == "jsonl":
            # Entries say how the budgets stood that their calls were charged to.
            check_sees_all(access)
        if self._free <= 0:
            raise Refused(409, "busy", "other exports are under way: wait for one of them")
        self._free -= 1
        try:
            return await self._send(request, question, access)
        finally:
            self._free += 1

    async def _send(
        self, request: web.Request, question: Question, access: Access
    ) -> web.StreamResponse:
        services = self._services
        now_ms, organization = services.clock.now_ms(), services.rulebook().organization
        # Before a byte is out: nobody takes away what no entry says that they took.
        await note_act(services.ledger, EXPORTED, access, **question.document())

        def begin() -> tuple[Iterator[Chunk], Chunk | None]:
            found = chunks(services.database, organization, question, exported_ms=now_ms)
            return found, next(found, None)

        # What goes wrong with the first piece is still an answer of its own.
        pieces, piece = await asyncio.to_thread(begin)
        name = file_name(organization, question.format, now_ms)
        response = web.StreamResponse(
            headers={
                **NO_STORE,
                "Content-Type": MEDIA_TYPES[question.format],
                "Content-Disposition": f'attachment; filename="{name}"',
            }
        )
        await response.prepare(request)
        try:
            while piece is not None:
                if piece.data:
                    await response.write(piece.data)
                piece = await asyncio.to_thread(next, pieces, None)
        except (ArchiveUnavailable, ConnectionError):
            # The last chunk is missing, and so whoever reads it knows.
            if request.transport is not None:
                request.transport.abort()
            return response
        await response.write_eof()
        return response
