"""The admin API's door: who passes, and how every error leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import text

from policies.errors import LedgerUnavailable
from proxy.admin.access import Opening
from proxy.admin.attempts import ADDRESS_TRIES
from tests.doubles.fake_clock import NOON_MS, FakeClock
from tests.proxy.admin.conftest import MakePlane, Plane

PATHS = (
    ("GET", "/admin/v1/budgets"),
    ("GET", "/admin/v1/budgets/all/grants"),
    ("POST", "/admin/v1/budgets/all/grants"),
    ("DELETE", "/admin/v1/budgets/all/grants/grant_1"),
    ("GET", "/admin/v1/keys"),
    ("GET", "/admin/v1/keys/key_1"),
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
    ("GET", "/admin/v1/spend"),
    ("GET", "/admin/v1/audit"),
    ("GET", "/admin/v1/audit/export"),
    ("GET", "/admin/v1/audit/verify"),
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


async def test_every_operation_but_the_open_ones_is_among_those(plane: Plane) -> None:
    open_paths = {"/healthz", "/readyz", "/metrics", "/admin/v1/openapi.json"}
    declared = {
        (each.method, each.path) for each in plane.operations if each.path not in open_paths
    }
    examples = {"{id}": {"key_1", "call_1", "grant_1"}, "{name}": {"all"}}
    given = set(PATHS)

    missing = [
        each for each in declared if not any(_is_example(each, path, examples) for path in given)
    ]

    assert missing == []


def _is_example(
    declared: tuple[str, str], given: tuple[str, str], examples: dict[str, set[str]]
) -> bool:
    parts = zip(declared[1].split("/"), given[1].split("/"), strict=False)
    return (
        declared[0] == given[0]
        and declared[1].count("/") == given[1].count("/")
        and all(one == other or other in examples.get(one, ()) for one, other in parts)
    )


# --- Tokens that were good, and guesses ---


async def test_a_token_that_has_ended_says_when(make_plane: MakePlane) -> None:
    ended = Opening(token="old", role="admin", expires_ms=NOON_MS)
    plane = await make_plane(grants=[ended])

    for _ in range(ADDRESS_TRIES + 1):
        status, body = await plane.ask("/admin/v1/keys", token="old")
        # It is no guess: a script that still has it keeps nobody out.
        assert (status, body["error"]["code"]) == (401, "expired_token")
        assert "2026-11-23T13:00:00Z" in body["error"]["message"]


async def guess(plane: Plane, times: int) -> None:
    for number in range(times):
        status, _ = await plane.ask("/admin/v1/keys", token=f"guess-{number}")
        assert status == 401


async def test_whoever_guesses_is_turned_away_unread(plane: Plane, clock: FakeClock) -> None:
    await guess(plane, ADDRESS_TRIES)

    status, headers, body = await plane.ask_fully("/admin/v1/keys", token="root")

    assert (status, body["error"]["code"]) == (429, "too_many_attempts")
    clock.advance(1_000 * int(headers["Retry-After"]))
    assert (await plane.ask("/admin/v1/keys", token="root"))[0] == 200


async def test_a_guess_is_journalled_without_its_token(plane: Plane) -> None:
    await guess(plane, 2)

    acts = await plane.acts("sign_in_failed")

    assert acts == [{"actor": None, "from": "127.0.0.1", "door": "api"}] * 2


async def test_while_the_ledger_is_away_a_guess_is_still_one(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise LedgerUnavailable("redis-7.internal does not answer")

    monkeypatch.setattr(type(plane.services.ledger), "note", fail)

    await guess(plane, 1)


async def test_to_ask_without_a_token_is_no_guess(plane: Plane) -> None:
    for _ in range(ADDRESS_TRIES + 1):
        status, _ = await plane.ask("/admin/v1/keys", token=None)
        assert status == 401

    assert (await plane.ask("/admin/v1/keys"))[0] == 200


# --- Answers ---


@pytest.mark.parametrize("path", ["calls", "calls/call_1", "spend", "audit", "audit/verify"])
async def test_an_archive_that_does_not_answer_is_said(plane: Plane, path: str) -> None:
    with plane.services.database.begin() as connection:
        connection.execute(text("DROP TABLE organizations"))

    status, body = await plane.ask(f"/admin/v1/{path}")

    assert (status, body["error"]["code"]) == (503, "archive_unavailable")
    assert "organizations" not in str(body)


async def test_what_a_method_can_be_is_told(plane: Plane) -> None:
    _, headers, _ = await plane.ask_fully("/admin/v1/keys", method="PATCH")

    assert headers["Allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize("path", [path for method, path in PATHS if method == "GET"][:-1])
async def test_what_nobody_asks_for_is_refused_everywhere(plane: Plane, path: str) -> None:
    status, body = await plane.ask(f"{path}?surprise=1")

    assert (status, body["error"]["code"]) == (400, "invalid")
    assert [each["field"] for each in body["error"]["mistakes"]] == ["surprise"]


async def test_the_document_needs_no_token(make_plane: MakePlane) -> None:
    plane = await make_plane(grants=())

    status, body = await plane.ask("/admin/v1/openapi.json", token=None)

    assert (status, body["openapi"]) == (200, "3.1.0")


@pytest.mark.parametrize(
    "path", ["/%61dmin/v1/keys", "/admin%2Fv1/keys", "/admin/v1//keys", "/admin/v1/../v1/keys"]
)
async def test_no_other_spelling_of_a_path_gets_in(plane: Plane, path: str) -> None:
    answers: Sequence[Any] = [await plane.ask(path, token=token) for token in (None, "wrong")]

    assert all(status in (401, 404) for status, _ in answers)
