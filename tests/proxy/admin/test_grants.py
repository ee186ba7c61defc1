"""Grants over the admin API: who may make them, what is refused, and that nothing happens twice."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestClient
from pytest_aiohttp import AiohttpClient

from policies.ledger.connection import Connection
from policies.ledger.interface import Admission, Ask
from policies.ledger.redis_ledger import RedisLedger
from policies.rulebook import Rulebook
from proxy.admin.access import Opening, Tokens
from proxy.admin.asked import routes
from proxy.admin.attempts import Attempts
from proxy.admin.budgets import Budgets
from proxy.admin.door import Door
from proxy.admin.grants import BudgetGrants
from proxy.admin.services import Services
from proxy.grant_store import GrantStore
from tests.doubles.fake_clock import FakeClock
from tests.proxy.admin.conftest import USD, Plane

OPENINGS = (
    Opening(token="root", role="admin", name="ann"),
    Opening(token="watcher", role="viewer"),
    Opening(token="red-watcher", role="viewer", teams=frozenset({"red"})),
    Opening(token="red-root", role="admin", teams=frozenset({"red"})),
)
WISH = {"amount": "50 USD", "for": "3d", "reason": "month-end close"}


@dataclass
class Api:
    """The part of the admin plane that grants."""

    client: TestClient[Any, Any]
    services: Services
    rulebook: list[Rulebook]

    async def ask(
        self, method: str, path: str, body: Any = None, token: str = "root", **headers: str
    ) -> tuple[int, Any]:
        sent = {"Authorization": f"Bearer {token}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body else None
        url = f"/admin/v1/budgets{path}"
        async with self.client.request(method, url, headers=sent, data=data) as answer:
            assert answer.content_type == "application/json"
            return answer.status, await answer.json()

    async def make(self, name: str = "all", **wish: Any) -> dict[str, Any]:
        status, row = await self.ask("POST", f"/{name}/grants", WISH | wish)
        assert status == 201, row
        found: dict[str, Any] = row
        return found

    async def list(self, name: str = "all", query: str = "", token: str = "root") -> Any:
        status, page = await self.ask("GET", f"/{name}/grants{query}", token=token)
        assert status == 200, page
        return page

    async def rows(self) -> dict[tuple[str, str | None], Any]:
        _, page = await self.ask("GET", "")
        return {(row["name"], row["subject"]): row for row in page["items"]}


@pytest.fixture
async def api(
    aiohttp_client: AiohttpClient,
    plane: Plane,
    connection: Connection,
    redis_ledger: RedisLedger,
    clock: FakeClock,
) -> Api:
    inside = [plane.rulebook]
    services = replace(plane.services, rulebook=lambda: inside[0])
    store = GrantStore(connection, redis_ledger.keys, redis_ledger.now_ms)
    log = structlog.wrap_logger(structlog.ReturnLogger())
    attempts = Attempts(clock)
    door = Door(Tokens(OPENINGS), attempts, ledger=redis_ledger, clock=clock, log=log)
    application = web.Application(middlewares=[door.middleware()])
    for part in (Budgets(services, store), BudgetGrants(services, store)):
        application.add_routes(routes(part.operations(), clock))
    return Api(await aiohttp_client(application), services, inside)


# Making…


async def test_a_grant_raises_the_limit_that_is_shown(api: Api) -> None:
    row = await api.make(reason=" month-end close ")

    assert (row["state"], row["actor"], row["reason"]) == ("active", "ann", "month-end close")
    assert (row["budget"], row["subject"], row["unit"]) == ("all", None, "USD")
    assert row["amount"] == {"nano_usd": 50 * USD, "usd": "50"}
    shown = (await api.rows())["all", None]
    assert (shown["limit"]["usd"], shown["granted"]["usd"]) == ("150", "50")
    assert shown["grants"] == (await api.list())["items"] == [row]


async def test_who_granted_and_from_where_is_in_the_journal(api: Api) -> None:
    row = await api.make()
    await api.ask("DELETE", f"/all/grants/{row['id']}")

    entries = [e for e in await api.services.ledger.journal() if e.kind.startswith("grant_")]
    assert [entry.kind for entry in entries] == ["grant_made", "grant_ended"]
    for entry in entries:
        data = json.loads(entry.data)
        assert (data["grant"], data["actor"], data["from"]) == (row["id"], "ann", "127.0.0.1")


async def test_a_grant_for_one_subject_raises_no_other(api: Api) -> None:
    ledger, budget = api.services.ledger, api.rulebook[0].budgets["red-each"]
    ask = Ask(budget=budget, subject="bob", held=USD, bound=USD)
    await ledger.reserve("call_1", [ask], data="{}", admission=Admission.DECIDE)

    await api.make("red-each", amount="5 USD", subject="alice")

    rows = await api.rows()
    assert rows["red-each", "alice"]["limit"]["usd"] == "15"
    assert (rows["red-each", "bob"]["limit"]["usd"], rows["red-each", "bob"]["grants"]) == (
        "10",
        [],
    )


async def test_a_grant_can_be_for_each_subject(api: Api) -> None:
    row = await api.make("red-each", all_subjects=True)

    assert row["subject"] is None


@pytest.mark.parametrize(
    ("name", "wish", "said"),
    [
        ("all", {"amount": "5 calls"}, "is in calls, but budget 'all' counts USD"),
        ("all", {"amount": "0 USD"}, "raises nothing"),
        ("all", {"amount": "-5 USD"}, "is negative"),
        ("all", {"amount": "6e-7 USD"}, "is not an amount"),
        ("all", {"amount": "NaN USD"}, "is not an amount"),
        ("all", {"amount": "9007100 USD"}, "there is room for $9007099.254740991"),
        ("all", {"amount": 50}, "amount"),
        ("all", {"amount": None}, "amount"),
        ("all", {"amount": True}, "amount"),
        ("all", {"amount": "x" * 200}, "amount"),
        ("all", {"for": "soon"}, "'soon' is not a duration"),
        ("all", {"for": "500ms"}, "from one second to 366 days"),
        ("all", {"for": "367d"}, "from one second to 366 days"),
        ("all", {"for": 86_400}, "for"),
        ("all", {"reason": ""}, "reason"),
        ("all", {"reason": "\n"}, "say why"),
        ("all", {"reason": ["because"]}, "reason"),
        ("all", {"subject": "alice"}, "keeps one counter"),
        ("all", {"all_subjects": "perhaps"}, "all_subjects"),
        ("all", {"forever": True}, "forever"),
        ("red-each", {}, "has a limit for each user"),
        ("red-each", {"subject": ""}, "subject"),
        ("red-each", {"subject": "a\0b"}, "printable"),
        ("red-each", {"subject": "alice", "all_subjects": True}, "but not both"),
        ("unattributed", {}, "there is nothing to grant"),
        ("wallet.sim.credits", {}, "only the provider raises it"),
    ],
)
async def test_what_cannot_be_granted_is_told_why(
    api: Api, name: str, wish: dict[str, Any], said: str
) -> None:
    status, body = await api.ask("POST", f"/{name}/grants", WISH | wish)

    assert (status, body["error"]["code"]) == (400, "invalid")
    assert said in body["error"]["message"]
    assert (await api.list())["items"] == []


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"null", b"\xff", b'{"amount": NaN}', b'{"reason": "\\ud800"}', b"[" * 9_000],
)
async def test_what_is_no_wish_is_a_mistake(api: Api, body: bytes) -> None:
    status, answer = await api.ask("POST", "/all/grants", body)

    assert (status, answer["error"]["code"]) == (400, "invalid")


async def test_a_reason_and_an_end_are_required(api: Api) -> None:
    status, body = await api.ask("POST", "/all/grants", {"amount": "5 USD"})

    assert status == 400
    assert {mistake["field"] for mistake in body["error"]["mistakes"]} == {"for", "reason"}


# Who may…


async def test_a_viewer_cannot_grant_nor_end(api: Api) -> None:
    row = await api.make()

    for method, path in (("POST", "/all/grants"), ("DELETE", f"/all/grants/{row['id']}")):
        status, body = await api.ask(method, path, WISH, token="watcher")
        assert (status, body["error"]["code"]) == (403, "read_only")

    assert (await api.list(token="watcher"))["items"] == [row]


async def test_of_other_teams_budgets_nothing_is_told(api: Api) -> None:
    row = await api.make()
    await api.make("blue", amount="5 calls")

    for name in ("all", "blue", "none-such"):
        for token in ("red-watcher", "red-root"):
            status, body = await api.ask("GET", f"/{name}/grants", token=token)
            assert (status, body["error"]["message"]) == (404, f"'{name}' is not a budget")
        wish = WISH | {"amount": "1 calls" if name == "blue" else "1 USD"}
        status, body = await api.ask("POST", f"/{name}/grants", wish, token="red-root")
        assert (status, body["error"]["message"]) == (404, f"'{name}' is not a budget")
    status, _ = await api.ask("DELETE", f"/all/grants/{row['id']}", token="red-root")
    assert status == 404
    await api.ask("POST", "/red-each/grants", WISH | {"subject": "bob"}, token="red-root")
    assert len((await api.list("red-each", token="red-watcher"))["items"]) == 1


async def test_a_budget_that_does_not_exist_is_not_found(api: Api) -> None:
    for method, path in (("GET", ""), ("POST", ""), ("DELETE", "/grant_x")):
        status, _ = await api.ask(method, f"/none-such/grants{path}", WISH)
        assert status == 404


async def test_a_budget_that_policies_dropped_shows_its_grants_and_lets_them_end(api: Api) -> None:
    row = await api.make()
    api.rulebook[0] = Rulebook(organization=api.rulebook[0].organization)

    assert (await api.list())["items"] == [row]
    status, ended = await api.ask("DELETE", f"/all/grants/{row['id']}")
    assert (status, ended["state"]) == (200, "ended")


# Twice…


async def test_a_request_that_is_sent_again_grants_once(api: Api) -> None:
    answers = [
        await api.ask("POST", "/all/grants", WISH, Idempotency_Key="ticket-7") for _ in range(3)
    ]

    assert {status for status, _ in answers} == {201}
    assert (await api.list())["items"] == [answers[0][1]]
    assert answers[0] == answers[1] == answers[2]


async def test_an_idempotency_key_is_for_one_wish(api: Api) -> None:
    _, row = await api.ask("POST", "/all/grants", WISH, Idempotency_Key="x")

    status, body = await api.ask(
        "POST", "/all/grants", WISH | {"amount": "51 USD"}, Idempotency_Key="x"
    )

    assert (status, body["error"]["code"]) == (409, "idempotency_key_used")
    assert row["id"] in body["error"]["message"]


async def test_an_endless_idempotency_key_is_a_mistake(api: Api) -> None:
    status, body = await api.ask("POST", "/all/grants", WISH, Idempotency_Key="x" * 300)

    assert (status, body["error"]["code"]) == (400, "invalid")


async def test_ending_a_grant_again_changes_nothing(api: Api) -> None:
    row = await api.make()

    first = await api.ask("DELETE", f"/all/grants/{row['id']}")
    again = await api.ask("DELETE", f"/all/grants/{row['id']}")

    assert first == again
    assert (first[0], first[1]["ended_by"]) == (200, "ann")
    assert (await api.rows())["all", None]["granted"]["usd"] == "0"


async def test_a_grant_is_ended_at_its_own_budget_alone(api: Api) -> None:
    row = await api.make()

    for path in (f"/blue/grants/{row['id']}", "/all/grants/grant_x"):
        status, body = await api.ask("DELETE", path)
        assert (status, body["error"]["code"]) == (404, "not_found")

    assert (await api.list())["items"] == [row]


# Lists…


async def test_a_list_goes_on_where_it_ended_though_grants_are_made(
    api: Api, clock: FakeClock
) -> None:
    ids = []
    for number in range(5):
        ids.append((await api.make(amount=f"{number + 1} USD"))["id"])
        clock.advance(number % 2)

    page = await api.list(query="?limit=2")
    seen = [row["id"] for row in page["items"]]
    clock.advance(1)
    await api.make()
    while page["cursor"] is not None:
        page = await api.list(query=f"?limit=2&cursor={page['cursor']}")
        seen += [row["id"] for row in page["items"]]

    assert sorted(seen) == sorted(ids)
    assert len(seen) == 5


async def test_a_list_can_be_of_those_in_one_state(api: Api, clock: FakeClock) -> None:
    short = await api.make(**{"for": "1s"})
    ended = await api.make()
    await api.ask("DELETE", f"/all/grants/{ended['id']}")
    clock.advance(1_000)
    active = await api.make()

    for state, row in (("expired", short), ("ended", ended), ("active", active)):
        page = await api.list(query=f"?state={state}")
        assert [found["id"] for found in page["items"]] == [row["id"]]


@pytest.mark.parametrize(
    "query", ["?limit=0", "?limit=ten", "?cursor=x", "?state=gone", "?who=ann"]
)
async def test_a_list_that_makes_no_sense_is_a_mistake(api: Api, query: str) -> None:
    status, body = await api.ask("GET", f"/all/grants{query}")

    assert (status, body["error"]["code"]) == (400, "invalid")
