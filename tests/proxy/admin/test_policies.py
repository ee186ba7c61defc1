"""Policies over the admin API."""

from __future__ import annotations

from policies.lined_yaml import Mistake
from proxy.policy_watch import Rejected, Reloaded
from tests.proxy.admin.conftest import Plane


async def test_what_is_in_force_is_shown(plane: Plane) -> None:
    status, body = await plane.ask("/admin/v1/policies")

    assert status == 200
    assert body["version"] == plane.rulebook.version
    assert body["teams"][0] == {"name": "red", "models": ["*"], "members": ["alice"]}
    assert body["budgets"][1] == {
        "name": "red-each",
        "team": "red",
        "each": "user",
        "limit": "10 USD",
        "mode": "enforce",
    }


async def test_a_viewer_of_a_team_sees_its_policies_alone(plane: Plane) -> None:
    _, body = await plane.ask("/admin/v1/policies", token="red-watcher")

    assert [team["name"] for team in body["teams"]] == ["red"]
    assert [budget["name"] for budget in body["budgets"]] == ["red-each"]


async def test_a_reload_says_what_has_changed(plane: Plane) -> None:
    plane.reloads = [Reloaded(version="abc", changes=("team red added",))]

    status, body = await plane.ask("/admin/v1/policies/reload", method="POST")

    assert (status, body) == (200, {"version": "abc", "changes": ["team red added"]})


async def test_a_reload_with_mistakes_names_them(plane: Plane) -> None:
    plane.reloads = [Rejected(mistakes=(Mistake("p.yaml", 3, "teams", "is empty"),))]

    status, body = await plane.ask("/admin/v1/policies/reload", method="POST")

    assert status == 422
    assert body["error"]["mistakes"] == [
        {"file": "p.yaml", "line": 3, "field": "teams", "message": "is empty"}
    ]


async def test_policies_that_changed_since_they_were_looked_at_are_not_loaded(plane: Plane) -> None:
    _, headers, _ = await plane.ask_fully("/admin/v1/policies")
    plane.reloads = [Reloaded(version="abc", changes=())]

    stale, body = await plane.ask(
        "/admin/v1/policies/reload", method="POST", headers={"If-Match": '"0000000000000000"'}
    )
    status, _ = await plane.ask(
        "/admin/v1/policies/reload", method="POST", headers={"If-Match": headers["ETag"]}
    )

    assert (stale, body["error"]["code"]) == (412, "changed")
    assert status == 200
