"""Money that a provider bills and no call of ours explains is found, to the nano-dollar."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import aiohttp

from bench.processes import bursar, simulator
from tests.doubles.waiting import until

POLICIES: Final = """
organization: acme
teams:
  red: {}
budgets:
  - {name: all, limit: 1000 USD, window: lifetime}
"""
SETTINGS: Final = """
gateway: {timeouts: {upstream_idle: 1s}}
prices: {"acme/mini": {input: 1, output: 1000, context_window: 100000, max_output_tokens: 4096}}
wallets: {every: 1s}
receipts:
  first_after: 200ms
  retry_after: 200ms
  poll_every: 100ms
  scan_every: 300ms
  rows_settle: 300ms
  ghost_after: 4s
"""
VENICE: Final = (
    "kind: venice, base_url: '{}/venice/api', api_key: VENICE_INFERENCE_KEY_x, "
    "billing_key: VENICE_ADMIN_KEY_x"
)
TEN: Final = range(10)


async def test_calls_around_the_proxy_and_calls_that_timed_out_are_found(tmp_path: Path) -> None:
    async with (
        simulator() as provider_url,
        bursar(tmp_path, provider_url, POLICIES, settings=SETTINGS, provider=VENICE) as running,
        aiohttp.ClientSession() as http,
    ):
        key = running.create_key("red")

        async def scenario(**fields: Any) -> None:
            async with http.post(f"{provider_url}/simulator/scenario", json=fields) as answer:
                answer.raise_for_status()

        async def call(url: str, secret: str) -> int:
            body = {"model": "acme/mini", "messages": [], "max_tokens": 10}
            headers = {"authorization": f"Bearer {secret}"}
            async with http.post(url, json=body, headers=headers) as answer:
                await answer.read()
                return answer.status

        async def truth() -> list[dict[str, Any]]:
            async with http.get(f"{provider_url}/simulator/calls") as answer:
                items: list[dict[str, Any]] = (await answer.json())["items"]
                return items

        def stands() -> dict[str, int]:
            return {row["name"]: row["spent"]["nano_usd"] for row in running.budgets()}

        through, around = (
            f"{running.url}/v1/chat/completions",
            (f"{provider_url}/venice/api/v1/chat/completions"),
        )
        await scenario(billed_after_s=0.2, billed_factor="1.44")
        assert [await call(through, key) for _ in TEN] == [200] * 10
        assert [await call(around, "VENICE_INFERENCE_KEY_x") for _ in TEN] == [200] * 10
        await scenario(billed_after_s=0.2, billed_factor="1.44", hang=True)
        assert await asyncio.gather(*(call(through, key) for _ in TEN)) == [504] * 10

        ours, others = (await truth())[:10], (await truth())[10:]
        assert len(others) == 20
        ghosts = sum(each["billed_nano_usd"] for each in others)

        async def all_found() -> bool:
            found = await asyncio.to_thread(stands)
            return bool(found.get("unattributed") == ghosts)

        await until(all_found)
        # What timed out stays charged as it was reserved; the ghosts are on a budget of their own.
        held = 10 * 10_000_000 + 10 * _input_bound_nano_usd(others[-1])
        assert await asyncio.to_thread(stands) == {
            "all": sum(each["billed_nano_usd"] for each in ours) + held,
            "unattributed": ghosts,
        }


def _input_bound_nano_usd(call: dict[str, Any]) -> int:
    """Return what a body of this size is held at: a token for each byte, at a dollar a million."""
    return int(call["body_bytes"]) * 1_000
