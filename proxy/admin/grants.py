"""Grants: temporary raises of budgets' limits, made, listed and ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from aiohttp import web
from pydantic import BeforeValidator

from policies.grants import Grant, NoSuchBudget, grantable, wish
from policies.rulebook import Rulebook
from policies.windows import parse_duration_ms
from proxy.admin.access import Access
from proxy.admin.asked import access_of, body_of, query_of
from proxy.admin.cursors import cursor, place_of
from proxy.admin.grant_rows import GrantAdministration, grant_row
from proxy.admin.operations import BUSY, NOT_FOUND, Header, Operation, Refusal
from proxy.admin.queries import CURSOR_SCHEMA, PAGE_DEFAULT, Limit, Query
from proxy.admin.replies import Refused, reply
from proxy.admin.schemas import GrantRequest, GrantRow, Page
from proxy.admin.services import Services
from proxy.grant_store import GrantsBusy, OnceUsed, UnknownGrant, Who

ONCE: Final = Header(
    "Idempotency-Key",
    "A text of your own: the same request, sent again with it, makes no second grant.",
)
KEY_USED: Final = Refusal(409, "idempotency_key_used")
_LIST: Final = "grants"
#: The moment at which the last grant of a page was made, and its id.
After = tuple[int, str]


def _after(text: object) -> object:
    if not isinstance(text, str):
        return text
    match place_of(_LIST, text):
        case [int(at_ms), str(grant_id)]:
            return at_ms, grant_id
        case _:
            raise ValueError("is none that this list gave: leave it out to begin anew")


class GrantsQuery(Query):
    """Which grants of a budget."""

    state: Literal["active", "expired", "ended"] | None = None
    limit: Limit = PAGE_DEFAULT
    cursor: Annotated[After, BeforeValidator(_after), CURSOR_SCHEMA] | None = None


def grants_page(
    grants: Sequence[Grant], budget: str, wanted: GrantsQuery, now_ms: int
) -> Page[GrantRow]:
    """Return the part of a budget's grants that is wanted, the newest first, as they are given."""
    found = [
        (grant, row)
        for grant in grants
        if grant.budget == budget
        and (wanted.cursor is None or _is_behind(grant, wanted.cursor))
        and (row := grant_row(grant, now_ms)).state == (wanted.state or row.state)
    ]
    page = found[: wanted.limit]
    last = page[-1][0] if len(found) > wanted.limit else None
    return Page[GrantRow](
        items=[row for _, row in page],
        cursor=None if last is None else cursor(_LIST, last.made_ms, last.id),
    )


def _is_behind(grant: Grant, place: After) -> bool:
    made_ms, grant_id = place
    return grant.made_ms < made_ms or (grant.made_ms == made_ms and grant.id > grant_id)


async def make_grant(
    administration: GrantAdministration,
    rulebook: Rulebook,
    access: Access,
    name: str,
    wanted: GrantRequest,
    *,
    once: str | None = None,
) -> Grant:
    """Raise a budget's limit as somebody wants it who may.

    Args:
        administration: makes it.
        rulebook: the policies in force.
        access: who wants it.
        name: the budget's.
        wanted: what.
        once: an idempotency key.

    Raises:
        Refused: it cannot be granted; the message says why.
        LedgerUnavailable: it may have been made.
    """
    try:
        budget = grantable(rulebook, name)
        if not access.sees(budget.scope.team):
            raise Refused(404, "not_found", f"'{name}' is not a budget")
        asked = wish(
            budget,
            amount=wanted.amount,
            for_ms=parse_duration_ms(wanted.for_),
            reason=wanted.reason,
            subject=wanted.subject,
            all_subjects=wanted.all_subjects,
        )
        made, _ = await administration.make(asked, _who(access), once=once)
    except NoSuchBudget as error:
        # What other budgets there are, not everybody may know.
        raise Refused(404, "not_found", f"'{name}' is not a budget") from error
    except ValueError as error:
        raise Refused(400, "invalid", str(error)) from error
    except OnceUsed as error:
        raise Refused(KEY_USED.status, KEY_USED.code, str(error)) from error
    except GrantsBusy as error:
        raise Refused(409, "busy", str(error)) from error
    return made


async def end_grant(
    administration: GrantAdministration,
    rulebook: Rulebook,
    access: Access,
    name: str,
    grant_id: str,
) -> Grant:
    """End a grant of a budget before its time.

    Raises:
        Refused: there is none, or grants are being changed by others all the time.
        LedgerUnavailable: it may have ended.
    """
    _check_seen(rulebook, access, name)
    try:
        return await administration.end(grant_id, _who(access), budget=name)
    except UnknownGrant as error:
        raise Refused(404, "not_found", str(error)) from error
    except GrantsBusy as error:
        raise Refused(409, "busy", str(error)) from error


def _who(access: Access) -> Who:
    return Who(access.actor, access.address)


def _check_seen(rulebook: Rulebook, access: Access, name: str) -> None:
    """Check that somebody may know of a budget; policies need not have it any more.

    Raises:
        Refused: they may not.
    """
    budget = rulebook.budgets.get(name)
    if not access.sees(None if budget is None else budget.scope.team):
        raise Refused(404, "not_found", f"'{name}' is not a budget")


class BudgetGrants:
    """`/admin/v1/budgets/{name}/grants`."""

    def __init__(self, services: Services, administration: GrantAdministration) -> None:
        self._services = services
        self._administration = administration

    def operations(self) -> Sequence[Operation]:
        """Return what can be asked."""
        return (
            Operation(
                method="GET",
                path="/admin/v1/budgets/{name}/grants",
                name="list_grants",
                says="List a budget's grants, newest first; one that is over is listed for a while.",
                handler=self.list,
                query=GrantsQuery,
                answer=Page[GrantRow],
                refuses=(NOT_FOUND,),
            ),
            Operation(
                method="POST",
                path="/admin/v1/budgets/{name}/grants",
                name="make_grant",
                says="Raise a budget's limit for a while. Several grants add up.",
                handler=self.make,
                body=GrantRequest,
                headers=(ONCE,),
                answer=GrantRow,
                status=201,
                refuses=(NOT_FOUND, BUSY, KEY_USED),
            ),
            Operation(
                method="DELETE",
                path="/admin/v1/budgets/{name}/grants/{id}",
                name="end_grant",
                says="End a grant before its time. Doing it again, or too late, changes nothing.",
                handler=self.end,
                answer=GrantRow,
                refuses=(NOT_FOUND, BUSY),
            ),
        )

    async def list(self, request: web.Request) -> web.Response:
        """List a budget's grants."""
        name, access = request.match_info["name"], access_of(request)
        rulebook = self._services.rulebook()
        _check_seen(rulebook, access, name)
        found = await self._administration.list()
        if name not in rulebook.budgets and not any(grant.budget == name for grant in found):
            raise Refused(404, "not_found", f"'{name}' is not a budget")
        now_ms = self._services.ledger.now_ms()
        return reply(grants_page(found, name, query_of(request, GrantsQuery), now_ms))

    async def make(self, request: web.Request) -> web.Response:
        """Raise a budget's limit for a while."""
        wanted = await body_of(request, GrantRequest)
        made = await make_grant(
            self._administration,
            self._services.rulebook(),
            access_of(request),
            request.match_info["name"],
            wanted,
            once=request.headers.get(ONCE.name),
        )
        return reply(grant_row(made, self._services.ledger.now_ms()), status=201)

    async def end(self, request: web.Request) -> web.Response:
        """End a grant before its time."""
        where = request.match_info
        ended = await end_grant(
            self._administration,
            self._services.rulebook(),
            access_of(request),
            where["name"],
            where["id"],
        )
        return reply(grant_row(ended, self._services.ledger.now_ms()))
