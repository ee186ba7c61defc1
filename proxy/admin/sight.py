"""Which budgets somebody may see where entries of the journal tell how these stand."""

from __future__ import annotations

from collections.abc import Callable

from policies.rulebook import Rulebook
from proxy.admin.access import Access
from proxy.admin.journal_schemas import EntryRow

#: Tells by a budget's name.
Sight = Callable[[str], bool]


def sight(rulebook: Rulebook, access: Access) -> Sight:
    """Return which budgets somebody may see by name.

    How a budget of all teams stands tells what the others spend, whoever's call was charged to it.
    """
    if access.sees(None):
        # Every name is one.
        return bool
    budgets = rulebook.budgets.values()
    return {each.name for each in budgets if access.sees(each.scope.team)}.__contains__


def seen(row: EntryRow, sees: Sight) -> EntryRow:
    """Return an entry without what it did to budgets that are not theirs to see."""
    return row.model_copy(
        update={
            "movements": [each for each in row.movements if sees(each.budget)],
            "checks": [each for each in row.checks if sees(each.budget)],
        }
    )
