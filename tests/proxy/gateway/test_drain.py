"""Reading answers to their end: all of it for a client that is there, within bounds for one that left."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from proxy.gateway.drain import DrainEnded, DrainLimits, Drains
from proxy.providers.connection import MaybeSent, UpstreamTimeout
from tests.doubles.fake_upstream import FakeAnswer, FakeClient, never

WIDE = DrainLimits(calls_max=10, bytes_max=1_000, time_s=20)


async def read(answer: FakeAnswer, client: FakeClient, drains: Drains | None = None) -> list[bytes]:
    pieces: list[bytes] = []
    found = (drains or Drains(WIDE)).pieces(answer.as_answer(), client)
    async for piece in found:
        pieces.append(piece)
        await client.write(piece)
    return pieces


async def test_a_client_that_stays_gets_everything_whatever_the_bounds() -> None:
    tight = Drains(DrainLimits(calls_max=0, bytes_max=0, time_s=0))

    pieces = await read(FakeAnswer(b"a" * 5_000, b"b"), FakeClient([]), tight)

    assert pieces == [b"a" * 5_000, b"b"]


@pytest.mark.parametrize("leaves_after", [-1, 0, 1, 2, 3])
async def test_what_a_client_left_is_read_to_the_end(leaves_after: int) -> None:
    drains = Drains(WIDE)

    pieces = await read(
        FakeAnswer(b"a", b"b", b"c"), FakeClient([], leaves_after=leaves_after), drains
    )

    assert pieces == [b"a", b"b", b"c"]
    assert drains.running == 0


async def test_only_so_many_answers_are_drained_at_once() -> None:
    drains = Drains(DrainLimits(calls_max=1, bytes_max=1_000, time_s=20))
    first = asyncio.ensure_future(
        read(FakeAnswer(b"a", never), FakeClient([], leaves_after=1), drains)
    )
    await asyncio.wait([first], timeout=0)
    assert drains.running == 1

    answer = FakeAnswer(b"a", b"b")
    with pytest.raises(DrainEnded, match="enough answers"):
        await read(answer, FakeClient([], leaves_after=1), drains)

    assert answer.left_over == 1
    first.cancel()
    await asyncio.wait([first])
    assert drains.running == 0


@pytest.mark.parametrize(("size", "left_over"), [(1_001, 1), (1_000, 0)])
async def test_only_so_much_is_drained(size: int, left_over: int) -> None:
    answer = FakeAnswer(b"a", b"b" * size, b"c")
    drains = Drains(WIDE)

    with pytest.raises(DrainEnded, match="too much"):
        await read(answer, FakeClient([], leaves_after=1), drains)

    assert answer.left_over == left_over
    assert drains.running == 0


async def test_draining_takes_only_so_long() -> None:
    drains = Drains(DrainLimits(calls_max=1, bytes_max=1_000, time_s=0.01))

    with pytest.raises(DrainEnded, match="too long"):
        await read(FakeAnswer(b"a", never), FakeClient([], leaves_after=1), drains)

    assert drains.running == 0


@pytest.mark.parametrize("leaves_after", [None, 1], ids=["there", "gone"])
async def test_a_provider_that_breaks_off_is_told_from_one_that_is_silent(
    leaves_after: int | None,
) -> None:
    broken = FakeAnswer(b"a", aiohttp.ClientPayloadError("cut"))

    with pytest.raises(MaybeSent):
        await read(broken, FakeClient([], leaves_after=leaves_after))


async def test_a_provider_that_is_silent_for_too_long_is_a_time_out() -> None:
    silent = FakeAnswer(b"a", aiohttp.SocketTimeoutError())

    with pytest.raises(UpstreamTimeout):
        await read(silent, FakeClient([]))
