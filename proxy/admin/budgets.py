"""How all budgets stand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Annotated, Final

from aiohttp import web
from pydantic import BeforeValidator

from policies.budgets import Budget
from policies.decisions import Standing
from policies.grants import Grants
from policies.ledger.interface import Ask, Ledger
from policies.rulebook import UNATTRIBUTED, Rulebook
from proxy.admin.access import Access
from proxy.admin.asked import access_of, query_of
from proxy.admin.cursors import cursor, place_of
from proxy.admin.grant_rows import GrantAdministration, grant_row
from proxy.admin.operations import Operation
from proxy.admin.queries import CURSOR_SCHEMA, PAGE_MAX, Limit, Query, Wanted
from proxy.admin.replies import reply
from proxy.admin.schemas import GrantedBudgetRow, Page
from proxy.admin.services import Services
from proxy.standing_rows import standing_row

NOTHING_GRANTED: Final = Grants()
_LIST: Final = "budgets"
_MARK_CHARACTERS: Final = 32


#: A budget, and the subject whose counter it is; empty where it keeps a single one.
Counter = tuple[Budget, str]


def _place(text: object) -> object:
    if not isinstance(text, str):
        return text
    match place_of(_LIST, text):
        case [int(position), str(mark)]:
            return position, mark
        case _:
            raise ValueError("is none that this list gave: leave it out to begin anew")


class BudgetsQuery(Query):
    """Which budgets."""

    name: Wanted | None = None
    subject: Wanted | None = None
    limit: Limit = PAGE_MAX
    cursor: Annotated[tuple[int, str], BeforeValidator(_place), CURSOR_SCHEMA] | None = None


async def counters(
    budgets: Sequence[Budget], ledger: Ledger, grants: Grants = NOTHING_GRANTED
) -> Sequence[Counter]:
    """Return the counters of budgets, in order.

    Where a budget counts for `each` of something, these are the counters that there are in its present
    window, and those that something is granted to.

    Raises:
        LedgerUnavailable: the ledger did not answer.
    """
    now_ms, found = ledger.now_ms(), []
    for budget in budgets:
        if budget.each is None:
            found.append((budget, ""))
            continue
        subjects = {*await ledger.subjects(budget), *grants.subjects(budget, now_ms)}
        found += [(budget, subject) for subject in sorted(subjects)]
    return found


async def standings(
    found: Sequence[Counter], ledger: Ledger, grants: Grants = NOTHING_GRANTED
) -> Sequence[Standing]:
    """Return how counters stand, each with what is granted to it.

    Raises:
        LedgerUnavailable: the ledger did not answer.
    """
    now_ms = ledger.now_ms()
    return await ledger.standings(
        [
            Ask(budget=grants.raised(budget, subject, now_ms), subject=subject, held=0, bound=0)
            for budget, subject in found
        ]
    )


async def all_standings(
    rulebook: Rulebook,
    ledger: Ledger,
    sees: Callable[[Budget], bool] | None = None,
    grants: Grants = NOTHING_GRANTED,
) -> Sequence[Standing]:
    """Return how the budgets of the policies stand, and behind them the one for what belongs to nobody.

    Policies need not have that one; then it is there as soon as something was counted on it.

    Args:
        rulebook: the policies.
        ledger: counts.
        sees: which budgets are wanted; left out: all.
        grants: what is granted on top of their limits.

    Raises:
        LedgerUnavailable: the ledger did not answer.
    """
    found = await counters(_wanted(rulebook, sees), ledger, grants)
    return _worth_showing(await standings(found, ledger, grants), rulebook)


def _wanted(rulebook: Rulebook, sees: Callable[[Budget], bool] | None) -> Sequence[Budget]:
    wanted = [*rulebook.budgets.values()]
    if UNATTRIBUTED not in rulebook.budgets:
        wanted.append(rulebook.unattributed)
    return [each for each in wanted if sees is None or sees(each)]


def _worth_showing(found: Sequence[Standing], rulebook: Rulebook) -> Sequence[Standing]:
    return [each for each in found if each.budget in rulebook.budgets or each.spent]


async def budgets_page(
    rulebook: Rulebook, ledger: Ledger, grants: Grants, access: Access, wanted: BudgetsQuery
) -> Page[GrantedBudgetRow]:
    """Return the part of all budgets that is wanted and may be seen, in the order of the policies.

    Raises:
        LedgerUnavailable: the ledger did not answer.
    """
    budgets = [
        each for each in _wanted(rulebook, seen_by(access)) if wanted.name in (None, each.name)
    ]
    found = [
        each
        for each in await counters(budgets, ledger, grants)
        if wanted.subject in (None, each[1])
    ]
    begin = 0 if wanted.cursor is None else _behind(found, wanted.cursor)
    page = found[begin : begin + wanted.limit]
    shown = _worth_showing(await standings(page, ledger, grants), rulebook)
    now_ms, end = ledger.now_ms(), begin + len(page)
    return Page[GrantedBudgetRow](
        items=[budget_row(standing, rulebook, grants, now_ms) for standing in shown],
        cursor=cursor(_LIST, end, _mark(page[-1])) if end < len(found) else None,
    )


def _mark(counter: Counter) -> str:
    """Return what tells a counter from the others of a list; its name may be longer than a cursor."""
    budget, subject = counter
    return sha256(f"{budget.name}:{subject}".encode()).hexdigest()[:_MARK_CHARACTERS]


def _behind(found: Sequence[Counter], place: tuple[int, str]) -> int:
    """Return where a list goes on, though others may have come in between; or as far as it was."""
    position, mark = place
    marks = (at for at, counter in enumerate(found, 1) if _mark(counter) == mark)
    return next(marks, position)


def budget_row(
    standing: Standing, rulebook: Rulebook, grants: Grants, now_ms: int
) -> GrantedBudgetRow:
    """Return a standing as the API shows it, with the grants that raise its limit."""
    budget = rulebook.budgets.get(standing.budget, rulebook.unattributed)
    active = grants.active(budget, standing.subject, now_ms)
    granted = standing.limit - budget.limit
    return GrantedBudgetRow.model_validate(
        {
            **standing_row(standing, granted=granted),
            "grants": [grant_row(grant, now_ms) for grant in active],
        }
    )


class Budgets:
    """`/admin/v1/budgets`."""

    def __init__(self, services: Services, administration: GrantAdministration) -> None:
        self._services = services
        self._administration = administration

    def operations(self) -> Sequence[Operation]:
        """Return what can be asked."""
        return (
            Operation(
                method="GET",
                path="/admin/v1/budgets",
                name="list_budgets",
                says="List how budgets stand, in the order of the policies.",
                handler=self.list,
                query=BudgetsQuery,
                answer=Page[GrantedBudgetRow],
            ),
        )

    async def list(self, request: web.Request) -> web.Response:
        """List how budgets stand."""
        found = await budgets_page(
            self._services.rulebook(),
            self._services.ledger,
            Grants(await self._administration.list()),
            access_of(request),
            query_of(request, BudgetsQuery),
        )
        return reply(found)


def seen_by(access: Access) -> Callable[[Budget], bool]:
    """Return which budgets somebody may see: those of all teams tell what other teams spend."""
    return lambda budget: access.sees(budget.scope.team)
