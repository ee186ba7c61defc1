"""A proxy that is told to stop: calls in flight end and are settled, new ones are sent elsewhere."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.doubles.formats import FORMATS, TOKEN_NANO_USD, Format
from tests.doubles.raw_http import connected, request
from tests.doubles.running import Running, running
from tests.doubles.waiting import until

BUDGETS = "[{name: month, limit: 10 USD, window: month}]"
USED = 3 * TOKEN_NANO_USD
RESERVED = 10 * TOKEN_NANO_USD
every_format = pytest.mark.parametrize("form", FORMATS, ids=str)


async def charged(watching: Running, nano_usd: int) -> None:
    """Insist on what was charged, as another proxy of the organisation sees it."""

    async def settled() -> bool:
        return bool((await watching.standing("month")).reserved == 0)

    await until(settled)
    assert (await watching.standing("month")).spent == nano_usd


@every_format
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_call_in_flight_is_carried_to_its_end(
    tmp_path: Path, redis_url: str, organization: str, form: Format, stream: bool
) -> None:
    async with (
        running(tmp_path / "a", redis_url, organization, budgets=BUDGETS) as watching,
        running(tmp_path / "b", redis_url, organization, budgets=BUDGETS) as bursar,
        connected(bursar.url) as client,
    ):
        bursar.scenario(usage={"output": 3}, chunks=3, chunk_delay_ms=30, first_byte_delay_ms=60)
        body = form.text(stream=stream)
        await client.send(request(form.path_of(stream=stream), body, bursar.key))
        await until(lambda: len(bursar.simulator.calls) == 1)
        stopping = asyncio.ensure_future(bursar.app.stop())
        answer = await client.answer()
        await stopping

        assert (answer.status, answer.whole) == (200, True)
        assert form.error_in(answer.body) == "" if stream else answer.document
        await charged(watching, USED)


@every_format
async def test_a_call_that_takes_too_long_is_cut_and_charged_as_reserved(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    settings = "gateway: {timeouts: {shutdown: 50ms}}\n"
    async with (
        running(tmp_path / "a", redis_url, organization, budgets=BUDGETS) as watching,
        running(
            tmp_path / "b", redis_url, organization, budgets=BUDGETS, settings=settings
        ) as bursar,
        connected(bursar.url) as client,
    ):
        bursar.scenario(usage={"output": 3}, stall_after_events=2)
        body = form.text(stream=True)
        await client.send(request(form.path_of(stream=True), body, bursar.key))
        await until(lambda: len(bursar.simulator.calls) == 1)
        await bursar.app.stop()
        answer = await client.answer()

        # Whatever it got, it does not take it for the whole.
        assert not answer.whole or form.error_in(answer.body)
        await charged(watching, RESERVED)
        assert "calls_cut_at_shutdown" in [event["event"] for event in bursar.logs]


@every_format
async def test_a_connection_that_is_still_open_is_told_to_go_elsewhere(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    async with (
        running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar,
        connected(bursar.url) as idle,
    ):
        bursar.scenario(usage={"output": 3}, first_byte_delay_ms=150, times=1)
        slow = asyncio.ensure_future(bursar.chat())
        await until(lambda: len(bursar.simulator.calls) == 1)
        stopping = asyncio.ensure_future(bursar.app.stop())
        await until(lambda: not bursar.app.ready)
        await idle.send(request(form.path, form.text(), bursar.key))
        answer = await idle.answer()
        status, _, _ = await slow
        await stopping

        assert (answer.status, answer.headers["connection"]) == (503, "close")
        assert form.refusal_of(answer.document, 503)
        assert "x-should-retry" not in answer.headers
        assert status == 200
        assert len(bursar.simulator.calls) == 1
