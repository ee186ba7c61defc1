"""The journal: every decision, every movement of money, and every administrative act."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from aiohttp import web
from pydantic import BeforeValidator

from proxy.admin.access import Access
from proxy.admin.asked import access_of, query_of
from proxy.admin.cursors import cursor, number_of
from proxy.admin.journal_rows import archived_row, recent_row
from proxy.admin.journal_schemas import EntryRow
from proxy.admin.operations import Operation
from proxy.admin.queries import CURSOR_SCHEMA, PAGE_DEFAULT, Flag, Limit, Moment, Query, Wanted
from proxy.admin.recent import fits_entry, of_teams, recent
from proxy.admin.replies import reply
from proxy.admin.schemas import Page
from proxy.admin.services import Services
from proxy.admin.sight import seen, sight
from proxy.archive.filters import AuditFilter
from proxy.archive.lines import Page as ArchivePage

_LIST: Final = "audit"
AuditCursor = Annotated[
    int,
    BeforeValidator(lambda text: number_of(_LIST, text) if isinstance(text, str) else text),
    CURSOR_SCHEMA,
]


class AuditQuery(Query):
    """Which entries."""

    #: Such as `settle` or `key_created`.
    kind: Wanted | None = None
    #: The call's id.
    call: Wanted | None = None
    since: Moment | None = None
    until: Moment | None = None
    #: Administrative acts alone: what is about no call.
    acts: Flag = False
    #: Who did it, as the act says.
    actor: Wanted | None = None
    limit: Limit = PAGE_DEFAULT
    cursor: AuditCursor | None = None

    def filter(self, access: Access) -> AuditFilter:
        """Return it as the archive has it. Raises `BadFilter`."""
        return AuditFilter(
            teams=access.seen_teams,
            kind=self.kind,
            call_id=self.call,
            since_ms=self.since,
            until_ms=self.until,
            acts_only=self.acts,
            actor=self.actor,
        )


async def audit_page(
    services: Services, wanted: AuditFilter, *, before: int | None, count_max: int
) -> ArchivePage[EntryRow]:
    """Return entries, newest first: those that the archive has not yet, and behind them its own.

    Args:
        services: ledger and archive.
        wanted: which entries; whose may be seen is part of it.
        before: where the page begins: the `next` of the one before.
        count_max: how many at most.

    Raises:
        LedgerUnavailable: the ledger did not answer.
        ArchiveUnavailable: the archive did not answer.
        BadFilter: the page cannot be.
    """
    late = await recent(services.ledger, services.archive)
    fitting = [each for each in late.newest(before) if fits_entry(wanted, each.entry)]
    if wanted.teams is not None:
        fitting = await of_teams(services.ledger, fitting, wanted.teams)
    rows = [recent_row(each) for each in fitting[:count_max]]
    if len(rows) >= count_max:
        return ArchivePage(items=tuple(rows), next=rows[-1].number)
    page = await services.archive.audit(
        wanted, before=late.archive_before(before), count_max=count_max - len(rows)
    )
    return ArchivePage(items=(*rows, *map(archived_row, page.items)), next=page.next)


class Audit:
    """`/admin/v1/audit`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def operations(self) -> Sequence[Operation]:
        """Return what can be asked."""
        return (
            Operation(
                method="GET",
                path="/admin/v1/audit",
                name="list_audit",
                says="List entries of the journal, newest first. Whoever sees some teams alone gets "
                "the entries about calls of these. A page may hold fewer than `limit`, even none, "
                "and still have a cursor: only so much is looked through at once.",
                handler=self.list,
                query=AuditQuery,
                answer=Page[EntryRow],
            ),
        )

    async def list(self, request: web.Request) -> web.Response:
        """List entries."""
        query, access = query_of(request, AuditQuery), access_of(request)
        page = await audit_page(
            self._services,
            query.filter(access),
            before=query.cursor,
            count_max=query.limit,
        )
        following = None if page.next is None else cursor(_LIST, page.next)
        sees = sight(self._services.rulebook(), access)
        items = [seen(row, sees) for row in page.items]
        return reply(Page[EntryRow](items=items, cursor=following))
