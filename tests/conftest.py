"""Fixtures that many tests share: a clock, a real Redis, both ledgers."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator

import pytest

from policies.ledger.address import Address, parse_url
from policies.ledger.connection import Connection
from policies.ledger.memory import MemoryLedger
from policies.ledger.redis_ledger import RedisLedger
from proxy.embedded_redis import EmbeddedRedis
from proxy.tasks import Tasks
from tests.doubles.clocked_scripts import clock_key, clocked_scripts
from tests.doubles.fake_clock import FakeClock

_numbers = itertools.count()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server on a Unix socket; tests keep apart by organisation."""
    server = EmbeddedRedis(tmp_path_factory.mktemp("redis"))
    yield server.start()
    server.stop()


@pytest.fixture
def organization() -> str:
    return f"org-{next(_numbers)}"


@pytest.fixture
async def connection(redis_url: str, clock: FakeClock) -> AsyncIterator[Connection]:
    address = parse_url(redis_url).addresses[0]

    async def resolve() -> Address:
        return address

    tasks = Tasks()
    made = Connection(resolve, timeout_s=5, spawn=tasks.spawn, clock=clock)
    await made.open()
    yield made
    await made.close()
    await tasks.close()


@pytest.fixture
def memory_ledger(clock: FakeClock) -> MemoryLedger:
    return MemoryLedger(clock)


@pytest.fixture
async def redis_ledger(connection: Connection, clock: FakeClock, organization: str) -> RedisLedger:
    """The real scripts on the real server, by the test's clock."""
    key = clock_key(organization)
    await connection.execute("SET", key, clock.now_ms())

    def set_time(now_ms: int) -> None:
        # Nobody waits for the answer: whatever is sent next is behind it on the same connection.
        _ = connection.execute("SET", key, now_ms)

    clock.listeners.append(set_time)
    return RedisLedger(connection, organization, clock, scripts=clocked_scripts(organization))


@pytest.fixture(params=["memory", "redis"])
def ledger(request: pytest.FixtureRequest) -> MemoryLedger | RedisLedger:
    """Each test that asks for a ledger runs on both."""
    chosen = request.getfixturevalue(f"{request.param}_ledger")
    assert isinstance(chosen, MemoryLedger | RedisLedger)
    return chosen
