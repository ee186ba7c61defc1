"""The journal over the admin API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.proxy.admin.conftest import Plane

AUDIT = "/admin/v1/audit"


async def kinds(plane: Plane, query: str = "", token: str = "root") -> list[str]:
    status, body = await plane.ask(f"{AUDIT}?{query}", token=token)
    assert status == 200
    return [entry["kind"] for entry in body["items"]]


async def test_an_act_is_there_at_once_with_who_and_from_where(plane: Plane) -> None:
    await plane.ask("/admin/v1/keys", method="POST", body={"team": "red", "name": "ci"})

    _, body = await plane.ask(AUDIT)

    (entry,) = body["items"]
    assert (entry["kind"], entry["call_id"], entry["archived"]) == ("key_created", None, False)
    assert (entry["data"]["actor"], entry["data"]["from"]) == ("token 4813494d", "127.0.0.1")
    assert (entry["data"]["team"], entry["data"]["name"]) == ("red", "ci")


async def test_it_looks_the_same_when_it_is_archived(plane: Plane) -> None:
    await plane.call("call_1", "red")
    await plane.call("call_dear", "red", dollars=1_000)
    _, before = await plane.ask(AUDIT)

    await plane.archive()

    _, after = await plane.ask(AUDIT)
    assert [entry["archived"] for entry in after["items"]] == [True] * 3
    for entry in before["items"]:
        entry["archived"] = True
    assert after == before


async def test_an_entry_says_what_moved_and_what_was_looked_at(plane: Plane) -> None:
    await plane.call("call_1", "red", settled=False)

    _, body = await plane.ask(AUDIT)

    (entry,) = body["items"]
    (movement,), (check,) = entry["movements"], entry["checks"]
    assert (movement["budget"], movement["subject"]) == ("all", None)
    assert movement["reserved_change"] == {"nano_usd": 1_000_000_000, "usd": "1"}
    assert check["limit"] == {"nano_usd": 100_000_000_000, "usd": "100"}
    assert (check["mode"], check["short"]) == ("enforce", False)


@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("acts=true", ["key_created"]),
        ("kind=settle", ["settle"]),
        ("call=call_1", ["settle", "admitted"]),
        ("actor=token%204813494d", ["key_created"]),
        ("actor=nobody", []),
        ("kind=unheard_of", []),
        ("since=1d", ["key_created", "refused", "settle", "admitted"]),
        ("until=1d", []),
    ],
)
async def test_entries_are_filtered_alike_wherever_they_are(
    plane: Plane, archived: bool, query: str, found: list[str]
) -> None:
    await plane.call("call_1", "red")
    await plane.call("call_dear", "blue", dollars=1_000)
    await plane.ask("/admin/v1/keys", method="POST", body={"team": "red"})
    if archived:
        await plane.archive()

    assert await kinds(plane, query) == found


@pytest.mark.parametrize("archived", [0, 3, 5])
async def test_pages_lead_through_everything_once(plane: Plane, archived: int) -> None:
    for number in range(5):
        await plane.services.ledger.note(f"act_{number}", "{}")
        if number + 1 == archived:
            await plane.archive()

    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        _, body = await plane.ask(f"{AUDIT}?limit=2{cursor}")
        found += [entry["kind"] for entry in body["items"]]
        cursor = f"&cursor={body['cursor']}" if body["cursor"] else None

    assert found == ["act_4", "act_3", "act_2", "act_1", "act_0"]


@pytest.mark.parametrize("archived", [False, True])
async def test_a_viewer_of_a_team_sees_what_is_about_its_calls(
    plane: Plane, archived: bool
) -> None:
    await plane.call("call_red", "red")
    await plane.call("call_blue", "blue")
    await plane.ask("/admin/v1/keys", method="POST", body={"team": "red"})
    if archived:
        await plane.archive()

    _, body = await plane.ask(AUDIT, token="red-watcher")

    assert [(entry["kind"], entry["call_id"]) for entry in body["items"]] == [
        ("settle", "call_red"),
        ("admitted", "call_red"),
    ]
    assert await kinds(plane, "call=call_blue", token="red-watcher") == []
    assert await kinds(plane, "acts=true", token="red-watcher") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [("acts=true&call=call_1", "call"), ("call=call_1&actor=ann", "actor"), ("acts=yes", "acts")],
)
async def test_what_contradicts_itself_is_a_mistake(plane: Plane, query: str, field: str) -> None:
    status, body = await plane.ask(f"{AUDIT}?{query}")

    assert (status, body["error"]["code"]) == (400, "invalid")
    assert [each["field"] for each in body["error"]["mistakes"]] == [field]


async def test_an_entry_of_a_newer_version_is_shown_as_far_as_it_can_be(plane: Plane) -> None:
    keys: Any = plane.services.ledger.keys  # type: ignore[attr-defined]  # It is a RedisLedger.
    fields: dict[str, str | int] = {
        "v": 9,
        "kind": "novelty",
        "call": "call_1",
        "at": 5,
        "data": "\\",
        "moves": "{}",
    }
    flat = [part for pair in fields.items() for part in pair]
    await plane.connection.execute("XADD", keys.journal, "*", *flat, "checks", "[[1]]", "new", "x")
    await plane.archive()

    _, body = await plane.ask(AUDIT)

    (entry,) = body["items"]
    assert (entry["kind"], entry["data"]) == ("novelty", "\\")
    assert (entry["movements"], entry["checks"]) == ([], [])
