"""Budgets as operators see them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.budgets import Budget
from policies.decisions import Admitted
from policies.grants import Grants
from policies.ledger.interface import Admission, Ask
from policies.rulebook import UNATTRIBUTED
from policies.units import Amounts
from policies.windows import Lifetime
from proxy.admin.access import Access
from proxy.admin.budgets import BudgetsQuery, all_standings, budgets_page
from tests.proxy.admin.conftest import USD, Plane


async def _reserve(plane: Plane, subject: str) -> None:
    asks = [
        Ask(budget=budget, subject=subject if budget.each else "", held=USD, bound=USD)
        for budget in plane.rulebook.budgets.values()
        if budget.unit == "USD"
    ]
    await plane.services.ledger.reserve(
        f"call_{subject}", asks, data="{}", admission=Admission.DECIDE
    )


async def test_every_counter_is_a_row(plane: Plane) -> None:
    await _reserve(plane, "alice")
    await _reserve(plane, "bob")

    status, body = await plane.ask("/admin/v1/budgets")

    assert status == 200
    rows = {(row["name"], row["subject"]): row for row in body["items"]}
    assert set(rows) == {
        ("all", None),
        ("red-each", "alice"),
        ("red-each", "bob"),
        ("blue", None),
    }
    assert rows["all", None]["reserved"] == {"nano_usd": 2 * USD, "usd": "2"}
    assert rows["blue", None]["limit"] == 5
    assert body["cursor"] is None


async def test_a_viewer_of_a_team_sees_its_budgets_alone(plane: Plane) -> None:
    await _reserve(plane, "alice")

    _, body = await plane.ask("/admin/v1/budgets", token="red-watcher")

    assert [row["name"] for row in body["items"]] == ["red-each"]


async def test_a_viewer_sees_all(plane: Plane) -> None:
    _, body = await plane.ask("/admin/v1/budgets", token="watcher")

    assert [row["name"] for row in body["items"]] == ["all", "blue"]


async def _nobodys(plane: Plane) -> None:
    """Count a dollar that no call explains."""
    ask = Ask(budget=plane.rulebook.unattributed, subject="", held=USD, bound=USD)
    ledger = plane.services.ledger
    decision = await ledger.reserve("ghost-1", [ask], data="{}", admission=Admission.FORCE)
    assert isinstance(decision, Admitted)
    await ledger.settle(decision.reservation, Amounts(nano_usd=USD), outcome="{}")


async def test_what_belongs_to_nobody_is_listed_once_something_does(plane: Plane) -> None:
    await _nobodys(plane)

    _, body = await plane.ask("/admin/v1/budgets")

    row = body["items"][-1]
    assert (row["name"], row["mode"], row["spent"]["usd"]) == (UNATTRIBUTED, "shadow", "1")


async def test_a_viewer_of_a_team_does_not_see_it(plane: Plane) -> None:
    await _nobodys(plane)

    _, body = await plane.ask("/admin/v1/budgets", token="red-watcher")

    assert body["items"] == []


async def test_policies_that_limit_it_list_it_always_and_once(plane: Plane) -> None:
    own = Budget(name=UNATTRIBUTED, unit="USD", limit=5 * USD, window=Lifetime())
    rulebook = replace(plane.rulebook, budgets={**plane.rulebook.budgets, own.name: own})

    before = await all_standings(rulebook, plane.services.ledger)

    assert [each.limit for each in before if each.budget == UNATTRIBUTED] == [5 * USD]


# How budgets stand, in parts…


async def _many_users(plane: Plane, count: int) -> None:
    budget = plane.rulebook.budgets["red-each"]
    for number in range(count):
        ask = Ask(budget=budget, subject=f"user-{number}", held=1, bound=1)
        await plane.services.ledger.reserve(
            f"call_{number}", [ask], data="{}", admission=Admission.DECIDE
        )


async def test_a_list_of_budgets_comes_in_parts(plane: Plane) -> None:
    await _many_users(plane, 4)
    seen, query = [], "?limit=2"
    while True:
        _, page = await plane.ask(f"/admin/v1/budgets{query}")
        seen += [(row["name"], row["subject"]) for row in page["items"]]
        if page["cursor"] is None:
            break
        query = f"?limit=2&cursor={page['cursor']}"

    users = [("red-each", f"user-{number}") for number in range(4)]
    assert seen == [("all", None), *users, ("blue", None)]


async def test_a_part_begins_behind_the_last_one_though_counters_came_in_between(
    plane: Plane,
) -> None:
    await _many_users(plane, 2)
    _, page = await plane.ask("/admin/v1/budgets?limit=2")
    budget = plane.rulebook.budgets["red-each"]
    ask = Ask(budget=budget, subject="aaron", held=1, bound=1)
    await plane.services.ledger.reserve("call_a", [ask], data="{}", admission=Admission.DECIDE)

    _, rest = await plane.ask(f"/admin/v1/budgets?limit=2&cursor={page['cursor']}")

    assert [row["subject"] for row in rest["items"]] == ["user-1", None]


async def test_a_part_can_be_had_when_its_place_is_gone(plane: Plane) -> None:
    await _many_users(plane, 2)
    _, page = await plane.ask("/admin/v1/budgets?limit=2")
    access = Access(role="admin", teams=frozenset())
    wanted = BudgetsQuery.model_validate({"cursor": page["cursor"]})
    dropped = replace(plane.rulebook, budgets={})

    rest = await budgets_page(dropped, plane.services.ledger, Grants(), access, wanted)

    assert (rest.items, rest.cursor) == ([], None)


@pytest.mark.parametrize("query", ["?limit=0", "?cursor=x", "?team=red", "?name="])
async def test_a_list_of_budgets_that_makes_no_sense_is_a_mistake(plane: Plane, query: str) -> None:
    status, body = await plane.ask(f"/admin/v1/budgets{query}")

    assert (status, body["error"]["code"]) == (400, "invalid")


async def test_a_list_of_budgets_can_be_narrowed(plane: Plane) -> None:
    await _many_users(plane, 2)

    _, page = await plane.ask("/admin/v1/budgets?name=red-each&subject=user-1")

    assert [(row["name"], row["subject"]) for row in page["items"]] == [("red-each", "user-1")]
