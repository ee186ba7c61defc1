"""The dashboard on a real ledger and a real archive, asked over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from policies.ledger.connection import Connection
from policies.ledger.redis_ledger import RedisLedger
from proxy.archive.database import Database
from tests.doubles.archived import sqlite_database
from tests.doubles.fake_clock import FakeClock
from tests.proxy.dashboard.story import Story, rules
from tests.proxy.dashboard.world import Browser, World, make_world

Enter = Callable[[], Awaitable[Browser]]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An archive in a file: what differs between databases is the archive's own to test."""
    made = sqlite_database(tmp_path)
    yield made
    made.close()


@pytest.fixture
def world(
    redis_ledger: RedisLedger,
    connection: Connection,
    clock: FakeClock,
    organization: str,
    database: Database,
) -> World:
    rulebook = rules(organization)
    return make_world(
        ledger=redis_ledger,
        commands=connection,
        clock=clock,
        database=database,
        rulebook=lambda: rulebook,
    )


@pytest.fixture
def story(world: World, clock: FakeClock) -> Story:
    return Story(world.ledger, clock, world.services.rulebook())


@pytest.fixture
async def new_browser(world: World) -> AsyncIterator[Enter]:
    """Makes browsers, each with cookies of its own."""
    server = TestServer(world.plane.application)
    await server.start_server()
    clients: list[TestClient[web.Request, web.Application]] = []

    async def enter() -> Browser:
        client = TestClient(server)
        clients.append(client)
        return Browser(client)

    yield enter
    for client in clients:
        await client.close()
    await server.close()


@pytest.fixture
async def browser(new_browser: Enter) -> Browser:
    return await new_browser()
