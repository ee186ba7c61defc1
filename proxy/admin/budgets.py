"""How all budgets stand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiohttp import web

from policies.budgets import Budget
from policies.decisions import Standing
from policies.ledger.interface import Ask, Ledger
from policies.rulebook import UNATTRIBUTED, Rulebook
from proxy.admin.access import Access
from proxy.admin.door import access_of
from proxy.admin.replies import reply
from proxy.admin.schemas import BudgetRow, Page
from proxy.admin.services import Services
from proxy.standing_rows import standing_row


async def standings(budgets: Sequence[Budget], ledger: Ledger) -> Sequence[Standing]:
    """Return how budgets stand: one that counts for `each` of something has a standing for each.

    Raises:
        LedgerUnavailable: the ledger did not answer.
    """
    asks = [
        Ask(budget=budget, subject=subject, held=0, bound=0)
        for budget in budgets
        for subject in ([""] if budget.each is None else await ledger.subjects(budget))
    ]
    return await ledger.standings(asks)


async def all_standings(
    rulebook: Rulebook, ledger: Ledger, sees: Callable[[Budget], bool] | None = None
) -> Sequence[Standing]:
    """Return how the budgets of the policies stand, and behind them the one for what belongs to nobody.

    Policies need not have that one; then it is there as soon as something was counted on it.

    Args:
        rulebook: the policies.
        ledger: counts.
        sees: which budgets are wanted; left out: all.

    Raises:
        LedgerUnavailable: the ledger did not answer.
    """
    wanted = [*rulebook.budgets.values()]
    if UNATTRIBUTED not in rulebook.budgets:
        wanted.append(rulebook.unattributed)
    found = await standings([each for each in wanted if sees is None or sees(each)], ledger)
    return [each for each in found if each.budget in rulebook.budgets or each.spent]


class Budgets:
    """`/admin/v1/budgets`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[web.RouteDef]:
        """Return the paths."""
        return [web.get("/admin/v1/budgets", self.list)]

    async def list(self, request: web.Request) -> web.Response:
        """List how budgets stand."""
        sees = seen_by(access_of(request))
        found = await all_standings(self._services.rulebook(), self._services.ledger, sees)
        items = [BudgetRow.model_validate(standing_row(standing)) for standing in found]
        return reply(Page[BudgetRow](items=items))


def seen_by(access: Access) -> Callable[[Budget], bool]:
    """Return which budgets somebody may see: those of all teams tell what other teams spend."""
    return lambda budget: access.sees(budget.scope.team)
