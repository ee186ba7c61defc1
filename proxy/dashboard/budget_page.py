"""One budget: how it burns down, who spends it, whom it refused, and raising it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from markupsafe import Markup

from policies.budgets import Budget
from policies.grants import Grant, Grants
from policies.rulebook import UNATTRIBUTED
from policies.windows import FirstUse, Rolling
from proxy.archive.filters import CallFilter
from proxy.archive.lines import CallLine, SpenderLine
from proxy.dashboard.budget_rows import (
    Counted,
    budget_row,
    budgets_seen,
    count,
    zone_of_budget,
)
from proxy.dashboard.burn_view import burn_of, picture
from proxy.dashboard.charts.bars import share_bar
from proxy.dashboard.forecast import LOOK_BACK_MS
from proxy.dashboard.gate import Gate, Turned, Visit
from proxy.dashboard.overview import present
from proxy.dashboard.pages import Pages
from proxy.dashboard.sources import Sources
from proxy.dashboard.wording import HOUR_MS, percent, short

SPENDERS_READ: Final = 500
SPENDERS_SHOWN: Final = 12
REFUSALS_READ: Final = 200
REFUSALS_SHOWN: Final = 10
SUBJECTS_PER_PAGE: Final = 50
GRANTS_SHOWN: Final = 20
_PAGE_DIGITS_MAX: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one name has of what was spent."""

    name: str
    calls: int
    refused: int
    spent: int
    percent: str
    bar: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRow:
    """One grant as a page shows it."""

    grant: Grant
    state: str


class BudgetPage:
    """`/budgets/{name}`."""

    def __init__(self, sources: Sources, gate: Gate, pages: Pages) -> None:
        self._sources = sources
        self._gate = gate
        self._pages = pages

    def routes(self) -> list[web.RouteDef]:
        """Return the paths."""
        return [web.get("/budgets/{name}", self._gate.page(self.show))]

    async def show(self, visit: Visit) -> web.StreamResponse:
        """Show it; of one that counts for each of something, what it counts for."""
        return await self.answer(visit)

    async def answer(self, visit: Visit, *, status: int = 200, said: str = "") -> web.Response:
        """Show it, with what was wrong with a form."""
        budget = self.budget(visit)
        subject = visit.field("subject") or visit.asked("subject")
        if budget.each is not None and not subject:
            return await self._subjects(visit, budget, status, said)
        return await self._counter(visit, budget, subject, status, said)

    def budget(self, visit: Visit) -> Budget:
        """Return the budget that is asked for. Raises `Turned`; another team's is not said to be."""
        name = visit.request.match_info["name"]
        rulebook = self._sources.services.rulebook()
        for budget in budgets_seen(rulebook, visit.session.access):
            if budget.name == name:
                return budget
        raise Turned(404, "No such budget", f"The policies have no budget named {name}.")

    async def _subjects(self, visit: Visit, budget: Budget, status: int, said: str) -> web.Response:
        """Show all counters of a budget, the fullest first."""
        ledger = self._sources.services.ledger
        all_grants = await self._sources.services.grants.list()
        counted = await count([budget], ledger, Grants(all_grants))
        wanted = visit.asked("q")
        found = [one for one in counted if wanted.lower() in one.standing.subject.lower()]
        found.sort(key=lambda one: (-one.used, one.standing.subject))
        page = page_number(visit.asked("page"))
        first = (page - 1) * SUBJECTS_PER_PAGE
        now_ms = ledger.now_ms()
        rows = [budget_row(one, (), now_ms) for one in found[first : first + SUBJECTS_PER_PAGE]]
        values: dict[str, Any] = {
            **self._common(visit, budget, "", said, all_grants),
            "rows": rows,
            "counters": len(found),
            "q": wanted,
            "page": page,
            "next_page": page + 1 if len(found) > first + SUBJECTS_PER_PAGE else None,
        }
        return self._pages.show(
            "budget_subjects.html",
            title=budget.name,
            place="/",
            session=visit.session,
            status=status,
            values=values,
        )

    async def _counter(
        self, visit: Visit, budget: Budget, subject: str, status: int, said: str
    ) -> web.Response:
        """Show one counter."""
        ledger, archive = self._sources.services.ledger, self._sources.services.archive
        all_grants = await self._sources.services.grants.list()
        (counted,) = await count([budget], ledger, Grants(all_grants), subject)
        hours, spenders, refusals = await asyncio.gather(
            present(archive.burn_down(counted.counter)),
            present(archive.spenders(counted.counter, SPENDERS_READ)),
            present(self._refusals(visit, budget)),
        )
        now_ms = ledger.now_ms()
        zone = zone_of_budget(budget)
        # A first-use window goes by the same name each time: what was before is another one's.
        own = [hour for hour in hours or () if hour.hour_ms + HOUR_MS > counted.standing.start_ms]
        row = budget_row(counted, own, now_ms)
        burn = burn_of(counted, own, now_ms)
        values: dict[str, Any] = {
            **self._common(visit, budget, subject, said, all_grants),
            "row": row,
            "counted": counted,
            "chart": picture(counted, burn, row.said.text, zone, own, now_ms),
            "burn": burn,
            "pace": pace_text(counted.standing.start_ms, now_ms),
            "rolls": isinstance(budget.window, Rolling),
            # One name for all of its windows: who spent it is told of all of them together.
            "is_forever": isinstance(budget.window, Rolling | FirstUse),
            "zone": getattr(zone, "key", "UTC"),
            "by_who": shares(spenders or (), _who, counted),
            "by_model": shares(spenders or (), lambda line: line.model or "–", counted),
            "refusals": refusals or (),
            "refused": sum(hour.refused for hour in own),
            "archive_away": hours is None,
        }
        title = f"{budget.name}: {subject}" if subject else budget.name
        return self._pages.show(
            "budget.html",
            title=title,
            place="/",
            session=visit.session,
            status=status,
            values=values,
        )

    def _common(
        self, visit: Visit, budget: Budget, subject: str, said: str, grants: Sequence[Grant]
    ) -> dict[str, Any]:
        now_ms = self._sources.services.ledger.now_ms()
        own = [
            GrantRow(grant=grant, state=_state(grant, now_ms))
            for grant in grants
            if grant.budget == budget.name and (not subject or grant.subject in (None, subject))
        ]
        own.sort(key=lambda row: row.state != "active")
        return {
            "budget": budget,
            "subject": subject,
            "grants": own[:GRANTS_SHOWN],
            "said": said,
            "done": visit.asked("done"),
            "fields": visit.fields,
            "grantable": budget.name != UNATTRIBUTED,
            "each": (budget.each or "").removeprefix("tag:"),
        }

    async def _refusals(self, visit: Visit, budget: Budget) -> Sequence[CallLine]:
        """Return the latest calls that this budget refused."""
        wanted = CallFilter(
            teams=visit.session.access.seen_teams, team=budget.scope.team, state="refused"
        )
        page = await self._sources.services.archive.calls(
            wanted, before=None, count_max=REFUSALS_READ
        )
        found = [line for line in page.items if line.refused_by == budget.name]
        return found[:REFUSALS_SHOWN]


def shares(
    lines: Iterable[SpenderLine], name_of: Callable[[SpenderLine], str], counted: Counted
) -> list[Share]:
    """Return who or what has which share of what was spent, most first."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for line in lines:
        for index, number in enumerate((line.calls, line.refused, line.spent)):
            sums[name_of(line)][index] += number
    whole = max(1, sum(spent for _, _, spent in sums.values()))
    unit = counted.standing.unit
    rows = sorted(sums.items(), key=lambda item: (-item[1][2], item[0]))[:SPENDERS_SHOWN]
    return [
        Share(
            name=name,
            calls=calls,
            refused=refused,
            spent=spent,
            percent=percent(spent, whole),
            bar=share_bar(spent, whole, f"{name}: {short(unit, spent)}"),
        )
        for name, (calls, refused, spent) in rows
    ]


def pace_text(start_ms: int, now_ms: int) -> str:
    """Return which pace the forecast goes by."""
    return "so far" if now_ms - start_ms < LOOK_BACK_MS else "of the last 7 days"


def _who(line: SpenderLine) -> str:
    return " · ".join(part for part in (line.team, line.user or line.key_id) if part)


def _state(grant: Grant, now_ms: int) -> str:
    if grant.is_active(now_ms):
        return "active"
    return "ended" if grant.ended_ms is not None else "expired"


def page_number(text: str) -> int:
    """Return the number of a page; what is none is the first."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= _PAGE_DIGITS_MAX
    return max(1, int(text)) if is_number else 1
