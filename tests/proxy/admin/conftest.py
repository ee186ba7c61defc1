"""The admin plane on a real ledger, asked over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp.test_utils import TestClient
from pytest_aiohttp import AiohttpClient

from policies.budgets import Budget, Scope
from policies.decisions import Admitted
from policies.errors import LedgerUnavailable
from policies.ledger.connection import Connection
from policies.ledger.interface import Admission, Ask
from policies.ledger.redis_ledger import RedisLedger
from policies.rulebook import Rulebook, Team
from policies.units import Amounts
from policies.windows import Lifetime
from proxy.admin.access import Opening
from proxy.admin.openapi import document
from proxy.admin.operations import Operation
from proxy.admin.plane import AdminPlane
from proxy.admin.schemas import GhostSpend, Money, ReceiptsRow, WalletRow
from proxy.admin.services import Services
from proxy.archive.database import Database
from proxy.archive.reader import ArchiveReader
from proxy.archive.stream import read_row
from proxy.archive.writer import Writer
from proxy.grant_store import GrantStore
from proxy.key_store import KeyStore
from proxy.policy_watch import Rejected, Reloaded
from tests.doubles.answers import Answers
from tests.doubles.archived import sqlite_database
from tests.doubles.fake_clock import FakeClock

USD = 1_000_000_000
GRANTS = (
    Opening(token="root", role="admin"),
    Opening(token="watcher", role="viewer"),
    Opening(token="red-watcher", role="viewer", teams=frozenset({"red"})),
)


class FakeReceipts:
    """One provider's receipts, as they are set, and runs that may never end."""

    def __init__(self) -> None:
        self.results = {"booked": 2, "pending": 1}
        self.hangs = False

    async def status(self) -> Sequence[ReceiptsRow]:
        nothing = GhostSpend(calls=0, amount=Money.of(0), items=[])
        return [
            ReceiptsRow(
                provider="sim",
                never=None,
                waiting=3,
                due=1,
                slowed_until=None,
                days=7,
                receipted=5,
                given_up=0,
                never_comes=0,
                set_aside=[],
                ghost_spend=nothing,
                drift=[],
                extra_usage=[],
            )
        ]

    async def run_due(self, told: Callable[[Mapping[str, int]], None]) -> Mapping[str, int]:
        if self.hangs:
            told({"booked": 1})
            await asyncio.Event().wait()
        return self.results


class FakeWallets:
    """One provider whose account is healthy."""

    async def list(self) -> Sequence[WalletRow]:
        return [
            WalletRow(
                provider="sim",
                never=None,
                account_status="healthy",
                closed=None,
                polled_at=None,
                next_poll_at=None,
                faults={},
                quotas=[],
            )
        ]


@dataclass
class Plane:
    """An admin plane, and what its answers are made from."""

    services: Services
    client: TestClient[Any, Any]
    rulebook: Rulebook
    connection: Connection
    operations: Sequence[Operation]
    #: What the OpenAPI document says of answers: each one is held against it.
    answers: Answers
    obstacles: list[str] = field(default_factory=list)
    reloads: list[Reloaded | Rejected] = field(default_factory=list)
    ledger_away: bool = False

    async def ask(
        self,
        path: str,
        *,
        token: str | None = "root",
        method: str = "GET",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Send one request; return status and decoded body."""
        status, _, found = await self.ask_fully(
            path, token=token, method=method, body=body, headers=headers
        )
        return status, found

    async def ask_fully(
        self,
        path: str,
        *,
        token: str | None = "root",
        method: str = "GET",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Mapping[str, str], Any]:
        """Send one request; return status, headers and decoded body."""
        sent = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with self.client.request(
            method, path, headers={**sent, **(headers or {})}, json=body
        ) as answer:
            assert answer.content_type == "application/json"
            assert answer.headers["Cache-Control"] == "no-store"
            found = await answer.json()
            self.answers.check(method, path.partition("?")[0], answer.status, found)
            return answer.status, answer.headers, found

    async def call(
        self, call_id: str, team: str, *, dollars: int = 1, settled: bool = True, **said: Any
    ) -> None:
        """Put a settled call of a team into the ledger, or a refused one if it is dear."""
        held = dollars * USD
        ask = Ask(budget=self.rulebook.budgets["all"], subject="", held=held, bound=held)
        data: dict[str, Any] = {"team": team, "user": "alice", "key": "key_1", "provider": "sim"}
        data |= {"model": "acme/mini", "dialect": "messages", "streamed": False, **said}
        data["quote"] = {"nano_usd": held}
        decision = await self.services.ledger.reserve(
            call_id, [ask], data=json.dumps(data), admission=Admission.DECIDE
        )
        if settled and isinstance(decision, Admitted):
            usage = [{"model": "acme/mini", "input_tokens": 20, "output_tokens": 100}]
            outcome = {"nano_usd": 5, "status": 200, "usage": usage, "generation_ids": ["gen_1"]}
            await self.services.ledger.settle(
                decision.reservation, Amounts(nano_usd=5), outcome=json.dumps(outcome)
            )

    async def forget(self, call_id: str) -> None:
        """Have the ledger forget a call, as it does days after its end."""
        keys = self.services.ledger.keys  # type: ignore[attr-defined]  # It is a RedisLedger here.
        await self.connection.execute("DEL", keys.call(call_id))

    async def archive(self) -> None:
        """Have the real writer archive what the journal has and the archive has not."""
        keys = self.services.ledger.keys  # type: ignore[attr-defined]  # It is a RedisLedger here.
        writer = Writer(self.services.database, self.rulebook.organization, self.services.clock)
        chain = writer.chain()
        rows = await self.connection.execute("XRANGE", keys.journal, f"({chain.stream_id}", "+")
        if rows:
            writer.write(chain, [read_row(row) for row in rows])

    async def acts(self, kind: str) -> list[dict[str, Any]]:
        """Return what the journal says of acts of a kind."""
        entries = await self.services.ledger.journal(count_max=1_000)
        return [json.loads(entry.data) for entry in entries if entry.kind == kind]


def rules(organization: str) -> Rulebook:
    """Two teams, a budget of each, one of both, and one for each user."""
    budgets = [
        Budget(name="all", unit="USD", limit=100 * USD, window=Lifetime()),
        Budget(
            name="red-each",
            scope=Scope(team="red"),
            each="user",
            unit="USD",
            limit=10 * USD,
            window=Lifetime(),
        ),
        Budget(name="blue", scope=Scope(team="blue"), unit="calls", limit=5, window=Lifetime()),
    ]
    return Rulebook(
        organization=organization,
        teams={"red": Team(name="red", members=frozenset({"alice"})), "blue": Team(name="blue")},
        budgets={budget.name: budget for budget in budgets},
    )


MakePlane = Callable[..., Awaitable[Plane]]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An archive in a file: what differs between databases is the archive's own to test."""
    made = sqlite_database(tmp_path)
    yield made
    made.close()


@pytest.fixture
def make_plane(
    aiohttp_client: AiohttpClient,
    redis_ledger: RedisLedger,
    connection: Connection,
    clock: FakeClock,
    organization: str,
    database: Database,
) -> MakePlane:
    async def make(grants: Sequence[Opening] = GRANTS) -> Plane:
        rulebook = rules(organization)

        async def ping() -> None:
            if made.ledger_away:
                raise LedgerUnavailable("redis-7.internal does not answer")
            await redis_ledger.synchronise()

        async def reload() -> Reloaded | Rejected:
            return made.reloads.pop()

        services = Services(
            ledger=redis_ledger,
            archive=ArchiveReader(database, organization),
            database=database,
            grants=GrantStore(connection, redis_ledger.keys, redis_ledger.now_ms),
            keys=KeyStore(connection, redis_ledger.keys, clock),
            receipts=FakeReceipts(),
            wallets=FakeWallets(),
            clock=clock,
            providers={"sim": "agipower"},
            rulebook=lambda: rulebook,
            reload_policies=reload,
            metrics=lambda: b"bursar_numbers 1\n",
            ping=ping,
            obstacles=lambda: made.obstacles,
        )
        log = structlog.wrap_logger(structlog.ReturnLogger())
        admin = AdminPlane(services, grants, log)
        made = Plane(
            services=services,
            client=await aiohttp_client(admin.application),
            rulebook=rulebook,
            connection=connection,
            operations=admin.operations,
            answers=Answers(document(admin.operations)),
        )
        return made

    return make


@pytest.fixture
async def plane(make_plane: MakePlane) -> Plane:
    return await make_plane()
