"""Budgets in a provider's own credits: what it charged in them, and nothing of what it charged elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.doubles.running import Running, running
from tests.doubles.waiting import until

CREDITS: Final = ("DIEM", "VCU", "BUNDLED_CREDITS")
BUDGETS: Final = """[{name: all, limit: 100 USD, window: lifetime},
  {name: DIEM, limit: 100 DIEM, window: lifetime},
  {name: VCU, limit: 100 VCU, window: lifetime},
  {name: BUNDLED_CREDITS, limit: 100 BUNDLED_CREDITS, window: lifetime}]"""
SETTINGS: Final = """
receipts: {first_after: 100ms, retry_after: 100ms, poll_every: 50ms, scan_every: 100ms, rows_settle: 50ms}
"""


async def spent(bursar: Running) -> dict[str, int]:
    return {name: (await bursar.standing(name)).spent for name in ("all", *CREDITS)}


@pytest.mark.parametrize("currency", ["USD", *CREDITS, "EARNED_CREDITS"])
async def test_a_call_is_charged_in_the_currency_that_was_billed(
    tmp_path: Path, redis_url: str, organization: str, currency: str
) -> None:
    async with running(
        tmp_path,
        redis_url,
        organization,
        budgets=BUDGETS,
        settings=SETTINGS,
        provider="kind: venice",
        keys="api_key: VENICE_INFERENCE_KEY_x, billing_key: VENICE_ADMIN_KEY_x",
        prices={},
    ) as bursar:
        bursar.scenario(currency=currency, billed_factor="1.44", billed_after_s=0.1)
        for _ in range(3):
            status, _, body = await bursar.chat(max_tokens=10, model="zai-org-glm-5-1")
            assert status == 200, body

        billed = sum(call.billed_nano_usd for call in bursar.simulator.calls)
        expected = {"all": billed, **{name: billed * (name == currency) for name in CREDITS}}

        async def is_billed() -> bool:
            return await spent(bursar) == expected

        await until(is_billed)
        assert billed > 0
