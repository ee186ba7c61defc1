"""The admin API's door: who passes, and how every error leaves."""

from __future__ import annotations

import pytest

from policies.errors import LedgerUnavailable
from tests.proxy.admin.conftest import MakePlane, Plane

PATHS = (
    ("GET", "/admin/v1/budgets"),
    ("GET", "/admin/v1/keys"),
    ("POST", "/admin/v1/keys"),
    ("POST", "/admin/v1/keys/key_1/rotate"),
    ("DELETE", "/admin/v1/keys/key_1"),
    ("GET", "/admin/v1/policies"),
    ("POST", "/admin/v1/policies/reload"),
    ("GET", "/admin/v1/calls"),
    ("GET", "/admin/v1/calls/call_1"),
    ("GET", "/admin/v1/receipts"),
    ("POST", "/admin/v1/receipts/run"),
    ("GET", "/admin/v1/wallets"),
    ("GET", "/admin/v1/nothing"),
)


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_nothing_is_said_without_a_token(plane: Plane, method: str, path: str) -> None:
    status, body = await plane.ask(path, method=method, token=None)

    assert (status, body["error"]["code"]) == (401, "no_token")


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_nothing_is_said_for_a_wrong_token(plane: Plane, method: str, path: str) -> None:
    status, body = await plane.ask(path, method=method, token="rootkit")

    assert (status, body["error"]["code"]) == (401, "unknown_token")


@pytest.mark.parametrize(("method", "path"), [each for each in PATHS if each[0] != "GET"])
async def test_a_viewer_changes_nothing(plane: Plane, method: str, path: str) -> None:
    status, body = await plane.ask(path, method=method, token="watcher")

    assert (status, body["error"]["code"]) == (403, "read_only")


async def test_without_any_token_configured_the_api_is_closed(make_plane: MakePlane) -> None:
    plane = await make_plane(grants=())

    status, body = await plane.ask("/admin/v1/budgets", token="")

    assert (status, body["error"]["code"]) == (403, "no_tokens")
    assert "add one under `admin: {tokens: …}`" in body["error"]["message"]


@pytest.mark.parametrize("path", ["/admin/v1/wallet", "/admin/v1/receipts/1", "/nothing", "/"])
async def test_what_is_not_there_is_said_in_json(plane: Plane, path: str) -> None:
    status, body = await plane.ask(path)

    assert (status, body["error"]["code"]) == (404, "not_found")
    assert path in body["error"]["message"]


async def test_a_method_that_is_not_possible_is_said_in_json(plane: Plane) -> None:
    status, body = await plane.ask("/admin/v1/budgets", method="DELETE")

    assert (status, body["error"]["code"]) == (405, "method_not_allowed")


async def test_a_401_says_how_to_authenticate(plane: Plane) -> None:
    async with plane.client.get("/admin/v1/budgets") as answer:
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="bursar"'


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (LedgerUnavailable("redis-7.internal does not answer"), 503, "ledger_unavailable"),
        (RuntimeError("a secret detail"), 500, "internal"),
    ],
)
async def test_faults_leave_without_their_details(
    plane: Plane, monkeypatch: pytest.MonkeyPatch, fault: Exception, status: int, code: str
) -> None:
    async def fail(*_: object) -> None:
        raise fault

    monkeypatch.setattr(type(plane.services.ledger), "standings", fail)

    found, body = await plane.ask("/admin/v1/budgets")

    assert (found, body["error"]["code"]) == (status, code)
    assert str(fault) not in str(body)


async def test_a_body_that_is_no_json_is_a_mistake(plane: Plane) -> None:
    headers = {"Authorization": "Bearer root"}
    async with plane.client.post("/admin/v1/keys", data="{", headers=headers) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]["code"] == "invalid"


async def test_every_mistake_of_a_body_is_named(plane: Plane) -> None:
    wrong = {"tema": "red", "tags": {"a": ""}, "expires": "soon"}

    status, body = await plane.ask("/admin/v1/keys", method="POST", body=wrong)

    assert status == 400
    found = {each["field"]: each["message"] for each in body["error"]["mistakes"]}
    assert set(found) == {"team", "tema", "tags.a", "expires"}
    assert found["tema"] == "is not a field here: did you mean 'team'?"


async def test_a_body_that_is_too_large_is_refused(plane: Plane) -> None:
    status, body = await plane.ask("/admin/v1/keys", method="POST", body={"name": "x" * 100_000})

    assert status == 413
    assert body["error"]["code"] == "refused"
