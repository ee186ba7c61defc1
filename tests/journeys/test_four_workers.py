"""Four workers on one port and one Redis, started as an operator starts them: one budget, no more."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bench.processes import Bursar, bursar, simulator
from tests.doubles.waiting import until

WORTH = 50
CALLS = 200
POLICIES = """
organization: acme
teams:
  red: {}
budgets:
  - {name: fifty, limit: 0.50 USD, window: month}
"""
# One call of ten output tokens costs exactly one cent; the input is free.
SETTINGS = """
prices: {"acme/mini": {input: 0, output: 1000, context_window: 100000, max_output_tokens: 4096}}
ledger: {lease: 1500ms}
"""
CENT_NANO_USD = 10_000_000


@dataclass
class Cluster:
    """What the tests hold of it."""

    bursar: Bursar
    key: str
    http: aiohttp.ClientSession

    async def scenario(self, **fields: Any) -> None:
        url = f"{self.bursar.provider_url}/simulator/scenario"
        async with self.http.post(url, json=fields) as answer:
            answer.raise_for_status()

    async def truth(self) -> list[dict[str, Any]]:
        url = f"{self.bursar.provider_url}/simulator/calls"
        async with self.http.get(url) as answer:
            items: list[dict[str, Any]] = (await answer.json())["items"]
            return items

    async def call(self, *, stream: bool, leave: bool = False) -> int:
        body = {"model": "acme/mini", "messages": [], "max_tokens": 10, "stream": stream}
        headers = {"authorization": f"Bearer {self.key}"}
        url = f"{self.bursar.url}/v1/chat/completions"
        async with self.http.post(url, json=body, headers=headers) as answer:
            if leave and answer.status == 200:
                await answer.content.readany()
                answer.close()
                return answer.status
            try:
                await answer.read()
            except aiohttp.ClientError:
                return 0
            return answer.status

    async def all_at_once(self, **how: bool) -> Counter[int]:
        return Counter(await asyncio.gather(*(self.call(**how) for _ in range(CALLS))))

    async def fifty(self) -> dict[str, int]:
        (row,) = await asyncio.to_thread(self.bursar.budgets)
        return {name: row[name]["nano_usd"] for name in ("spent", "reserved", "overrun")}

    async def nothing_reserved(self) -> bool:
        return (await self.fifty())["reserved"] == 0


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with (
        simulator() as provider_url,
        bursar(tmp_path, provider_url, POLICIES, workers=4, settings=SETTINGS) as running,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
    ):
        yield Cluster(running, running.create_key("red"), http)


async def test_exactly_fifty_of_two_hundred_pass(cluster: Cluster) -> None:
    await cluster.scenario(first_byte_delay_ms=700)

    statuses = await cluster.all_at_once(stream=False)

    assert statuses == {200: WORTH, 402: CALLS - WORTH}
    await until(cluster.nothing_reserved)
    truth = await cluster.truth()
    owed = sum(call["usage"]["output"] for call in truth) * (CENT_NANO_USD // 10)
    assert await cluster.fifty() == {"spent": owed, "reserved": 0, "overrun": 0}
    assert len(truth) == WORTH


@pytest.mark.parametrize("how", ["the provider cuts", "the clients leave"])
async def test_exactly_fifty_pass_when(cluster: Cluster, how: str) -> None:
    cut = {"cut_after_events": 2} if how == "the provider cuts" else {"chunk_delay_ms": 20}
    await cluster.scenario(first_byte_delay_ms=700, **cut)

    statuses = await cluster.all_at_once(stream=True, leave=how == "the clients leave")

    assert statuses[402] == CALLS - WORTH
    await until(cluster.nothing_reserved)
    assert await cluster.fifty() == {
        "spent": WORTH * CENT_NANO_USD,
        "reserved": 0,
        "overrun": 0,
    }
    assert len(await cluster.truth()) == WORTH


async def test_workers_that_are_killed_mid_stream_lose_no_cent(cluster: Cluster) -> None:
    await cluster.scenario(chunks=10, chunk_delay_ms=300)
    streams = [asyncio.ensure_future(cluster.call(stream=True)) for _ in range(12)]

    async def all_arrived() -> bool:
        return len(await cluster.truth()) == len(streams)

    await until(all_arrived)
    victims = await asyncio.to_thread(_gateway_workers, cluster.bursar.pid)
    # The kernel spreads connections over the workers; of twelve some are with these three.
    for victim in victims[:3]:
        os.kill(victim, signal.SIGKILL)
    ended = await asyncio.gather(*streams, return_exceptions=True)

    # Whatever the killed workers held is charged as reserved, when its leases have run out.
    await until(cluster.nothing_reserved)
    assert len([status for status in ended if status != 200]) > 0
    assert await cluster.fifty() == {
        "spent": len(streams) * CENT_NANO_USD,
        "reserved": 0,
        "overrun": 0,
    }
    assert await cluster.call(stream=False) == 200


def _gateway_workers(supervisor: int) -> list[int]:
    """Return the supervisor's children that are workers; its Redis has a keeper of its own."""
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    lines = {int(child): Path(f"/proc/{child}/cmdline").read_text() for child in children}
    workers = [child for child, line in lines.items() if "proxy.cli.worker" in line]
    assert len(workers) == 4, lines
    return workers
