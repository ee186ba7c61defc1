"""A model that is billed above its list raises an alert, and, if wanted, its quotes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from tests.doubles.aftermath import journal
from tests.doubles.running import running
from tests.doubles.waiting import until

BUDGETS: Final = "[{name: all, limit: 100 USD, window: lifetime}]"
SETTINGS: Final = """
receipts: {first_after: 50ms, retry_after: 50ms, poll_every: 50ms, drift_calls_min: 5, correct_quotes: true}
"""
CALLS: Final = 6


async def test_bills_above_the_list_raise_an_alert_and_the_quotes(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with running(
        tmp_path, redis_url, organization, budgets=BUDGETS, settings=SETTINGS, prices={}
    ) as bursar:
        receipts, ledger = bursar.app.receipts, bursar.app.ledger
        bursar.scenario(billed_factor="1.44", billed_after_s=0)
        for _ in range(CALLS):
            assert (await bursar.chat(max_tokens=100))[0] == 200
        await bursar.settled()
        billed = sum(call.billed_nano_usd for call in bursar.simulator.calls)

        async def is_receipted() -> bool:
            return bool((await bursar.standing("all")).spent == billed)

        await until(is_receipted)
        # Another replica looked a moment ago, so it would not be looked at for a minute.
        await bursar.app.commands.execute("DEL", ledger.keys.claim("drift"))
        await receipts.check_drift()
        await receipts.refresh_factors()
        assert (await bursar.chat(max_tokens=100))[0] == 200

        alerts = [event for event in bursar.logs if event["event"] == "price_list_drifts"]
        assert [(alert["model"], alert["per_mille"]) for alert in alerts] == [("acme/mini", 440)]
        entries = await ledger.journal(count_max=1_000)
        (drift,) = [json.loads(entry.data) for entry in entries if entry.kind == "drift"]
        assert (drift["billed_nano_usd"], drift["calls"]) == (billed, CALLS)
        asked = [
            entry.checks[0].held for entry in await journal(bursar) if entry.kind == "admitted"
        ]
        factor = receipts.factor("sim", "acme/mini")
        assert 1_440 <= factor <= 1_441
        assert asked[-1] == -(-asked[0] * factor // 1_000)
        (status,) = await receipts.status()
        (row,) = status.days
        assert (row.receipted, row.billed, row.compared) == (CALLS, billed, CALLS)
