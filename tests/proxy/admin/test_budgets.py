"""Budgets as operators see them."""

from __future__ import annotations

from policies.ledger.interface import Admission, Ask
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
