"""What runs beside the calls: budgets become numbers, the journal is archived, alerts are told."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bench.processes import Bursar, bursar, simulator
from tests.doubles.waiting import until

POLICIES = """
teams: {red: {}, blue: {}}
budgets:
  - {name: red, team: red, limit: 1 USD, window: month, warn_at: [1%]}
  - {name: few, team: red, limit: 3 calls, window: day}
  - {name: blue, team: blue, limit: 1 USD, window: month, warn_at: [1%]}
"""


class Hook:
    """A webhook, and what it was sent."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.got.append(await request.json())
        return web.Response()

    def types(self) -> list[str]:
        return sorted(each["type"] for each in self.got)


@dataclass
class World:
    """A proxy with two workers, and whoever it tells of alerts."""

    bursar: Bursar
    hook: Hook
    http: aiohttp.ClientSession
    keys: dict[str, str]

    async def call(self, team: str = "red") -> int:
        body = {"model": "acme/mini", "messages": [], "max_tokens": 10}
        headers = {
            "authorization": f"Bearer {self.keys[team]}",
            "x-simulator-scenario": '{"usage": {"input": 100000, "output": 1}}',
        }
        url = f"{self.bursar.url}/v1/chat/completions"
        async with self.http.post(url, json=body, headers=headers) as answer:
            await answer.read()
            return answer.status


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    hook = Hook()
    application = web.Application()
    application.router.add_post("/hook", hook.handle)
    server = TestServer(application)
    await server.start_server()
    settings = f"alerts: {{every: 200ms, webhooks: [{{url: '{server.make_url('/hook')}'}}]}}\n"
    async with (
        simulator() as provider_url,
        bursar(tmp_path, provider_url, POLICIES, workers=2, settings=settings) as running,
        aiohttp.ClientSession() as http,
    ):
        yield World(
            running, hook, http, {team: running.create_key(team) for team in ("red", "blue")}
        )
    await server.close()


async def test_a_threshold_and_an_exhausted_budget_are_told_once(world: World) -> None:
    assert [await world.call() for _ in range(4)] == [200, 200, 200, 402]
    told = ["bursar.budget_exhausted", "bursar.budget_threshold"]
    await until(lambda: world.hook.types() == told)

    # What is told next shows that there was another round, which did not tell the others again.
    assert [await world.call(), await world.call("blue")] == [402, 200]
    await until(lambda: len(world.hook.got) > 2)

    assert [each["data"]["budget"] for each in world.hook.got[2:]] == ["blue"]
    assert sorted(each["data"]["budget"] for each in world.hook.got[:2]) == ["few", "red"]


async def test_the_journal_is_archived_and_says_what_was_told(world: World) -> None:
    assert [await world.call() for _ in range(4)] == [200, 200, 200, 402]
    await until(lambda: len(world.hook.got) == 2)

    async def is_archived() -> bool:
        found = await asyncio.to_thread(world.bursar.command, "calls")
        assert isinstance(found, dict)
        return [row["state"] for row in found["items"]] == ["refused", *["settled"] * 3]

    await until(is_archived)
    with closing(sqlite3.connect(world.bursar.folder / "var" / "archive.sqlite")) as archive:
        found = archive.execute("SELECT data FROM entries WHERE kind = 'settings_loaded'")
        ((data,),) = found.fetchall()
    assert json.loads(data)["document"]["providers"]["sim"]["keys"] == ["api_key"]
    assert await asyncio.to_thread(world.bursar.command, "audit", "verify")
