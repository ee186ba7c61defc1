"""Whoever sees some teams alone is not told by an entry how the budgets of others stand."""

from __future__ import annotations

import pytest

from policies.budgets import Budget, Scope
from policies.rulebook import Rulebook, Team
from policies.windows import Calendar
from proxy.admin.access import Access
from proxy.admin.journal_schemas import CheckRow, EntryRow, MovementRow
from proxy.admin.sight import seen, sight

NAMES = ["company", "red", "blue", "wallet.sim.balance"]


def budget(name: str, team: str | None) -> Budget:
    return Budget(name=name, scope=Scope(team=team), unit="USD", limit=1, window=Calendar("day"))


RULEBOOK = Rulebook(
    teams={team: Team(name=team) for team in ("red", "blue")},
    budgets={
        "company": budget("company", None),
        "red": budget("red", "red"),
        "blue": budget("blue", "blue"),
    },
)


def entry() -> EntryRow:
    movements = [
        MovementRow(
            counter=f"{name}:USD::day",
            budget=name,
            subject=None,
            unit="USD",
            spent_change=1,
            reserved_change=0,
            spent=7,
            reserved=0,
            overrun=0,
            prior_period=False,
        )
        for name in NAMES
    ]
    checks = [
        CheckRow(
            budget=name,
            subject=None,
            unit="USD",
            held=1,
            bound=1,
            limit=9,
            mode="enforce",
            short=False,
        )
        for name in NAMES
    ]
    return EntryRow(
        number=1,
        id="1-0",
        kind="admitted",
        at="2026-11-23T12:00:00Z",
        at_ms=0,
        call_id="call_a",
        data={},
        movements=movements,
        checks=checks,
        archived=True,
    )


@pytest.mark.parametrize(
    ("teams", "names"),
    [(frozenset[str](), NAMES), (frozenset({"red"}), ["red"]), (frozenset({"none"}), [])],
)
def test_an_entry_tells_of_budgets_that_may_be_seen(
    teams: frozenset[str], names: list[str]
) -> None:
    row = seen(entry(), sight(RULEBOOK, Access(role="viewer", teams=teams)))

    assert [each.budget for each in row.movements] == names
    assert [each.budget for each in row.checks] == names
