"""A budget as it is shown: how it stands, how long its window still is, and whether it will hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import assert_never
from urllib.parse import quote

from markupsafe import Markup

from policies.budgets import Budget
from policies.decisions import Standing
from policies.grants import Grants
from policies.ledger.interface import Ask, Ledger
from policies.ledger.keys import place
from policies.rulebook import UNATTRIBUTED, Rulebook
from policies.windows import Calendar, FirstUse, Lifetime, Reported, Rolling
from proxy.admin.access import Access
from proxy.archive.lines import HourLine
from proxy.dashboard.charts.bars import fill_bar
from proxy.dashboard.forecast import Said, flow, forecast, pace_of, sentence
from proxy.dashboard.wording import percent, short, span, zone_of

_THOUSANDTHS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One counter of a budget: what it stands at, and what it is called in the ledger."""

    #: As raised by grants.
    budget: Budget
    #: What the policies say without grants.
    limit_as_written: int
    standing: Standing
    counter: str

    @property
    def used(self) -> int:
        """Spent, and held for calls in flight."""
        return self.standing.spent + self.standing.reserved

    @property
    def granted(self) -> int:
        """By how much the limit is raised now."""
        return self.standing.limit - self.limit_as_written


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRow:
    """What a page shows of one counter."""

    counted: Counted
    address: str
    scope: str
    window: str
    time_left: str
    share: str
    bar: Markup
    said: Said


async def count(
    budgets: Sequence[Budget], ledger: Ledger, grants: Grants, subject: str | None = None
) -> list[Counted]:
    """Return how budgets stand; one that counts for `each` of something, for each that there is.

    Args:
        budgets: as the policies have them.
        ledger: counts.
        grants: raise limits.
        subject: this one alone, whether it was counted yet or not.

    Raises:
        LedgerUnavailable: the ledger did not answer.
    """
    now_ms = ledger.now_ms()
    asks, written = [], []
    for budget in budgets:
        if subject is not None:
            subjects = [subject]
        else:
            subjects = [""] if budget.each is None else sorted(await ledger.subjects(budget))
        for each in subjects:
            raised = grants.raised(budget, each, now_ms)
            asks.append(Ask(budget=raised, subject=each, held=0, bound=0))
            written.append(budget.limit)
    standings = await ledger.standings(asks)
    return [
        Counted(
            budget=ask.budget,
            limit_as_written=limit,
            standing=standing,
            counter=place(ask.budget, ask.subject, now_ms).counter,
        )
        for ask, limit, standing in zip(asks, written, standings, strict=True)
    ]


def budgets_seen(rulebook: Rulebook, access: Access) -> list[Budget]:
    """Return the budgets that somebody may see; those of all teams tell what other teams spend."""
    found = [*rulebook.budgets.values()]
    if UNATTRIBUTED not in rulebook.budgets:
        found.append(rulebook.unattributed)
    return [budget for budget in found if access.sees(budget.scope.team)]


def budget_row(counted: Counted, hours: Sequence[HourLine], now_ms: int) -> BudgetRow:
    """Return one counter as a page shows it."""
    standing, budget = counted.standing, counted.budget
    address = f"/budgets/{quote(budget.name)}"
    if standing.subject:
        address += f"?subject={quote(standing.subject, safe='')}"
    share = percent(counted.used, standing.limit)
    said = _said(counted, hours, now_ms)
    return BudgetRow(
        counted=counted,
        address=address,
        scope=scope_text(budget),
        window=window_text(budget),
        time_left=time_left(standing, budget, now_ms),
        share=share,
        bar=fill_bar(
            limit=standing.limit,
            spent=standing.spent,
            reserved=standing.reserved,
            passed=_passed(standing, now_ms),
            title=(
                f"{share} of {short(standing.unit, standing.limit)} used: "
                f"{short(standing.unit, standing.spent)} spent, "
                f"{short(standing.unit, standing.reserved)} reserved"
            ),
        ),
        said=said,
    )


def zone_of_budget(budget: Budget) -> tzinfo | None:
    """Return the time zone of a budget's window; None: UTC."""
    return zone_of(budget.window.timezone) if isinstance(budget.window, Calendar) else None


def scope_text(budget: Budget) -> str:
    """Return whose calls a budget counts, in words."""
    scope = budget.scope
    parts = [scope.team or "all teams"]
    if scope.users:
        parts.append(", ".join(sorted(scope.users)))
    if scope.key_ids:
        parts.append(f"{len(scope.key_ids)} keys")
    if scope.providers:
        parts.append("at " + ", ".join(sorted(scope.providers)))
    if scope.models:
        parts.append("models " + ", ".join(scope.models))
    parts += [f"{name}={value}" for name, value in scope.tags]
    return " · ".join(parts)


def window_text(budget: Budget) -> str:
    """Return what a budget counts over, in words."""
    match budget.window:
        case Calendar(period=period, timezone="UTC"):
            return period
        case Calendar(period=period, timezone=timezone):
            return f"{period}, {timezone}"
        case Lifetime():
            return "lifetime"
        case Rolling(length_ms=length_ms):
            return f"last {span(length_ms)}"
        case FirstUse(length_ms=length_ms):
            return f"{span(length_ms)} from first use"
        case Reported():
            return "the provider's own"
        case unreachable:
            assert_never(unreachable)


def time_left(standing: Standing, budget: Budget, now_ms: int) -> str:
    """Return how long the window still is, in words."""
    if isinstance(budget.window, Rolling):
        return "rolls on"
    if isinstance(budget.window, FirstUse) and standing.end_ms is None:
        return "begins with the next call"
    if standing.end_ms is None:
        return "never ends"
    return f"{span(standing.end_ms - now_ms)} left"


def _said(counted: Counted, hours: Sequence[HourLine], now_ms: int) -> Said:
    budget, standing = counted.budget, counted.standing
    refuses = budget.mode == "enforce"
    zone = zone_of_budget(budget)
    if isinstance(budget.window, Rolling):
        outcome = flow(limit=standing.limit, used=counted.used)
        length = span(budget.window.length_ms)
        return sentence(outcome, now_ms=now_ms, zone=zone, refuses=refuses, window=length)
    outcome = forecast(
        limit=standing.limit,
        used=counted.used,
        end_ms=standing.end_ms,
        now_ms=now_ms,
        pace=pace_of(standing.spent, hours, standing.start_ms, now_ms),
        length_ms=(standing.end_ms or 0) - standing.start_ms if standing.end_ms else 0,
    )
    return sentence(outcome, now_ms=now_ms, zone=zone, refuses=refuses)


def _passed(standing: Standing, now_ms: int) -> int | None:
    if standing.end_ms is None or standing.end_ms <= standing.start_ms:
        return None
    passed_ms = now_ms - standing.start_ms
    return passed_ms * _THOUSANDTHS // (standing.end_ms - standing.start_ms)
