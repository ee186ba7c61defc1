"""Calls over the admin API."""

from __future__ import annotations

import json

import pytest

from policies.decisions import Admitted
from policies.ledger.interface import Admission, Ask
from policies.units import Amounts
from tests.proxy.admin.conftest import USD, Plane


async def _call(plane: Plane, call_id: str, team: str, dollars: int = 1) -> None:
    """Put a settled call of a team into the ledger, or a refused one."""
    ask = Ask(
        budget=plane.rulebook.budgets["all"], subject="", held=dollars * USD, bound=dollars * USD
    )
    data = json.dumps({"team": team, "model": "acme/mini", "quote": {"nano_usd": dollars * USD}})
    decision = await plane.services.ledger.reserve(
        call_id, [ask], data=data, admission=Admission.DECIDE
    )
    if isinstance(decision, Admitted):
        outcome = json.dumps({"nano_usd": 5, "status": 200})
        await plane.services.ledger.settle(
            decision.reservation, Amounts(nano_usd=5), outcome=outcome
        )


async def test_the_latest_calls_come_first(plane: Plane) -> None:
    for number in range(3):
        await _call(plane, f"call_{number}", "red")
    await _call(plane, "call_dear", "red", dollars=1_000)

    status, body = await plane.ask("/admin/v1/calls")

    assert status == 200
    assert [(row["id"], row["state"]) for row in body["items"]] == [
        ("call_dear", "refused"),
        ("call_2", "settled"),
        ("call_1", "settled"),
        ("call_0", "settled"),
    ]


async def test_as_many_as_are_asked_for(plane: Plane) -> None:
    for number in range(5):
        await _call(plane, f"call_{number}", "red")

    _, body = await plane.ask("/admin/v1/calls?limit=2")

    assert [row["id"] for row in body["items"]] == ["call_4", "call_3"]


@pytest.mark.parametrize("limit", ["0", "-1", "many", "501", "1.5"])
async def test_a_limit_is_a_number(plane: Plane, limit: str) -> None:
    status, body = await plane.ask(f"/admin/v1/calls?limit={limit}")

    assert (status, body["error"]["code"]) == (400, "invalid")


async def test_a_call_shows_its_whole_life(plane: Plane) -> None:
    await _call(plane, "call_1", "red")

    status, body = await plane.ask("/admin/v1/calls/call_1")

    assert status == 200
    assert body["settled"] == {"nano_usd": 5, "usd": "0.000000005"}
    assert body["charges"][0]["charged"]["nano_usd"] == 5
    assert body["quote"] == {"nano_usd": USD}
    assert body["outcome"]["status"] == 200


async def test_another_teams_calls_do_not_exist(plane: Plane) -> None:
    await _call(plane, "call_red", "red")
    await _call(plane, "call_blue", "blue")

    _, body = await plane.ask("/admin/v1/calls", token="red-watcher")
    status, _ = await plane.ask("/admin/v1/calls/call_blue", token="red-watcher")

    assert [row["id"] for row in body["items"]] == ["call_red"]
    assert status == 404


async def test_an_unknown_call_is_not_found(plane: Plane) -> None:
    status, body = await plane.ask("/admin/v1/calls/call_nobody")

    assert (status, body["error"]["code"]) == (404, "not_found")
