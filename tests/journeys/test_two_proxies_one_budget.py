"""Two proxies on one Redis, and a budget that is worth exactly fifty of two hundred calls."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from tests.doubles.aftermath import faults, pending
from tests.doubles.formats import FORMATS, TOKEN_NANO_USD
from tests.doubles.running import running
from tests.doubles.waiting import until

WORTH = 50
CALLS = 200
BUDGETS = "[{name: fifty, limit: 0.50 USD, window: month}]"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_exactly_fifty_pass_over_both(
    tmp_path: Path, redis_url: str, organization: str, stream: bool
) -> None:
    async with (
        running(tmp_path / "one", redis_url, organization, budgets=BUDGETS) as one,
        running(tmp_path / "two", redis_url, organization, budgets=BUDGETS) as two,
    ):
        for proxy in (one, two):
            proxy.scenario(first_byte_delay_ms=300)

        async def call(number: int) -> int:
            proxy, form = (one, two)[number % 2], FORMATS[number % len(FORMATS)]
            status, _, _ = await proxy.post(form.path_of(stream=stream), form.body(stream=stream))
            return status

        statuses = Counter(await asyncio.gather(*(call(number) for number in range(CALLS))))
        await until(lambda: not one.app.busy and not two.app.busy)

        assert statuses == {200: WORTH, 402: CALLS - WORTH}
        for proxy in (one, two):
            standing = await proxy.standing("fifty")
            assert (standing.spent, standing.reserved, standing.overrun) == (500_000_000, 0, 0)
            assert faults(proxy) == []
        assert await pending(one) == []
        tokens = one.truth_output_tokens + two.truth_output_tokens
        assert tokens * TOKEN_NANO_USD == 500_000_000
        assert len(one.simulator.calls) + len(two.simulator.calls) == WORTH


async def test_a_key_that_one_revokes_is_worth_nothing_at_the_other(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with (
        running(tmp_path / "one", redis_url, organization, budgets=BUDGETS) as one,
        running(tmp_path / "two", redis_url, organization, budgets=BUDGETS) as two,
    ):
        record, key = await one.app.key_store.create("red")
        headers = {"authorization": f"Bearer {key}"}
        assert (await two.chat(headers=headers))[0] == 200

        await one.app.key_store.revoke(record.id)

        assert (await two.chat(headers=headers))[0] == 401
        assert len(two.simulator.calls) == 1


async def test_the_calls_of_one_are_seen_in_the_budgets_of_the_other(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with (
        running(tmp_path / "one", redis_url, organization, budgets=BUDGETS) as one,
        running(tmp_path / "two", redis_url, organization, budgets=BUDGETS) as two,
    ):
        await one.chat(max_tokens=10)
        headers = {"authorization": f"Bearer {two.key}"}
        async with two.http.get(f"{two.url}/v1/budget", headers=headers) as answer:
            (row,) = (await answer.json())["items"]

        assert row["spent"]["nano_usd"] == 10 * TOKEN_NANO_USD
