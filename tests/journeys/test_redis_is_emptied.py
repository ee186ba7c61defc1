"""Redis is emptied under a proxy, and rebuilt from the archive: every window stands as it stood."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from bench.processes import Bursar, bursar, simulator
from tests.doubles.waiting import until

POLICIES: Final = """
organization: acme
teams: {red: {accept: [user]}, blue: {}}
budgets:
  - {name: life, limit: 1000 USD, window: lifetime}
  - {name: month, limit: 1000 USD, window: month, timezone: Asia/Kolkata}
  - {name: each, team: red, each: user, limit: 1000 USD, window: rolling 5h, timezone: UTC}
  - {name: first, team: red, limit: 1M tokens, window: first-use 5h}
  - {name: calls, limit: 1000 calls, window: day}
  - {name: small, team: blue, limit: 0.012 USD, window: lifetime}
"""
SETTINGS: Final = """
prices: {"acme/mini": {input: 1, output: 1000, context_window: 100000, max_output_tokens: 4096}}
archive: {every: 50ms}
# A client that leaves ends its call soon.
gateway: {drain: {time: 300ms}}
receipts:
  first_after: 300ms
  retry_after: 200ms
  retry_after_max: 1s
  poll_every: 100ms
  timeout: 1s
  lookups_per_minute_max: 30000
"""
TIGHTER: Final = """
teams: {red: {}, blue: {}}
budgets: [{name: calls, limit: 10 calls, window: day}]
"""
PROVIDER: Final = "kind: agipower, base_url: '{}', api_key: sk-ai-v1-x, management_key: sk-mg-v1-x"
CALLS: Final = 24
#: Of so many questions about bills one is answered with an error.
NONE_IS_ANSWERED, ALL_ARE_ANSWERED = 1, 1_000_000
_BURSAR: Final = (sys.executable, "-m", "proxy")
IN_FLIGHT: Final = 3


@dataclass
class World:
    """A proxy with calls of every kind."""

    bursar: Bursar
    http: aiohttp.ClientSession
    keys: dict[str, str] = field(default_factory=dict)

    async def call(
        self, number: int, *, team: str = "red", begun: asyncio.Event | None = None, **more: object
    ) -> int:
        scenario = {
            "billed_factor": "1.44",
            "billed_after_s": 0.1,
            "usage": {"input": 100 + number, "output": 1 + number % 9},
            # What an answer itself says of its cost would be a receipt at once.
            "quirks": ["no_cost"],
            **more,
        }
        body = {"model": "acme/mini", "messages": [], "max_tokens": 10, "stream": number % 2 == 0}
        headers = {
            "authorization": f"Bearer {self.keys[team]}",
            "x-simulator-scenario": json.dumps(scenario),
        }
        if team == "red":
            headers["x-bursar-user"] = f"user{number % 3}"
        url = f"{self.bursar.url}/v1/chat/completions"
        async with self.http.post(url, json=body, headers=headers) as answer:
            async for _ in answer.content.iter_any():
                if begun is not None:
                    begun.set()
            return answer.status

    async def command(self, *words: str, status: int = 0) -> Any:
        return await asyncio.to_thread(self._command, words, status)

    def _command(self, words: tuple[str, ...], status: int) -> Any:
        done = subprocess.run(
            [*_BURSAR, *words, "--config", str(self.bursar.folder / "bursar.yaml"), "--json"],
            capture_output=True,
            check=False,
        )
        assert done.returncode == status, (done.stdout, done.stderr)
        return json.loads(done.stdout)

    async def stands(self) -> dict[tuple[str, str | None], tuple[Any, Any, Any]]:
        """Return by budget and subject: spent, reserved and overrun."""
        rows = await asyncio.to_thread(self.bursar.budgets)
        return {
            (row["name"], row["subject"]): (row["spent"], row["reserved"], row["overrun"])
            for row in rows
        }

    async def is_archived(self) -> bool:
        return bool((await self.command("ledger", "compare"))["not_archived"] == 0)

    async def empty_redis(self) -> None:
        socket = self.bursar.redis_url.removeprefix("unix://")
        reader, writer = await asyncio.open_unix_connection(socket)
        writer.write(b"FLUSHALL\r\n")
        assert await reader.readline() == b"+OK\r\n"
        writer.close()
        await writer.wait_closed()

    async def bills(self, one_fails_of: int) -> None:
        url = f"{self.bursar.provider_url}/simulator/scenario"
        async with self.http.post(url, json={"management_422_every": one_fails_of}) as answer:
            answer.raise_for_status()

    async def billed_nano_usd(self) -> int:
        url = f"{self.bursar.provider_url}/simulator/calls"
        async with self.http.get(url) as answer:
            return sum(call["billed_nano_usd"] for call in (await answer.json())["items"])

    async def is_at_its_bill(self) -> bool:
        stands = await self.stands()
        rests = not any(_amount(reserved) for _, reserved, _ in stands.values())
        return rests and _amount(stands["life", None][0]) == await self.billed_nano_usd()


def _amount(shown: Any) -> int:
    return int(shown["nano_usd"] if isinstance(shown, dict) else shown)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with (
        simulator() as provider_url,
        aiohttp.ClientSession() as http,
        bursar(
            tmp_path, provider_url, POLICIES, workers=2, settings=SETTINGS, provider=PROVIDER
        ) as running,
    ):
        made = World(running, http)
        for team in ("red", "blue"):
            made.keys[team] = await asyncio.to_thread(running.create_key, team)
        yield made


async def test_rebuilt_from_the_archive_it_stands_as_it_stood(world: World) -> None:
    await world.bills(NONE_IS_ANSWERED)
    await asyncio.gather(*(world.call(number) for number in range(CALLS)))
    # Of these, one passes; the others are refused, or end at the provider's own error.
    statuses = [await world.call(number, team="blue") for number in (1, 2, 3)]
    assert statuses.count(402) >= 1
    assert await world.call(1, status=500) >= 500
    begun = [asyncio.Event() for _ in range(IN_FLIGHT)]
    streams = [
        asyncio.ensure_future(
            world.call(100 + 2 * at, begun=event, chunks=1000, chunk_delay_ms=100)
        )
        for at, event in enumerate(begun)
    ]
    await asyncio.gather(*(event.wait() for event in begun))
    await until(world.is_archived)
    before = await world.stands()

    await world.empty_redis()
    lost = await world.command("ledger", "compare", status=1)
    done = await world.command("ledger", "rebuild", "--yes")

    assert await world.stands() == before
    assert len(lost["lost"]) == done["calls"]["reserved"] == IN_FLIGHT
    assert done["calls"]["settled"] >= CALLS
    assert done["without_keys"]
    assert done["undetermined"] == []
    assert not (await world.command("ledger", "compare"))["differs"]

    # Clients leave, receipts arrive, and the budgets end at the bill, as if nothing had happened.
    for stream in streams:
        stream.cancel()
    await world.bills(ALL_ARE_ANSWERED)
    world.keys["red"] = await asyncio.to_thread(world.bursar.create_key, "red")
    assert await world.call(1) == 200
    await until(world.is_at_its_bill, deadline_s=60)
    await until(world.is_archived)
    decided = await world.command("backtest")
    assert (decided["different"], decided["unaccounted"]) == (0, 0)
    assert decided["refusals"] == statuses.count(402)
    tighter = world.bursar.folder / "tighter.yaml"
    tighter.write_text(TIGHTER)
    ahead = await world.command("backtest", "--policy", str(tighter), "--since", "1h")
    assert (ahead["admitted"], ahead["calls"]) == (10, decided["decisions"])
