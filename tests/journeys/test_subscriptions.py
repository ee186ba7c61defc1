"""Calls that are paid for in Flows: no bill ever comes, so what was metered is final."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from policies.ledger.interface import CallRecord
from tests.doubles.running import Running, running
from tests.doubles.waiting import until

BUDGETS: Final = """[{name: all, limit: 100 USD, window: lifetime},
  {name: flows, limit: 100 flows, window: lifetime},
  {name: output, limit: 1M output tokens, window: lifetime}]"""
SETTINGS: Final = """
wallets: {every: 100ms}
receipts: {first_after: 100ms, retry_after: 100ms, poll_every: 50ms}
"""
SUBSCRIPTION: Final = "api_key: sk-ss-v1-x, management_key: sk-mg-v1-x"
PAYG: Final = "api_key: sk-ai-v1-x, management_key: sk-mg-v1-x"


@asynccontextmanager
async def subscribed(
    folder: Path, redis_url: str, organization: str, keys: str = SUBSCRIPTION
) -> AsyncIterator[Running]:
    """Run a gateway that knows what a Flow is worth, with the provider's own prices."""
    async with running(
        folder,
        redis_url,
        organization,
        budgets=BUDGETS,
        settings=SETTINGS,
        keys=keys,
        prices={},
    ) as bursar:
        quota = "5_hour" if keys == SUBSCRIPTION else "balance"
        await until(lambda: bursar.app.wallets.describe("sim", f"wallet.sim.{quota}") is not None)
        yield bursar


async def ended(bursar: Running, headers: dict[str, str]) -> CallRecord:
    """Wait until a call waits for nothing any more."""
    found: list[CallRecord] = []

    async def is_over() -> bool:
        record = await bursar.app.ledger.find(headers["x-bursar-call-id"])
        if record is not None and record.receipt:
            found.append(record)
        return bool(found)

    await until(is_over)
    return found[0]


async def spent(bursar: Running) -> dict[str, int]:
    return {name: (await bursar.standing(name)).spent for name in ("all", "flows", "output")}


async def test_an_exact_call_stays_at_its_metered_amount_and_is_charged_in_flows(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with subscribed(tmp_path, redis_url, organization) as bursar:
        status, headers, _ = await bursar.chat(max_tokens=1000)
        record = await ended(bursar, headers)

        assert status == 200
        assert (record.state.value, list(json.loads(record.receipt))) == ("unreceipted", ["never"])
        (call,) = bursar.simulator.calls
        assert call.receipt_lookups == 0
        charged = await spent(bursar)
        assert (charged["all"], charged["output"]) == (call.listed_nano_usd, 1000)
        assert 0 <= charged["flows"] - call.nano_flows <= call.nano_flows // 10**6


async def test_a_cut_call_is_metered_again_by_what_the_provider_counted(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with subscribed(tmp_path, redis_url, organization) as bursar:
        bursar.scenario(cut_after_events=3, usage={"input": 11, "output": 40})
        _, headers, _ = await bursar.chat(max_tokens=1000, stream=True)
        record = await ended(bursar, headers)

        assert record.state.value == "receipted"
        assert json.loads(record.receipt)["source"] == "metering"
        (call,) = bursar.simulator.calls
        charged = await spent(bursar)
        assert (charged["all"], charged["output"]) == (call.listed_nano_usd, 40)
        assert 0 <= charged["flows"] - call.nano_flows <= call.nano_flows // 10**5 + 1


async def test_a_key_that_is_billed_in_dollars_uses_no_flows(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with subscribed(tmp_path, redis_url, organization, PAYG) as bursar:
        bursar.scenario(billed_factor="1.44", billed_after_s=0.1)
        _, headers, _ = await bursar.chat(max_tokens=1000)
        record = await ended(bursar, headers)

        assert record.state.value == "receipted"
        receipt: dict[str, Any] = json.loads(record.receipt)
        (call,) = bursar.simulator.calls
        assert receipt["nano_usd"] == call.billed_nano_usd > call.listed_nano_usd
        assert receipt["settled_nano_usd"] == call.listed_nano_usd
        assert await spent(bursar) == {"all": call.billed_nano_usd, "flows": 0, "output": 1000}
