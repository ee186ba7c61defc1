"""The first page: every budget on one screen, what deserves a look, and what was spent lately."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar, cast

from aiohttp import web
from markupsafe import Markup

from policies.budgets import Budget
from policies.clock import utc
from policies.grants import Grants
from policies.units import USD
from proxy.admin.access import Access
from proxy.archive.database import ArchiveUnavailable
from proxy.archive.filters import AuditFilter
from proxy.archive.lines import HourLine, SpendLine
from proxy.archive.spend import Grouping
from proxy.dashboard.budget_rows import (
    BudgetRow,
    Counted,
    budget_row,
    budgets_seen,
    count,
    scope_text,
)
from proxy.dashboard.charts.days import Series, days_chart, stacked
from proxy.dashboard.gate import Gate, Visit
from proxy.dashboard.notices import ALERT, Notice, of_alerts, of_receipts, of_wallets
from proxy.dashboard.pages import Pages
from proxy.dashboard.sources import Sources
from proxy.dashboard.wording import DAY_MS

DAYS: Final = 30
#: Of a budget that counts for each of something, the fullest counters.
SUBJECTS_SHOWN: Final = 3
ALERTS_SHOWN: Final = 5
#: What the chart can be stacked by.
By = Literal["team", "provider", "model"]
_BY: Final = ("team", "provider", "model")
_WEEK: Final = 7
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One budget: its counter, or the fullest of its counters and how many there are."""

    name: str
    scope: str
    each: str | None
    mode: str
    rows: tuple[BudgetRow, ...]
    counters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """What was spent lately, as a picture and in numbers."""

    by: str
    chart: Markup
    series: Sequence[Series]
    days: Sequence[str]
    today: int
    week: int
    month: int
    calls: int
    refused: int


class Overview:
    """`/`."""

    def __init__(self, sources: Sources, gate: Gate, pages: Pages) -> None:
        self._sources = sources
        self._gate = gate
        self._pages = pages

    def routes(self) -> list[web.RouteDef]:
        """Return the paths."""
        return [web.get("/", self._gate.page(self.show))]

    async def show(self, visit: Visit) -> web.StreamResponse:
        """Show it."""
        access, now_ms = visit.session.access, self._sources.services.ledger.now_ms()
        by = cast("By", visit.asked("by")) if visit.asked("by") in _BY else "team"
        counted, spend, notices = await asyncio.gather(
            self._counted(access), self._spend(access, by, now_ms), self._notices(access, now_ms)
        )
        chosen = [_fullest(each) for _, each in counted]
        wanted = [one.counter for group in chosen for one in group]
        hours = await present(self._sources.services.archive.burn_downs(wanted))
        if spend is None or hours is None:
            said = "The archive does not answer: forecasts and charts are missing. Calls go on."
            notices = [Notice(tone="warn", text=said, address="/"), *notices]
        budgets = [
            _shown(budget, len(all_of_it), fullest, hours or {}, now_ms)
            for (budget, all_of_it), fullest in zip(counted, chosen, strict=True)
        ]
        values: dict[str, Any] = {
            "budgets": budgets,
            "notices": notices,
            "spend": spend,
            "ways": _BY,
            "archive_away": spend is None,
        }
        return self._pages.show(
            "overview.html", title="Overview", place="/", session=visit.session, values=values
        )

    async def _counted(self, access: Access) -> list[tuple[Budget, list[Counted]]]:
        """Return budgets with their counters, in the order of the policies."""
        services = self._sources.services
        rulebook = services.rulebook()
        budgets = budgets_seen(rulebook, access)
        grants = Grants(await self._sources.services.grants.list())
        found: dict[str, list[Counted]] = {budget.name: [] for budget in budgets}
        for counted in await count(budgets, services.ledger, grants):
            found[counted.budget.name].append(counted)
        return [
            (budget, found[budget.name])
            for budget in budgets
            # What no call explains is worth a line as soon as there is any.
            if budget.name in rulebook.budgets
            or any(counted.standing.spent for counted in found[budget.name])
        ]

    async def _spend(self, access: Access, by: By, now_ms: int) -> Spend | None:
        since_ms = (now_ms // DAY_MS - DAYS + 1) * DAY_MS
        group_by: tuple[Grouping, ...] = ("day", by)
        lines = await present(
            self._sources.services.archive.spend(
                group_by, since_ms=since_ms, until_ms=None, teams=access.seen_teams
            )
        )
        return None if lines is None else spend_of(lines, by, since_ms)

    async def _notices(self, access: Access, now_ms: int) -> list[Notice]:
        if not access.sees(None):
            return []
        services = self._sources.services
        alerts = AuditFilter(teams=None, kind=ALERT, acts_only=True, since_ms=now_ms - DAY_MS)
        wallets, receipts, told = await asyncio.gather(
            services.wallets.list(),
            services.receipts.status(),
            present(
                self._sources.services.archive.audit(alerts, before=None, count_max=ALERTS_SHOWN)
            ),
        )
        found = [*of_wallets(wallets), *of_receipts(receipts)]
        found += of_alerts(told.items) if told is not None else []
        return sorted(found, key=lambda notice: notice.tone != "bad")


async def present(asked: Awaitable[Found]) -> Found | None:
    """Return what the archive has; None: it does not answer, and the page goes without."""
    try:
        return await asked
    except ArchiveUnavailable:
        return None


def spend_of(lines: Sequence[SpendLine], by: str, since_ms: int) -> Spend:
    """Return what was spent in the days from a time on.

    Args:
        lines: by day and by `by`.
        by: what the picture is stacked by.
        since_ms: when the first of the days begins.
    """
    starts = [since_ms + index * DAY_MS for index in range(DAYS)]
    days = [f"{utc(start):%Y-%m-%d}" for start in starts]
    amounts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    by_day: dict[str, int] = defaultdict(int)
    for line in lines:
        day = line.group["day"]
        amounts[line.group[by] or "–"][day] += line.charged_nano_usd
        by_day[day] += line.charged_nano_usd
    series = stacked(amounts, days)
    month = sum(by_day[day] for day in days)
    return Spend(
        by=by,
        chart=days_chart(
            series,
            days,
            [f"{utc(start):%-d %b}" for start in starts],
            USD,
            f"Spend of each of the last {DAYS} days, stacked by {by}",
        ),
        series=series,
        days=days,
        today=by_day[days[-1]],
        week=sum(by_day[day] for day in days[-_WEEK:]),
        month=month,
        calls=sum(line.calls for line in lines),
        refused=sum(line.refused for line in lines),
    )


def _fullest(counted: list[Counted]) -> list[Counted]:
    """Return the counters of one budget that are nearest to their limit."""

    def fullness(one: Counted) -> int:
        return one.used * 1_000_000 // max(1, one.standing.limit)

    return sorted(counted, key=fullness, reverse=True)[:SUBJECTS_SHOWN]


def _shown(
    budget: Budget,
    counters: int,
    chosen: Sequence[Counted],
    hours: Mapping[str, Sequence[HourLine]],
    now_ms: int,
) -> Shown:
    return Shown(
        name=budget.name,
        scope=scope_text(budget),
        each=budget.each,
        mode=budget.mode,
        rows=tuple(budget_row(one, hours.get(one.counter, ()), now_ms) for one in chosen),
        counters=counters,
    )
