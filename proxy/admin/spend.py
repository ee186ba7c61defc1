"""What calls came to, by team, user, key, provider, model and day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from aiohttp import web
from pydantic import BeforeValidator, Field, WithJsonSchema

from proxy.admin.access import Access
from proxy.admin.asked import access_of, query_of
from proxy.admin.cursors import cursor, number_of
from proxy.admin.journal_schemas import SpendRow
from proxy.admin.operations import Operation
from proxy.admin.queries import CURSOR_SCHEMA, Moment, Query, whole_number
from proxy.admin.replies import reply
from proxy.admin.schemas import Money, Page
from proxy.admin.services import Services
from proxy.archive.lines import SpendLine
from proxy.archive.spend import GROUPINGS, Grouping

_LIST: Final = "spend"
#: A year of days of a few teams fits onto a page, at about 300 bytes a line.
LINES_DEFAULT: Final = 1_000
LINES_MAX: Final = 10_000
#: As rows name what groupings call otherwise.
_SHOWN_AS: Final = {"key": "key_id"}


def _parts(text: object) -> object:
    if not isinstance(text, str):
        return text
    parts = text.split(",")
    if len(set(parts)) < len(parts):
        raise ValueError("names something twice: name it once")
    return parts


SpendCursor = Annotated[
    int,
    BeforeValidator(lambda text: number_of(_LIST, text) if isinstance(text, str) else text),
    CURSOR_SCHEMA,
]


class SpendQuery(Query):
    """By what, and of when."""

    #: By user or key, not together with provider or model.
    group_by: Annotated[
        tuple[Grouping, ...],
        BeforeValidator(_parts),
        WithJsonSchema(
            {
                "type": "array",
                "items": {"type": "string", "enum": list(GROUPINGS)},
                "minItems": 1,
                "uniqueItems": True,
            }
        ),
    ] = ("team",)
    #: The day (UTC) in which it lies is the first one.
    since: Moment | None = None
    #: The day (UTC) in which it lies is the last one, if anything of it is before this.
    until: Moment | None = None
    limit: Annotated[int, Field(ge=1, le=LINES_MAX), BeforeValidator(whole_number)] = LINES_DEFAULT
    cursor: SpendCursor | None = None


async def spend_rows(
    services: Services,
    access: Access,
    group_by: Sequence[Grouping],
    *,
    since_ms: int | None,
    until_ms: int | None,
) -> list[SpendRow]:
    """Return what the calls that somebody may see came to, by day, then most charged first.

    Raises:
        ArchiveUnavailable: the archive did not answer.
        BadFilter: these cannot be grouped by together, or the times make no sense.
    """
    found = await services.archive.spend(
        group_by, since_ms=since_ms, until_ms=until_ms, teams=access.seen_teams
    )
    return [spend_row(line) for line in found]


def spend_row(line: SpendLine) -> SpendRow:
    """Return what one group came to."""
    return SpendRow(
        **{_SHOWN_AS.get(name, name): value or None for name, value in line.group.items()},
        calls=line.calls,
        refused=line.refused,
        receipted_calls=line.receipted,
        input_tokens=line.input_tokens,
        output_tokens=line.output_tokens,
        settled=_money(line.settled_nano_usd),
        receipted=_money(line.receipted_nano_usd),
        charged=Money.of(line.charged_nano_usd),
    )


def _money(nano_usd: int | None) -> Money | None:
    return None if nano_usd is None else Money.of(nano_usd)


class Spend:
    """`/admin/v1/spend`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def operations(self) -> Sequence[Operation]:
        """Return what can be asked."""
        return (
            Operation(
                method="GET",
                path="/admin/v1/spend",
                name="get_spend",
                says="Show what calls came to, by whole days (UTC), most charged first.",
                handler=self.show,
                query=SpendQuery,
                answer=Page[SpendRow],
            ),
        )

    async def show(self, request: web.Request) -> web.Response:
        """Show what calls came to."""
        query, access = query_of(request, SpendQuery), access_of(request)
        rows = await spend_rows(
            self._services, access, query.group_by, since_ms=query.since, until_ms=query.until
        )
        begin = query.cursor or 0
        end = begin + query.limit
        following = cursor(_LIST, end) if end < len(rows) else None
        return reply(Page[SpendRow](items=rows[begin:end], cursor=following))
