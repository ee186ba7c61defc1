"""How budgets stand, as numbers: what dashboards of machines draw, and their alerts look at."""

from __future__ import annotations

from collections.abc import Iterable

from policies.decisions import Standing
from policies.money import NANO_PER_UNIT
from policies.units import is_nano
from proxy.telemetry.series import Latest

_LABELS = ("budget", "unit")


class BudgetSeries:
    """Numbers of budgets, in whole units. A budget with `each` is told as a whole, not by subject."""

    def __init__(self) -> None:
        self.limit = Latest(
            "bursar_budget_limit", "The limit, of each subject, with what was granted.", _LABELS
        )
        self.spent = Latest("bursar_budget_spent", "Spent, over all subjects.", _LABELS)
        self.reserved = Latest("bursar_budget_reserved", "Reserved, over all subjects.", _LABELS)
        self.used = Latest(
            "bursar_budget_used_ratio",
            "Spent and reserved of the limit, of the subject that has used most.",
            _LABELS,
        )
        self.subjects = Latest(
            "bursar_budget_subjects", "Subjects with a counter in the present window.", _LABELS
        )

    def see(self, standings: Iterable[Standing], at_ms: int) -> None:
        """Take note of how all budgets stand; those that are not among them are gone."""
        by_budget: dict[tuple[str, str], list[Standing]] = {}
        for standing in standings:
            by_budget.setdefault((standing.budget, standing.unit), []).append(standing)
        for labels, found in by_budget.items():
            scale = NANO_PER_UNIT if is_nano(labels[1]) else 1
            self.limit.see(max(each.limit for each in found) / scale, at_ms, *labels)
            self.spent.see(sum(each.spent for each in found) / scale, at_ms, *labels)
            self.reserved.see(sum(each.reserved for each in found) / scale, at_ms, *labels)
            self.used.see(max(_used(each) for each in found), at_ms, *labels)
            self.subjects.see(len(found), at_ms, *labels)
        for series in vars(self).values():
            series.forget_before(at_ms)


def _used(standing: Standing) -> float:
    counted = standing.spent + standing.reserved
    if not standing.limit:
        return 1.0
    return counted / standing.limit
