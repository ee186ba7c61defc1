"""Keys over the admin API."""

from __future__ import annotations

from typing import Any

import pytest

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
