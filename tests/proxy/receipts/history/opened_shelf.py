"""A shelf of its own for each example of a property, on the real Redis."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from policies.clock import SystemClock
from policies.ledger.address import Address, parse_url
from policies.ledger.connection import Connection
from policies.ledger.keys import Keys
from proxy.receipts.history.shelf import Shelf
from proxy.tasks import Tasks

_numbers = itertools.count()


@asynccontextmanager
async def opened_shelf(redis_url: str) -> AsyncIterator[Shelf]:
    """Open one in this loop, and close it again."""

    async def resolve() -> Address:
        return parse_url(redis_url).addresses[0]

    tasks = Tasks()
    connection = Connection(resolve, timeout_s=5, spawn=tasks.spawn, clock=SystemClock())
    await connection.open()
    try:
        yield Shelf(connection, Keys(f"opened-{next(_numbers)}"), "venice")
    finally:
        await connection.close()
        await tasks.close()
