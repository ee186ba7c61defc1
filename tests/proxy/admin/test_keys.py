"""Keys over the admin API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.admin.access import Access
from proxy.admin.cursors import cursor
from proxy.admin.keys import KeysQuery, keys_page
from proxy.keys import KeyRecord
from tests.doubles.fake_clock import FakeClock
from tests.proxy.admin.conftest import Plane

KEYS = "/admin/v1/keys"


async def created(plane: Plane, **body: Any) -> dict[str, Any]:
    status, key = await plane.ask(KEYS, method="POST", body={"team": "red", **body})
    assert status == 201
    found: dict[str, Any] = key
    return found


async def test_a_created_key_is_told_once(plane: Plane) -> None:
    key = await created(plane, user="alice", name="ci", expires="90d", tags={"project": "apollo"})

    _, body = await plane.ask(KEYS)

    assert key["key"].startswith("bsr_")
    (row,) = body["items"]
    assert row == {name: value for name, value in key.items() if name != "key"}
    assert row["tags"] == {"project": "apollo"}
    assert row["state"] == "active"


async def test_a_key_expires(plane: Plane, clock: FakeClock) -> None:
    await created(plane, expires="1d")

    clock.advance(86_400_000)

    _, body = await plane.ask(KEYS)
    assert [row["state"] for row in body["items"]] == ["expired"]


async def test_a_viewer_of_a_team_sees_its_keys_alone(plane: Plane) -> None:
    await created(plane)
    await created(plane, team="blue")

    _, body = await plane.ask(KEYS, token="red-watcher")

    assert [row["team"] for row in body["items"]] == ["red"]


async def test_a_rotated_key_keeps_its_id(plane: Plane) -> None:
    key = await created(plane)

    status, rotated = await plane.ask(
        f"{KEYS}/{key['id']}/rotate", method="POST", body={"grace": "1h"}
    )

    assert status == 200
    assert rotated["id"] == key["id"]
    assert rotated["key"] != key["key"]


async def test_a_revoked_key_is_over(plane: Plane) -> None:
    key = await created(plane)

    status, row = await plane.ask(f"{KEYS}/{key['id']}", method="DELETE")
    again, body = await plane.ask(f"{KEYS}/{key['id']}/rotate", method="POST")

    assert (status, row["state"]) == (200, "revoked")
    assert (again, body["error"]["code"]) == (409, "not_usable")


@pytest.mark.parametrize(("method", "path"), [("DELETE", ""), ("POST", "/rotate")])
async def test_an_unknown_key_is_not_found(plane: Plane, method: str, path: str) -> None:
    status, body = await plane.ask(f"{KEYS}/key_nobody{path}", method=method)

    assert (status, body["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"team": "rde"}, "'rde' is not a team: did you mean 'red'?"),
        ({"team": "red", "user": "mallory"}, "'mallory' is not in team 'red': there is alice"),
        ({"team": "blue", "name": "\u200b"}, "printable characters"),
    ],
)
async def test_a_key_belongs_to_somebody(plane: Plane, body: dict[str, str], said: str) -> None:
    status, answer = await plane.ask(KEYS, method="POST", body=body)

    assert status == 400
    assert said in answer["error"]["message"]


async def test_a_grace_of_years_is_a_mistake(plane: Plane) -> None:
    key = await created(plane)

    status, _ = await plane.ask(
        f"{KEYS}/{key['id']}/rotate", method="POST", body={"grace": "9999d"}
    )

    assert status == 400


# --- Lists ---


async def test_keys_are_found_by_any_of_their_names(plane: Plane) -> None:
    ci = await created(plane, name="CI of Straße")
    alice = await created(plane, user="alice")
    blue = await created(plane, team="blue")
    await plane.ask(f"{KEYS}/{blue['id']}", method="DELETE")

    async def found(query: str) -> list[str]:
        status, body = await plane.ask(f"{KEYS}?{query}")
        assert status == 200
        return [row["id"] for row in body["items"]]

    assert await found("search=strasse") == [ci["id"]]
    assert await found(f"search={alice['prefix']}") == [alice["id"]]
    assert await found("user=alice") == [alice["id"]]
    assert await found("team=blue") == [blue["id"]]
    assert await found("state=revoked") == [blue["id"]]
    assert await found("team=green") == []


async def test_pages_lead_through_every_key_once(plane: Plane) -> None:
    made = [(await created(plane))["id"] for _ in range(5)]

    found: list[str] = []
    following: str | None = ""
    while following is not None:
        _, body = await plane.ask(f"{KEYS}?limit=2{following}")
        found += [row["id"] for row in body["items"]]
        following = f"&cursor={body['cursor']}" if body["cursor"] else None

    assert sorted(found) == sorted(made)


@pytest.mark.parametrize("text", ["x", cursor("keys", 1), cursor("keys", "a", 1)])
async def test_a_cursor_of_something_else_is_a_mistake(plane: Plane, text: str) -> None:
    status, body = await plane.ask(f"{KEYS}?cursor={text}")

    assert (status, body["error"]["mistakes"][0]["field"]) == (400, "cursor")


def test_ten_thousand_keys_are_pages() -> None:
    records = [
        KeyRecord(id=f"key_{number:05}", team="red", created_at_ms=number // 10, prefix="bsr_x")
        for number in range(10_000)
    ]
    admin = Access(role="admin", teams=frozenset())
    seen: list[str] = []
    place = None

    while True:
        page = keys_page(records, admin, KeysQuery(limit=500, cursor=place), 0)
        seen += [row.id for row in page.items]
        if page.cursor is None:
            break
        place = KeysQuery.model_validate({"cursor": page.cursor}).cursor

    assert seen == [record.id for record in records]


# --- One key ---


async def test_a_key_is_shown_without_its_secret(plane: Plane) -> None:
    key = await created(plane, user="alice")

    status, body = await plane.ask(f"{KEYS}/{key['id']}")

    assert status == 200
    assert body == {name: value for name, value in key.items() if name != "key"}


async def test_another_teams_key_does_not_exist(plane: Plane) -> None:
    key = await created(plane, team="blue")

    status, body = await plane.ask(f"{KEYS}/{key['id']}", token="red-watcher")

    assert (status, body["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(("method", "path"), [("DELETE", ""), ("POST", "/rotate")])
async def test_a_key_that_somebody_else_changed_meanwhile_stays(
    plane: Plane, method: str, path: str
) -> None:
    key = await created(plane)
    _, headers, _ = await plane.ask_fully(f"{KEYS}/{key['id']}")
    _, latest, _ = await plane.ask_fully(f"{KEYS}/{key['id']}/rotate", method="POST")

    stale, body = await plane.ask(
        f"{KEYS}/{key['id']}{path}", method=method, headers={"If-Match": headers["ETag"]}
    )
    done, _ = await plane.ask(
        f"{KEYS}/{key['id']}{path}", method=method, headers={"If-Match": latest["ETag"]}
    )

    assert (stale, body["error"]["code"]) == (412, "changed")
    assert done == 200


# --- The journal ---


async def test_each_change_is_journalled_with_who_and_from_where(plane: Plane) -> None:
    key = await created(plane, name="ci")
    await plane.ask(f"{KEYS}/{key['id']}/rotate", method="POST", body={"grace": "1h"})
    for _ in range(2):
        await plane.ask(f"{KEYS}/{key['id']}", method="DELETE")

    acts = [await plane.acts(kind) for kind in ("key_created", "key_rotated", "key_revoked")]

    assert [len(each) for each in acts] == [1, 1, 1]
    for (act,) in acts:
        assert (act["key"], act["team"], act["name"]) == (key["id"], "red", "ci")
        assert (act["actor"], act["from"]) == ("token 4813494d", "127.0.0.1")
        assert key["key"] not in str(act)
    assert acts[1][0]["grace_ms"] == 3_600_000


async def test_what_was_not_done_is_not_journalled(plane: Plane) -> None:
    await plane.ask(KEYS, method="POST", body={"team": "nobody"})
    await plane.ask(f"{KEYS}/key_nobody", method="DELETE")

    assert await plane.acts("key_created") == []
    assert await plane.acts("key_revoked") == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"team": 1}, "team"),
        ({"team": "red", "expires": True}, "expires"),
        ({"team": "red", "expires": 1.5}, "expires"),
        ({"team": "red", "expires": "99999999999d"}, "expires"),
        ({"team": "red", "expires": "9999999999d"}, "expires"),
        ({"team": "red", "expires": 10**18}, "expires"),
        ({"team": "red", "expires": 10**4000}, "expires"),
        ({"team": "red", "tags": {"a": 1}}, "tags.a"),
        ({"team": "red", "tags": [1]}, "tags"),
        ([], ""),
        ("red", ""),
        (None, ""),
    ],
)
async def test_a_body_of_wrong_types_is_a_mistake(plane: Plane, body: Any, field: str) -> None:
    data = json.dumps(body)
    headers = {"Authorization": "Bearer root"}
    async with plane.client.post(KEYS, data=data, headers=headers) as answer:
        found = await answer.json()

    assert (answer.status, found["error"]["code"]) == (400, "invalid")
    assert [each.get("field", "") for each in found["error"]["mistakes"]] == [field]
