"""Raising a budget for a while, and ending that."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, urlencode

from aiohttp import web

from policies.budgets import Budget
from policies.grants import NoSuchBudget, Wish, grantable, wish
from policies.units import policy_text
from policies.windows import parse_duration_ms
from proxy.dashboard.budget_page import BudgetPage
from proxy.dashboard.gate import FORM, Gate, Turned, Visit
from proxy.dashboard.sources import Sources
from proxy.grant_store import GrantsBusy, OnceUsed, UnknownGrant, Who

#: What the form says when a grant is for each subject there is.
EVERYBODY: Final = "*"
_NUMBER: Final = re.compile(r"[0-9][0-9_]*(\.[0-9]+)?\s*[kM]?")


class GrantForms:
    """`/budgets/{name}/grants`."""

    def __init__(self, sources: Sources, gate: Gate, page: BudgetPage) -> None:
        self._sources = sources
        self._gate = gate
        self._page = page

    def routes(self) -> list[web.RouteDef]:
        """Return the paths."""
        return [
            web.post("/budgets/{name}/grants", self._gate.act(self.make)),
            web.post("/budgets/{name}/grants/{id}/end", self._gate.act(self.end)),
        ]

    async def make(self, visit: Visit) -> web.StreamResponse:
        """Grant what the form says."""
        budget = self._page.budget(visit)
        try:
            grantable(self._sources.services.rulebook(), budget.name)
            wanted = _wish(budget, visit)
            await self._sources.services.grants.make(
                wanted, _who(visit), once=visit.field(FORM) or None
            )
        except (ValueError, NoSuchBudget, OnceUsed, GrantsBusy) as error:
            return await self._page.answer(visit, status=400, said=str(error))
        return _back(budget, visit, "granted")

    async def end(self, visit: Visit) -> web.StreamResponse:
        """End a grant before its time."""
        budget = self._page.budget(visit)
        grant_id = visit.request.match_info["id"]
        try:
            await self._sources.services.grants.end(grant_id, _who(visit), budget=budget.name)
        except UnknownGrant as error:
            raise Turned(404, "No such grant", str(error)) from error
        except GrantsBusy as error:
            raise Turned(409, "Try again", str(error)) from error
        return _back(budget, visit, "ended")


def _wish(budget: Budget, visit: Visit) -> Wish:
    """Return what the form says. Raises `ValueError`, which says what to write instead."""
    amount = visit.field("amount").removeprefix("$").strip()
    if not amount:
        raise ValueError("write by how much the limit is to be raised")
    # The form names the unit beside its field: a number alone is meant in it.
    if _NUMBER.fullmatch(amount):
        amount = f"{amount} {policy_text(budget.unit, 0).partition(' ')[2]}"
    given = visit.field("subject")
    return wish(
        budget,
        amount=amount,
        for_ms=parse_duration_ms(visit.field("for")),
        reason=visit.field("reason"),
        subject=given if given not in ("", EVERYBODY) else None,
        all_subjects=given == EVERYBODY,
    )


def _who(visit: Visit) -> Who:
    access = visit.session.access
    return Who(access.actor, access.address)


def _back(budget: Budget, visit: Visit, done: str) -> web.Response:
    asked = {"done": done}
    back_to = visit.field("back")
    if back_to:
        asked["subject"] = back_to
    address = f"/budgets/{quote(budget.name)}?{urlencode(asked)}"
    return web.Response(status=303, headers={"Location": address})
