"""Clients that leave: whenever they do, the answer is drained within bounds, metered and settled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.gateway import client as client_module
from tests.doubles.aftermath import books_are_closed, kinds, pending
from tests.doubles.formats import CHAT, FORMATS, MESSAGES, RESPONSES, TOKEN_NANO_USD, Format
from tests.doubles.raw_http import RawClient, connected, request
from tests.doubles.running import Running, running
from tests.doubles.waiting import until

BUDGETS = "[{name: month, limit: 10 USD, window: month}]"
# Ten tokens are reserved, three are used: what was settled says how well the answer was known.
RESERVED = 10 * TOKEN_NANO_USD
USED = 3 * TOKEN_NANO_USD
every_format = pytest.mark.parametrize("form", FORMATS, ids=str)
either_way = pytest.mark.parametrize("cancels", [False, True], ids=["plain", "cancelling"])
streamed_or_not = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@asynccontextmanager
async def gateway(
    folder: Path,
    redis_url: str,
    organization: str,
    *,
    cancels: bool = False,
    settings: str = "",
) -> AsyncIterator[Running]:
    """Run a gateway whose server does, or does not, cancel the handlers of clients that left."""
    async with running(
        folder, redis_url, organization, budgets=BUDGETS, settings=settings
    ) as bursar:
        port = await bursar.app.listen("127.0.0.1", 0, handler_cancellation=cancels)
        bursar.url = f"http://127.0.0.1:{port}"
        yield bursar


@asynccontextmanager
async def called(bursar: Running, form: Format, *, stream: bool) -> AsyncIterator[RawClient]:
    """Send a call; the provider has it."""
    arrived = len(bursar.simulator.calls)
    async with connected(bursar.url) as client:
        body = form.text(stream=stream)
        await client.send(request(form.path_of(stream=stream), body, bursar.key))
        await until(lambda: len(bursar.simulator.calls) > arrived)
        yield client


@every_format
@streamed_or_not
@either_way
async def test_a_client_that_leaves_before_the_head_is_charged_what_was_used(
    tmp_path: Path, redis_url: str, organization: str, form: Format, stream: bool, cancels: bool
) -> None:
    async with gateway(tmp_path, redis_url, organization, cancels=cancels) as bursar:
        bursar.scenario(first_byte_delay_ms=40, usage={"output": 3})
        async with called(bursar, form, stream=stream) as client:
            client.reset()

            await books_are_closed(bursar, spent=USED)


@streamed_or_not
@either_way
async def test_a_client_that_says_it_has_sent_all_is_charged_what_was_used(
    tmp_path: Path, redis_url: str, organization: str, stream: bool, cancels: bool
) -> None:
    async with gateway(tmp_path, redis_url, organization, cancels=cancels) as bursar:
        bursar.scenario(first_byte_delay_ms=40, usage={"output": 3})
        async with called(bursar, CHAT, stream=stream) as client:
            client.half_close()

            await books_are_closed(bursar, spent=USED)


@every_format
@either_way
async def test_a_client_that_leaves_in_mid_stream_is_charged_what_was_used(
    tmp_path: Path, redis_url: str, organization: str, form: Format, cancels: bool
) -> None:
    async with gateway(tmp_path, redis_url, organization, cancels=cancels) as bursar:
        bursar.scenario(usage={"output": 3}, chunks=3, chunk_delay_ms=10)
        async with called(bursar, form, stream=True) as client:
            assert (await client.head()).status == 200
            await client.some(20)
            client.reset()

            await books_are_closed(bursar, spent=USED)
        (call, _) = bursar.simulator.calls
        assert not call.client_left


@every_format
@streamed_or_not
@either_way
async def test_a_client_that_leaves_after_the_last_byte_changes_nothing(
    tmp_path: Path, redis_url: str, organization: str, form: Format, stream: bool, cancels: bool
) -> None:
    async with gateway(tmp_path, redis_url, organization, cancels=cancels) as bursar:
        bursar.scenario(usage={"output": 3})
        async with called(bursar, form, stream=stream) as client:
            answer = await client.answer()
            client.reset()

            assert (answer.status, answer.whole) == (200, True)
            await books_are_closed(bursar, spent=USED)


@either_way
async def test_a_client_that_leaves_before_an_error_is_charged_nothing(
    tmp_path: Path, redis_url: str, organization: str, cancels: bool
) -> None:
    async with gateway(tmp_path, redis_url, organization, cancels=cancels) as bursar:
        bursar.scenario(status=500, first_byte_delay_ms=40)
        async with called(bursar, CHAT, stream=False) as client:
            client.reset()

            await books_are_closed(bursar, spent=0)
        assert (await kinds(bursar))["release"] == 1


@either_way
async def test_a_client_that_leaves_while_the_provider_is_silent_is_charged_as_reserved(
    tmp_path: Path, redis_url: str, organization: str, cancels: bool
) -> None:
    settings = "gateway: {timeouts: {upstream_idle: 100ms}}\n"
    async with gateway(
        tmp_path, redis_url, organization, cancels=cancels, settings=settings
    ) as bursar:
        bursar.scenario(hang=True)
        async with called(bursar, CHAT, stream=True) as client:
            client.reset()

            await books_are_closed(bursar, spent=RESERVED)


@every_format
@pytest.mark.parametrize("bound", ["bytes_max: 50", "time: 30ms"])
@either_way
async def test_beyond_the_bounds_of_draining_a_call_is_charged_as_reserved(
    tmp_path: Path, redis_url: str, organization: str, form: Format, bound: str, cancels: bool
) -> None:
    settings = f"gateway: {{drain: {{{bound}}}}}\n"
    async with gateway(
        tmp_path, redis_url, organization, cancels=cancels, settings=settings
    ) as bursar:
        bursar.scenario(usage={"output": 3}, chunks=8, chunk_delay_ms=40)
        async with called(bursar, form, stream=True) as client:
            await client.head()
            await client.some(20)
            client.reset()

            await books_are_closed(bursar, spent=RESERVED)
        await until(lambda: bursar.simulator.calls[0].client_left)


@every_format
@either_way
async def test_only_so_many_answers_are_drained_at_once(
    tmp_path: Path, redis_url: str, organization: str, form: Format, cancels: bool
) -> None:
    settings = "gateway: {drain: {calls_max: 1}}\n"
    async with gateway(
        tmp_path, redis_url, organization, cancels=cancels, settings=settings
    ) as bursar:
        bursar.scenario(usage={"output": 3}, chunks=3, chunk_delay_ms=60)
        async with (
            called(bursar, form, stream=True) as first,
            called(bursar, form, stream=True) as second,
        ):
            for client in (first, second):
                await client.head()
                await client.some(20)
                client.reset()

            await books_are_closed(bursar, spent=USED + RESERVED)


async def test_a_response_whose_client_left_beyond_the_bounds_is_not_polled_for(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    # `in_progress` is all that such an answer ever said; only background ones are fetched later.
    settings = "gateway: {timeouts: {upstream_idle: 50ms}}\n"
    async with gateway(tmp_path, redis_url, organization, settings=settings) as bursar:
        bursar.scenario(usage={"output": 3}, stall_after_events=2)
        async with called(bursar, RESPONSES, stream=True) as client:
            await client.head()
            client.reset()

            await books_are_closed(bursar, spent=RESERVED)


@either_way
async def test_many_clients_that_leave_at_any_moment_are_all_charged_what_was_used(
    tmp_path: Path, redis_url: str, organization: str, cancels: bool
) -> None:
    async with gateway(tmp_path, redis_url, organization, cancels=cancels) as bursar:
        bursar.scenario(usage={"output": 3}, first_byte_delay_ms=10, chunks=3, chunk_delay_ms=5)

        async def leave_after(count: int) -> None:
            form = FORMATS[count % len(FORMATS)]
            async with called(bursar, form, stream=count % 3 != 0) as client:
                for _ in range(count):
                    if not await client.reader.read(10):
                        break
                client.reset()

        await asyncio.gather(*(leave_after(count) for count in range(40)))

        await books_are_closed(bursar, spent=40 * USED)


@pytest.mark.parametrize("form", [CHAT, MESSAGES], ids=str)
async def test_a_client_that_stops_reading_holds_its_own_call_alone(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    async with gateway(tmp_path, redis_url, organization) as bursar:
        bursar.scenario(usage={"output": 3}, chunks=50_000, times=1)
        async with connected(bursar.url, receive_bytes=4096) as client:
            body = form.text(stream=True)
            await client.send(request(form.stream_path, body, bursar.key))
            assert (await client.head()).status == 200

            bursar.scenario(usage={"output": 1})
            statuses = [(await bursar.chat(max_tokens=1))[0] for _ in range(20)]

            assert statuses == [200] * 20
            assert len(await pending(bursar)) == 1
            standing = await bursar.standing("month")
            assert (standing.spent, standing.reserved) == (20 * TOKEN_NANO_USD, RESERVED)
            client.reset()
            await books_are_closed(bursar, spent=20 * TOKEN_NANO_USD + USED)


async def test_a_client_that_never_reads_is_left_in_the_end(
    tmp_path: Path, redis_url: str, organization: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "PATIENCE_S", 0.1)
    async with gateway(tmp_path, redis_url, organization) as bursar:
        bursar.scenario(usage={"output": 3}, chunks=50_000)
        async with connected(bursar.url, receive_bytes=4096) as client:
            await client.send(request(CHAT.path, CHAT.text(stream=True), bursar.key))
            assert (await client.head()).status == 200

            await books_are_closed(bursar, spent=USED)
