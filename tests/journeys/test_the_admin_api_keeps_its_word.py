"""The admin API keeps its word: Schemathesis asks all that its OpenAPI document allows, and more.

A real plane on a real Redis and a real archive. No request makes it fail, and no answer is another one
than the document says. The tests of `tests/proxy/admin` hold answers against the document that they know
of; here somebody asks who knows the document alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from policies.clock import SystemClock
from policies.decisions import Admitted
from policies.grants import wish
from policies.ledger.connection import Connection
from policies.ledger.interface import Admission, Ask
from policies.ledger.redis_ledger import RedisLedger
from policies.units import Amounts
from proxy.admin.operations import Handler
from proxy.admin.plane import AdminPlane
from proxy.admin.services import Services
from proxy.archive.reader import ArchiveReader
from proxy.archive.stream import read_row
from proxy.archive.writer import Writer
from proxy.grant_store import GrantStore, Who
from proxy.key_store import KeyStore
from proxy.policy_watch import Rejected, Reloaded
from tests.doubles.archived import sqlite_database
from tests.proxy.admin.conftest import GRANTS, USD, FakeReceipts, FakeWallets, rules

CALLS: Final = 60
#: Of every operation, in each phase; with more it takes minutes and finds the same.
CASES_MAX: Final = 10
#: What is not checked, and why.
LEFT_OUT: Final = (
    # It presents tokens that are none, and is kept out then as it should be; test_door.py does that.
    "ignored_auth",
    # Some rules are between fields, where no schema says them: `until` lies behind `since`.
    "positive_data_acceptance",
    # A key that was deleted is revoked, and is still shown as that: calls were made with it.
    "use_after_free",
)


@dataclass(slots=True)
class Served:
    """A plane on a port of its own."""

    plane: AdminPlane
    services: Services
    url: str = ""
    #: What was answered with a success, by method and path.
    done: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: Changes answers on their way out: what a plane does that breaks its word.
    spoil: Callable[[web.StreamResponse], web.StreamResponse] = lambda answer: answer

    async def ask(self, path: str) -> Any:
        """Return what the plane answers to an administrator."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(self.url + path, headers={"Authorization": "Bearer root"}) as answer,
        ):
            assert answer.status == 200
            return await answer.json()

    def listening(self) -> Middleware:
        """Return what notes every answer."""

        @web.middleware
        async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
            answer = self.spoil(await handler(request))
            resource = request.match_info.route.resource
            assert resource is not None
            if answer.status < 300:
                self.done[request.method, resource.canonical] += 1
            return answer

        return note


@pytest.fixture
async def served(
    connection: Connection, organization: str, tmp_path: Path
) -> AsyncIterator[Served]:
    """A plane with calls, keys and grants, half of them archived."""
    clock, rulebook = SystemClock(), rules(organization)
    ledger = RedisLedger(connection, organization, clock)
    database = sqlite_database(tmp_path)

    async def reload() -> Reloaded | Rejected:
        return Reloaded(version=rulebook.version, changes=())

    services = Services(
        ledger=ledger,
        archive=ArchiveReader(database, organization),
        database=database,
        grants=GrantStore(connection, ledger.keys, ledger.now_ms),
        keys=KeyStore(connection, ledger.keys, clock),
        receipts=FakeReceipts(),
        wallets=FakeWallets(),
        clock=clock,
        providers={"sim": "agipower"},
        rulebook=lambda: rulebook,
        reload_policies=reload,
        metrics=lambda: b"bursar_numbers 1\n",
        ping=ledger.synchronise,
        obstacles=list,
    )
    await ledger.synchronise()
    await _live(services)
    writer = Writer(database, organization, clock)
    rows = await connection.execute("XRANGE", ledger.keys.journal, "-", "+")
    writer.write(writer.chain(), [read_row(row) for row in rows])
    await _live(services)
    made = AdminPlane(services, GRANTS, structlog.wrap_logger(structlog.ReturnLogger()))
    served = Served(made, services)
    made.application.middlewares.append(served.listening())
    served.url = f"http://127.0.0.1:{await made.listen('127.0.0.1', 0)}"
    yield served
    await made.close()
    database.close()


async def _live(services: Services) -> None:
    """Make calls of every kind, a key for each team, and a grant."""
    budget = services.rulebook().budgets["all"]
    for team in ("red", "blue"):
        await services.keys.create(team, None, f"<b>{team}</b>", actor="test")
    wanted = wish(budget, amount="5 USD", for_ms=60_000, reason="test")
    await services.grants.make(wanted, Who("test", "here"))
    for number in range(CALLS):
        dollars = 1_000 if number % 7 == 0 else 1
        said = {
            "team": "red" if number % 2 else "blue",
            "user": "alice" if number % 3 else "<script>alert(1)</script>",
            "key": f"key_{number % 5}",
            "provider": "sim",
            "model": f"acme/mini-{number % 4}",
            "dialect": "messages",
            "streamed": bool(number % 2),
            "quote": {"nano_usd": dollars * USD},
        }
        call_id = f"call_{services.ledger.now_ms()}_{number}"
        decision = await services.ledger.reserve(
            call_id,
            [Ask(budget=budget, subject="", held=dollars * USD, bound=dollars * USD)],
            data=json.dumps(said),
            admission=Admission.DECIDE,
        )
        if isinstance(decision, Admitted):
            usage = [{"input_tokens": number, "output_tokens": 5}]
            outcome = json.dumps({"nano_usd": number, "status": 200, "usage": usage})
            await services.ledger.settle(
                decision.reservation, Amounts(nano_usd=number), outcome=outcome
            )


async def settings(served: Served) -> str:
    """Return what Schemathesis has to know to get past the first mistake: names that there are."""
    calls = await served.ask("/admin/v1/calls?limit=1")
    keys = await served.ask("/admin/v1/keys?limit=3")
    grants = await served.ask("/admin/v1/budgets/all/grants")
    audit = await served.ask("/admin/v1/audit?limit=1")
    words: dict[str, tuple[Sequence[str], Sequence[str]]] = {
        "team": (["red", "blue", "<b>", "%'\\"], ["query.team", "body.team"]),
        "user": (["alice", "<script>alert(1)</script>"], ["query.user"]),
        "key": (["key_1", "key_2"], ["query.key"]),
        "model": (["acme/mini-1", "*mini*", "*"], ["query.model"]),
        "kind": (["settle", "key_created"], ["query.kind"]),
        "moment": (["2020-01-01", "30d", "2026-11-23T13:00:00Z"], ["query.since"]),
        "later": (["2100-01-01"], ["query.until"]),
        "budget": (["all", "all", "red-each", "nothing"], ["path.name"]),
        "reason": (["the end of the month"], ["body.reason"]),
        "amount": (["5 USD", "0.5 USD"], ["body.amount"]),
        "lapse": (["1h", "3d"], ["body.for", "body.grace", "body.expires"]),
        "member": (["alice"], ["body.user"]),
    }
    lines = []
    for name, (values, places) in words.items():
        lines.append(f"[dictionaries.{name}]\nvalues = {json.dumps(values)}")
        lines += [
            f'[parameters."{place}"]\ndictionary = "{name}"\nprobability = 0.9' for place in places
        ]
    own = {
        "GET /admin/v1/calls": ("query.cursor", calls["cursor"]),
        "GET /admin/v1/keys": ("query.cursor", keys["cursor"]),
        "GET /admin/v1/audit": ("query.cursor", audit["cursor"]),
        "GET /admin/v1/calls/{id}": ("path.id", calls["items"][0]["id"]),
        "GET /admin/v1/keys/{id}": ("path.id", keys["items"][0]["id"]),
        "POST /admin/v1/keys/{id}/rotate": ("path.id", keys["items"][1]["id"]),
        "DELETE /admin/v1/keys/{id}": ("path.id", keys["items"][2]["id"]),
        "DELETE /admin/v1/budgets/{name}/grants/{id}": ("path.id", grants["items"][0]["id"]),
    }
    for number, (operation, (place, value)) in enumerate(own.items()):
        lines.append(f"[dictionaries.own{number}]\nvalues = {json.dumps([value])}")
        lines.append(f'[[operations]]\ninclude-name = "{operation}"')
        lines.append(f'[operations.parameters."{place}"]\ndictionary = "own{number}"')
        lines.append("probability = 0.7")
    return "\n".join(lines)


async def schemathesis(served: Served, folder: Path, *, token: str, only: str = "") -> str:
    """Have it ask; return what it finds fault with, or nothing."""
    (folder / "schemathesis.toml").write_text(await settings(served))
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("schemathesis"),
        *("run", f"{served.url}/admin/v1/openapi.json"),
        *("--header", f"Authorization: Bearer {token}"),
        *("--exclude-checks", ",".join(LEFT_OUT)),
        *("--max-examples", str(CASES_MAX)),
        *("--suppress-health-check", "all"),
        *("--continue-on-failure", "--no-shrink"),
        *(("--include-path", only) if only else ()),
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode in (0, 1), output.decode()
    return output.decode() if process.returncode else ""


async def test_no_request_makes_it_fail_and_no_answer_differs_from_its_schema(
    served: Served, tmp_path: Path
) -> None:
    faults = await schemathesis(served, tmp_path, token="root")

    assert faults == ""
    # It did not only make mistakes: everything that can be asked was answered, too.
    asked = {(each.method, each.path) for each in served.plane.operations}
    assert asked - set(served.done) == set()


async def test_nor_does_any_for_somebody_who_may_see_less(served: Served, tmp_path: Path) -> None:
    faults = await schemathesis(served, tmp_path, token="red-watcher")

    assert faults == ""
    assert {method for method, _ in served.done} == {"GET"}


async def test_an_answer_that_differs_from_its_schema_would_be_found(
    served: Served, tmp_path: Path
) -> None:
    def spoil(answer: web.StreamResponse) -> web.StreamResponse:
        if isinstance(answer, web.Response) and answer.text is not None:
            answer.text = answer.text.replace('"healthy"', "5")
        return answer

    served.spoil = spoil

    faults = await schemathesis(served, tmp_path, token="root", only="/admin/v1/wallets")

    assert "account_status" in faults
