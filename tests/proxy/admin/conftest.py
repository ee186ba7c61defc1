"""The admin plane on a real ledger, asked over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog
from aiohttp.test_utils import TestClient
from pytest_aiohttp import AiohttpClient

from policies.budgets import Budget, Scope
from policies.errors import LedgerUnavailable
from policies.ledger.connection import Connection
from policies.ledger.redis_ledger import RedisLedger
from policies.rulebook import Rulebook, Team
from policies.windows import Lifetime
from proxy.admin.access import Grant
from proxy.admin.plane import AdminPlane
from proxy.admin.schemas import GhostSpend, Money, ReceiptsRow, WalletRow
from proxy.admin.services import Services
from proxy.key_store import KeyStore
from proxy.policy_watch import Rejected, Reloaded
from tests.doubles.fake_clock import FakeClock

USD = 1_000_000_000
GRANTS = (
    Grant(token="root", role="admin"),
    Grant(token="watcher", role="viewer"),
    Grant(token="red-watcher", role="viewer", teams=frozenset({"red"})),
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
    obstacles: list[str] = field(default_factory=list)
    reloads: list[Reloaded | Rejected] = field(default_factory=list)
    ledger_away: bool = False

    async def ask(
        self, path: str, *, token: str | None = "root", method: str = "GET", body: Any = None
    ) -> tuple[int, Any]:
        """Send one request; return status and decoded body."""
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        async with self.client.request(method, path, headers=headers, json=body) as answer:
            assert answer.content_type == "application/json"
            assert answer.headers["Cache-Control"] == "no-store"
            return answer.status, await answer.json()


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
def make_plane(
    aiohttp_client: AiohttpClient,
    redis_ledger: RedisLedger,
    connection: Connection,
    clock: FakeClock,
    organization: str,
) -> MakePlane:
    async def make(grants: Sequence[Grant] = GRANTS) -> Plane:
        rulebook = rules(organization)

        async def ping() -> None:
            if made.ledger_away:
                raise LedgerUnavailable("redis-7.internal does not answer")
            await redis_ledger.synchronise()

        async def reload() -> Reloaded | Rejected:
            return made.reloads.pop()

        services = Services(
            ledger=redis_ledger,
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
        application = AdminPlane(services, grants, log).application
        made = Plane(services=services, client=await aiohttp_client(application), rulebook=rulebook)
        return made

    return make


@pytest.fixture
async def plane(make_plane: MakePlane) -> Plane:
    return await make_plane()
