"""Whatever happens on the way, the budgets end at what the provider billed, to the nano-dollar."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from bench.processes import Bursar, bursar, simulator
from tests.doubles.waiting import until

POLICIES: Final = """
organization: acme
teams:
  red: {}
budgets:
  - {name: all, limit: 1000 USD, window: lifetime}
  - {name: day, limit: 1000 USD, window: day}
"""
# Minutes become tenths of seconds.
SETTINGS: Final = """
prices: {"acme/mini": {input: 1, output: 1000, context_window: 100000, max_output_tokens: 4096}}
ledger: {lease: 1500ms}
wallets: {every: 500ms}
receipts:
  first_after: 300ms
  retry_after: 200ms
  retry_after_max: 1s
  poll_every: 100ms
  scan_every: 300ms
  rows_settle: 400ms
  timeout: 1s
  lookups_per_minute_max: 30000
"""
AGIPOWER: Final = "kind: agipower, base_url: '{}', api_key: sk-ai-v1-x, management_key: sk-mg-v1-x"
VENICE: Final = (
    "kind: venice, base_url: '{}/venice/api', api_key: VENICE_INFERENCE_KEY_x, "
    "billing_key: VENICE_ADMIN_KEY_x, billing: %s, billing_format: %s"
)
CALLS: Final = 120
#: One stream of twenty is cut by the provider, which bills it all the same.
CUT_EVERY: Final = 20


def scenario(number: int, **more: object) -> str:
    """Return what the provider does with one call: it bills 44 % above its list, and bills late."""
    cut = {"cut_after_events": 3} if number % CUT_EVERY == 0 else {}
    said = {
        "billed_factor": "1.44",
        "billed_after_s": 0.3 + number % 7 / 10,
        "not_found_first": number % 3,
        "unbilled_receipt": ("absent", "null", "zero", "refused")[number % 4],
        "quirks": ["wrapped_receipt"] if number % 2 else ["no_cost"],
        "usage": {"input": 100 + number, "output": 1 + number % 9},
    }
    return json.dumps(said | cut | more)


@dataclass
class Client:
    """Calls a proxy, and looks into the provider's books."""

    bursar: Bursar
    key: str
    http: aiohttp.ClientSession

    async def call(self, number: int, *, begun: asyncio.Event | None = None, **more: object) -> int:
        body = {"model": "acme/mini", "messages": [], "max_tokens": 10, "stream": number % 2 == 0}
        headers = {
            "authorization": f"Bearer {self.key}",
            "x-simulator-scenario": scenario(number, **more),
        }
        url = f"{self.bursar.url}/v1/chat/completions"
        try:
            async with self.http.post(url, json=body, headers=headers) as answer:
                async for _ in answer.content.iter_any():
                    if begun is not None:
                        begun.set()
                return answer.status
        except aiohttp.ClientError:
            return 0

    async def calls(self, numbers: Sequence[int]) -> None:
        await asyncio.gather(*(self.call(number) for number in numbers))

    async def truth(self) -> list[dict[str, Any]]:
        async with self.http.get(f"{self.bursar.provider_url}/simulator/calls") as answer:
            items: list[dict[str, Any]] = (await answer.json())["items"]
            return items

    async def billed_nano_usd(self) -> int:
        return sum(call["billed_nano_usd"] for call in await self.truth())

    async def stands(self) -> dict[str, tuple[int, int]]:
        rows = await asyncio.to_thread(self.bursar.budgets)
        return {
            row["name"]: (row["spent"]["nano_usd"], row["reserved"]["nano_usd"]) for row in rows
        }

    async def is_drained(self) -> bool:
        """Tell whether the budgets stand at what was billed, and nothing is reserved."""
        billed = await self.billed_nano_usd()
        return await self.stands() == {"all": (billed, 0), "day": (billed, 0)}


@asynccontextmanager
async def client(
    folder: Path, provider_url: str, provider: str, http: aiohttp.ClientSession, key: str = ""
) -> AsyncIterator[Client]:
    """Run a proxy with two workers, on what an earlier one left in the folder."""
    async with bursar(
        folder, provider_url, POLICIES, workers=2, settings=SETTINGS, provider=provider
    ) as running:
        yield Client(running, key or running.create_key("red"), http)


@pytest.mark.parametrize(
    "provider",
    [
        AGIPOWER,
        VENICE % ("auto", "json"),
        VENICE % ("usage-history", "csv"),
        VENICE % ("usage", "csv"),
    ],
    ids=["agipower", "venice, by both", "venice, successor as CSV", "venice, old as CSV"],
)
async def test_the_budgets_end_at_the_bill_though_the_proxy_is_killed(
    tmp_path: Path, provider: str
) -> None:
    async with simulator() as provider_url, aiohttp.ClientSession() as http:
        account = {"management_422_every": 7, "billing_usage_gone": False}
        async with http.post(f"{provider_url}/simulator/scenario", json=account) as answer:
            answer.raise_for_status()
        async with client(tmp_path, provider_url, provider, http) as first:
            await first.calls(range(CALLS // 2))
            begun = [asyncio.Event() for _ in range(4)]
            slow = {"chunks": 20, "chunk_delay_ms": 200}
            streams = [
                asyncio.ensure_future(first.call(2 * number + 2, begun=event, **slow))
                for number, event in enumerate(begun)
            ]
            await asyncio.gather(*(event.wait() for event in begun))
            # In mid-stream, and while half of the receipts are on their way.
            _kill_whole(first.bursar.pid)
            await asyncio.gather(*streams)
            key = first.key
        if "auto" in provider:
            # The old history goes while receipts are being looked for in it.
            gone = {"billing_usage_gone": True}
            async with http.post(f"{provider_url}/simulator/scenario", json=gone) as answer:
                answer.raise_for_status()
        async with client(tmp_path, provider_url, provider, http, key) as second:
            await second.calls(range(CALLS // 2, CALLS))
            await until(second.is_drained, deadline_s=60)

            assert len(await second.truth()) == CALLS + len(begun)
            assert sum(call["cut"] for call in await second.truth()) >= CALLS // CUT_EVERY // 2
            # Everything is looked up again, and nothing changes.
            await asyncio.to_thread(second.bursar.command, "receipts", "run")
            assert await second.is_drained()


def _kill_whole(pid: int) -> None:
    """Kill a proxy with its workers, as a machine does that loses its power."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for each in (pid, *map(int, children)):
        os.kill(each, signal.SIGKILL)
