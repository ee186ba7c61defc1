"""The provider's own quotas, on four workers: nobody runs past them, and everybody hears of the end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from bench.processes import Bursar, bursar, simulator
from tests.doubles.waiting import until

WORKERS: Final = 4
POLICIES: Final = "{organization: acme, teams: {red: {}}}"
SUBSCRIPTION: Final = (
    "kind: agipower, base_url: '{}', api_key: sk-ss-v1-x, management_key: sk-mg-v1-x"
)
# A poll is asked for every second, so that what comes in between is nothing but our own count.
SETTINGS: Final = "wallets: {every: 1s}\nreceipts: {poll_every: 200ms}\n"
MODEL: Final = "acme/mini"
WORTH: Final = 50
CALLS: Final = 200


@dataclass
class Cluster:
    """What the tests hold of it."""

    bursar: Bursar
    key: str
    http: aiohttp.ClientSession

    async def account(self, **fields: Any) -> None:
        url = f"{self.bursar.provider_url}/simulator/scenario"
        async with self.http.post(url, json=fields) as answer:
            answer.raise_for_status()

    async def truth(self) -> list[dict[str, Any]]:
        async with self.http.get(f"{self.bursar.provider_url}/simulator/calls") as answer:
            items: list[dict[str, Any]] = (await answer.json())["items"]
            return items

    async def call(self, **more: Any) -> tuple[int, dict[str, str], Any]:
        body = {
            "model": MODEL,
            "messages": [{"role": "user", "content": "Hi"}],
            "max_tokens": 1000,
            **more,
        }
        headers = {"authorization": f"Bearer {self.key}"}
        url = f"{self.bursar.url}/v1/chat/completions"
        async with self.http.post(url, json=body, headers=headers) as answer:
            said = await answer.json()
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, said

    async def polled(self) -> None:
        """Wait until a poll has begun, after now, and ended."""
        before = await self.polls()

        async def twice() -> bool:
            return await self.polls() >= before + 2

        await until(twice)

    async def polls(self) -> int:
        async with self.http.get(f"{self.bursar.provider_url}/simulator/calls") as answer:
            totals = (await answer.json())["totals"]
            return int(totals["free_requests"].get("subscription_detail", 0))

    async def passes(self) -> bool:
        return (await self.call())[0] == 200


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with (
        simulator() as provider_url,
        bursar(
            tmp_path,
            provider_url,
            POLICIES,
            workers=WORKERS,
            settings=SETTINGS,
            provider=SUBSCRIPTION,
        ) as running,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as http,
    ):
        yield Cluster(running, running.create_key("red"), http)


async def test_a_burst_of_our_own_ends_at_the_quota_and_the_provider_refuses_nothing(
    cluster: Cluster,
) -> None:
    assert (await cluster.call())[0] == 200
    first = (await cluster.truth())[0]
    flows = first["nano_flows"] * WORTH / 10**9
    window = {"max_flows": f"{flows:.6f}", "used_flows": "0"}
    await cluster.account(quota={"quota_5_hour": window}, first_byte_delay_ms=500)
    await cluster.polled()

    ended = await asyncio.gather(*(cluster.call() for _ in range(CALLS)))

    statuses = Counter(status for status, _, _ in ended)
    # What a call holds is a little more than what it uses: the last ones do not fit any more.
    assert WORTH * 9 // 10 <= statuses[200] <= WORTH
    assert statuses == {200: statuses[200], 402: CALLS - statuses[200]}
    reached = Counter(call["status"] for call in await cluster.truth())
    assert reached == {200: 1 + statuses[200]}
    _, headers, said = next(each for each in ended if each[0] == 402)
    assert headers["x-bursar-decision"] == "refused"
    assert headers["x-bursar-budget"] == "wallet.sim.5_hour"
    assert headers["x-should-retry"] == "false"
    assert said["error"]["code"] == "wallet_exhausted"
    assert "the 5-hour quota of 'sim'" in said["error"]["message"].replace("The ", "the ")


async def test_after_the_first_refusal_of_the_provider_hardly_a_call_reaches_it(
    cluster: Cluster,
) -> None:
    ended: Counter[str] = Counter()
    done = asyncio.Event()

    async def caller() -> None:
        while not done.is_set():
            status, headers, _ = await cluster.call()
            ended[headers.get("x-bursar-decision", str(status))] += 1

    callers = [asyncio.ensure_future(caller()) for _ in range(WORKERS)]
    await until(lambda: ended["200"] >= CALLS)
    # Somebody else uses the account up; no poll has told of it yet.
    await cluster.account(quota={"quota_5_hour": {"max_flows": "1", "used_flows": "1"}})
    await until(lambda: ended["refused"] >= CALLS)

    truth = await cluster.truth()
    first = next(at for at, call in enumerate(truth) if call["status"] == 402)
    after_the_first = len(truth) - first - 1
    assert after_the_first <= WORKERS
    assert ended["refused"] >= CALLS

    polls = await cluster.polls()
    await cluster.account(quota={"reset": True})
    passed = ended["200"]
    await until(lambda: ended["200"] > passed)
    # One may have been on its way when the quota was full again; the next one opens the gate.
    assert await cluster.polls() - polls <= 2
    done.set()
    await asyncio.gather(*callers)
