"""What callers see of their budgets: those that can count their calls, and nobody else's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from policies.budgets import Budget, Caller, Scope
from policies.errors import LedgerUnavailable
from policies.ledger.interface import Admission, Ask
from policies.ledger.memory import MemoryLedger
from policies.rulebook import Rulebook
from policies.units import CALLS, USD
from policies.windows import Calendar, Lifetime
from proxy.gateway.budget_view import own_budgets
from tests.doubles.fake_clock import FakeClock
from tests.doubles.flaky_ledger import FlakyLedger

ALICE = Caller(key_id="key_1", team="red", user="alice", tags=(("env", "prod"),))
BUDGETS = (
    Budget(name="all", unit=USD, limit=10**10, window=Calendar("month")),
    Budget(name="red", unit=USD, limit=10, window=Lifetime(), scope=Scope(team="red")),
    Budget(name="blue", unit=USD, limit=10, window=Lifetime(), scope=Scope(team="blue")),
    Budget(
        name="bob", unit=USD, limit=10, window=Lifetime(), scope=Scope(users=frozenset({"bob"}))
    ),
    Budget(
        name="opus",
        unit=CALLS,
        limit=10,
        window=Lifetime(),
        scope=Scope(models=("*opus*",), providers=frozenset({"agipower"})),
    ),
    Budget(
        name="prod", unit=USD, limit=10, window=Lifetime(), scope=Scope(tags=(("env", "prod"),))
    ),
    Budget(name="dev", unit=USD, limit=10, window=Lifetime(), scope=Scope(tags=(("env", "dev"),))),
    Budget(name="each-user", unit=USD, limit=10, window=Lifetime(), each="user"),
    Budget(name="each-session", unit=USD, limit=10, window=Lifetime(), each="session"),
    Budget(name="each-model", unit=USD, limit=10, window=Lifetime(), each="model"),
)
RULES = Rulebook(budgets={budget.name: budget for budget in BUDGETS})


async def shown(ledger: MemoryLedger, caller: Caller = ALICE) -> dict[str, Any]:
    return await own_budgets(caller, RULES, ledger)


async def test_callers_see_the_budgets_that_can_count_their_calls(
    memory_ledger: MemoryLedger,
) -> None:
    found = await shown(memory_ledger)

    rows = [(row["name"], row["subject"], row["models"]) for row in found["items"]]
    assert rows == [
        ("all", None, None),
        ("red", None, None),
        ("opus", None, ["*opus*"]),
        ("prod", None, None),
        ("each-user", "alice", None),
        ("each-session", "-", None),
    ]
    assert (found["team"], found["user"], found["key_id"]) == ("red", "alice", "key_1")


async def test_a_budget_for_each_model_is_shown_for_every_model_in_use(
    memory_ledger: MemoryLedger,
) -> None:
    budget = RULES.budgets["each-model"]
    asks = [Ask(budget=budget, subject=model, held=2, bound=2) for model in ("a", "b")]
    await memory_ledger.reserve("call_a", asks, data="{}", admission=Admission.DECIDE)

    rows = [row for row in (await shown(memory_ledger))["items"] if row["name"] == "each-model"]

    assert [(row["subject"], row["reserved"]["nano_usd"]) for row in rows] == [("a", 2), ("b", 2)]


async def test_a_row_says_how_a_budget_stands(memory_ledger: MemoryLedger) -> None:
    row = (await shown(memory_ledger))["items"][0]

    assert row["limit"] == row["remaining"] == {"nano_usd": 10**10, "usd": "10"}
    assert row["window"]["end"] == "2026-12-01T00:00:00Z"


async def test_what_is_granted_is_part_of_the_limit_and_shown(memory_ledger: MemoryLedger) -> None:
    def raised(budget: Budget, subject: str) -> Budget:
        more = {"all": 5, "each-user": 7 if subject == "alice" else 0}.get(budget.name, 0)
        return replace(budget, limit=budget.limit + more)

    found = await own_budgets(ALICE, RULES, memory_ledger, raised)

    rows = {row["name"]: (row["limit"], row["granted"]) for row in found["items"]}
    assert [amount["nano_usd"] for amount in rows["all"]] == [10**10 + 5, 5]
    assert [amount["nano_usd"] for amount in rows["each-user"]] == [17, 7]
    assert [amount["nano_usd"] for amount in rows["red"]] == [10, 0]


async def test_without_a_budget_there_is_nothing_to_see(memory_ledger: MemoryLedger) -> None:
    assert (await own_budgets(ALICE, Rulebook(), memory_ledger))["items"] == []


async def test_without_the_ledger_nothing_is_made_up(clock: FakeClock) -> None:
    ledger = FlakyLedger(MemoryLedger(clock))
    ledger.away = True

    with pytest.raises(LedgerUnavailable):
        await own_budgets(ALICE, RULES, ledger)
