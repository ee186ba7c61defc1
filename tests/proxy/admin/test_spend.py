"""Spend over the admin API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.proxy.admin.conftest import Plane

SPEND = "/admin/v1/spend"


@pytest.fixture
async def spent(plane: Plane) -> Plane:
    for number in range(3):
        await plane.call(f"call_{number}", "red")
    await plane.call("call_blue", "blue", model="acme/maxi", user="<b>bob</b>")
    await plane.call("call_dear", "blue", dollars=1_000)
    await plane.archive()
    return plane


async def rows(plane: Plane, query: str = "", token: str = "root") -> list[dict[str, Any]]:
    status, body = await plane.ask(f"{SPEND}?{query}", token=token)
    assert status == 200
    found: list[dict[str, Any]] = body["items"]
    return found


async def test_by_team_unless_something_else_is_asked_for(spent: Plane) -> None:
    found = await rows(spent)

    assert [(row["team"], row["model"], row["calls"], row["refused"]) for row in found] == [
        ("red", None, 3, 0),
        ("blue", None, 1, 1),
    ]
    assert found[0]["charged"] == {"nano_usd": 15, "usd": "0.000000015"}
    assert (found[0]["input_tokens"], found[0]["output_tokens"]) == (60, 300)


async def test_by_team_model_and_day(spent: Plane) -> None:
    found = await rows(spent, "group_by=team,model,day")

    assert {(row["team"], row["model"], row["calls"]) for row in found} >= {
        ("red", "acme/mini", 3),
        ("blue", "acme/maxi", 1),
    }
    assert {row["day"] for row in found} == {"2026-11-23"}


async def test_by_user_calls_and_charges_are_kept_alone(spent: Plane) -> None:
    found = await rows(spent, "group_by=user,key")

    row = next(row for row in found if row["user"] == "<b>bob</b>")
    assert (row["key_id"], row["calls"], row["charged"]["nano_usd"]) == ("key_1", 1, 5)
    assert (row["settled"], row["receipted_calls"]) == (None, None)


async def test_a_viewer_of_a_team_sees_its_spend_alone(spent: Plane) -> None:
    assert [row["team"] for row in await rows(spent, token="red-watcher")] == ["red"]
    assert [row["calls"] for row in await rows(spent, "group_by=day", token="red-watcher")] == [3]


async def test_pages_lead_through_everything_once(spent: Plane) -> None:
    _, first = await spent.ask(f"{SPEND}?limit=1")
    _, second = await spent.ask(f"{SPEND}?limit=1&cursor={first['cursor']}")
    _, beyond = await spent.ask(f"{SPEND}?limit=1&cursor={second['cursor'] or first['cursor']}")

    assert [page["items"][0]["team"] for page in (first, second)] == ["red", "blue"]
    assert second["cursor"] is None
    assert beyond["items"] == second["items"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("group_by=user,model", "group_by"),
        ("group_by=users", "group_by[0]"),
        ("since=2026-11-23&until=2026-11-22", "until"),
        ("limit=10001", "limit"),
    ],
)
async def test_a_question_that_makes_no_sense_is_a_mistake(
    plane: Plane, query: str, field: str
) -> None:
    status, body = await plane.ask(f"{SPEND}?{query}")

    assert (status, body["error"]["code"]) == (400, "invalid")
    assert field in [each["field"] for each in body["error"]["mistakes"]]


async def test_with_nothing_archived_there_is_nothing(plane: Plane) -> None:
    assert await rows(plane) == []
