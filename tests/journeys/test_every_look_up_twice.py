"""Every receipt is looked for twice at the same time, and booked once."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from tests.doubles.aftermath import faults, kinds
from tests.doubles.running import running
from tests.doubles.waiting import until

BUDGETS: Final = "[{name: all, limit: 1000 USD, window: lifetime}]"
# Nobody looks but the test.
SETTINGS: Final = """
receipts: {first_after: 1ms, retry_after: 1ms, poll_every: 1h, scan_every: 1ms, rows_settle: 1ms}
"""
PROVIDERS: Final = {
    "agipower": "api_key: sk-ai-v1-x, management_key: sk-mg-v1-x",
    "venice": "api_key: VENICE_INFERENCE_KEY_x, billing_key: VENICE_ADMIN_KEY_x",
    "openrouter": "api_key: sk-or-x",
    "vercel": "api_key: vck-x",
}
CALLS: Final = 20


@pytest.mark.parametrize("kind", PROVIDERS)
async def test_what_is_looked_for_twice_is_booked_once(
    tmp_path: Path, redis_url: str, organization: str, kind: str
) -> None:
    async with running(
        tmp_path,
        redis_url,
        organization,
        budgets=BUDGETS,
        settings=SETTINGS,
        provider=f"kind: {kind}",
        keys=PROVIDERS[kind],
    ) as bursar:
        bursar.scenario(billed_factor="1.44", billed_after_s=0, not_found_first=1)
        for number in range(CALLS):
            status, _, _ = await bursar.chat(max_tokens=number + 1)
            assert status == 200
        await bursar.settled()
        desk, schedule = bursar.app.receipts._desks["sim"], bursar.app.receipts._schedule
        due = bursar.app.ledger.keys.receipts("sim", "due")
        found: Counter[str] = Counter()

        async def look_twice() -> bool:
            for history in bursar.app.receipts._histories.values():
                await history.run_due()
            for call_id in await bursar.app.commands.execute("ZRANGE", due, 0, -1):
                found.update(await asyncio.gather(*(desk._end(call_id.decode()) for _ in "ab")))
            return (await schedule.waiting("sim")).calls == 0

        await until(look_twice)

        billed = sum(call.billed_nano_usd for call in bursar.simulator.calls)
        standing = await bursar.standing("all")
        assert (standing.spent, standing.reserved) == (billed, 0)
        assert (await kinds(bursar))["receipt"] == CALLS
        # Both found it, or the second one found that the first had been there.
        assert CALLS <= found["booked"] + found["gone"] <= 2 * CALLS
        assert faults(bursar) == []
