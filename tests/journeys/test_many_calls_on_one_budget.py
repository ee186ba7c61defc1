"""Two hundred simultaneous calls on a budget that is worth exactly fifty."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.running import Running, running

WORTH = 50
CALLS = 200
# One call costs 10 tokens at $1000 per million: exactly one cent.
BUDGETS = "[{name: fifty, limit: 0.50 USD, window: month}]"
TOKEN_NANO_USD = 1_000_000

pytestmark = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


async def _all_at_once(bursar: Running, **body: Any) -> Counter[int]:
    answers = await asyncio.gather(
        *(bursar.chat(max_tokens=10, **body) for _ in range(CALLS)), return_exceptions=True
    )
    await bursar.settled()
    return Counter(answer[0] for answer in answers if not isinstance(answer, BaseException))


async def test_exactly_fifty_pass(
    tmp_path: Path, redis_url: str, organization: str, stream: bool
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        # Answers take long enough for all calls to be asked before the first is over.
        bursar.scenario(first_byte_delay_ms=300)

        statuses = await _all_at_once(bursar, stream=stream)

        assert statuses == {200: WORTH, 402: CALLS - WORTH}
        standing = await bursar.standing("fifty")
        assert (standing.spent, standing.reserved, standing.overrun) == (500_000_000, 0, 0)
        assert bursar.truth_output_tokens * TOKEN_NANO_USD == standing.spent


async def test_exactly_fifty_pass_when_the_provider_cuts_its_answers(
    tmp_path: Path, redis_url: str, organization: str, stream: bool
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        bursar.scenario(first_byte_delay_ms=300, cut_after_events=2, cut_after_bytes=40)

        await _all_at_once(bursar, stream=stream)

        standing = await bursar.standing("fifty")
        assert len(bursar.simulator.calls) == WORTH
        assert (standing.spent, standing.reserved, standing.overrun) == (500_000_000, 0, 0)


async def test_exactly_fifty_pass_when_their_clients_leave(
    tmp_path: Path, redis_url: str, organization: str, stream: bool
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        bursar.scenario(first_byte_delay_ms=300, chunks=5, chunk_delay_ms=20)

        async def leave() -> int:
            body = {"model": "acme/mini", "messages": [], "max_tokens": 10, "stream": stream}
            async with bursar.http.post(
                f"{bursar.url}/v1/chat/completions",
                json=body,
                headers={"authorization": f"Bearer {bursar.key}"},
            ) as answer:
                if stream and answer.status == 200:
                    await answer.content.readany()
                answer.close()
                return answer.status

        statuses = Counter(await asyncio.gather(*(leave() for _ in range(CALLS))))
        await bursar.settled()

        assert statuses == {200: WORTH, 402: CALLS - WORTH}
        standing = await bursar.standing("fifty")
        assert (standing.spent, standing.reserved, standing.overrun) == (500_000_000, 0, 0)
        assert len(bursar.simulator.calls) == WORTH
