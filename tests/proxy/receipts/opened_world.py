"""A world of its own for each example of a property, in the example's own loop."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from policies.clock import SystemClock
from policies.ledger.address import Address, parse_url
from policies.ledger.connection import Connection
from policies.ledger.redis_ledger import RedisLedger
from proxy.tasks import Tasks
from tests.doubles.clocked_scripts import clock_key, clocked_scripts
from tests.doubles.fake_clock import FakeClock

_numbers = itertools.count()


@dataclass(frozen=True)
class Opened:
    """A connection, a ledger, and the clock that moves its time."""

    connection: Connection
    ledger: RedisLedger
    clock: FakeClock


@asynccontextmanager
async def opened_world(redis_url: str) -> AsyncIterator[Opened]:
    """Open one in this loop, and close it again."""

    async def resolve() -> Address:
        return parse_url(redis_url).addresses[0]

    tasks, clock = Tasks(), FakeClock()
    organization = f"world-{next(_numbers)}"
    connection = Connection(resolve, timeout_s=5, spawn=tasks.spawn, clock=SystemClock())
    await connection.open()
    key = clock_key(organization)
    await connection.execute("SET", key, clock.now_ms())

    def set_time(now_ms: int) -> None:
        # Nobody waits for the answer: whatever is sent next is behind it on the same connection.
        _ = connection.execute("SET", key, now_ms)

    clock.listeners.append(set_time)
    scripts = clocked_scripts(organization)
    try:
        yield Opened(
            connection, RedisLedger(connection, organization, clock, scripts=scripts), clock
        )
    finally:
        await connection.close()
        await tasks.close()
