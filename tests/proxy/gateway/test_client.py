"""The client's side: what is written arrives, and leaving is noticed and never a fault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from proxy.gateway import client as clients
from proxy.gateway.client import Client
from tests.doubles.raw_http import RawClient, connected
from tests.doubles.serving import serving
from tests.doubles.waiting import until

Talk = Callable[[Client], Awaitable[None]]
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
PIECE = b"x" * 65_536


@asynccontextmanager
async def talking(
    talk: Talk, *, receive_bytes: int | None = None
) -> AsyncIterator[tuple[RawClient, asyncio.Future[Client]]]:
    """One request, whose answer is what the talk writes; the client, as it was in the end."""
    ended: asyncio.Future[Client] = asyncio.get_running_loop().create_future()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        client = Client(request)
        try:
            await talk(client)
            return await client.end()
        finally:
            ended.set_result(client)

    async with serving(handler) as url, connected(url, receive_bytes=receive_bytes) as raw:
        await raw.send(GET)
        yield raw, ended


async def test_what_is_written_arrives_with_its_head() -> None:
    async def talk(client: Client) -> None:
        await client.begin(207, "Quite", [("x-a", "1"), ("x-a", "2"), ("content-length", "5")])
        await client.write(b"Hel")
        await client.write(b"")
        await client.write(b"lo")

    async with talking(talk) as (raw, ended):
        answer = await raw.answer()

        assert (answer.status, answer.body, answer.whole) == (207, b"Hello", True)
        assert not (await ended).left


async def test_a_piece_arrives_before_the_next_is_written() -> None:
    arrived = asyncio.Event()

    async def talk(client: Client) -> None:
        await client.begin(200, None, [("content-length", "2")])
        await client.write(b"a")
        await arrived.wait()
        await client.write(b"b")

    async with talking(talk) as (raw, _):
        await raw.head()
        assert await raw.some() == b"a"
        arrived.set()
        assert await raw.some() == b"b"


async def test_what_cannot_be_sent_any_more_is_left_out_without_a_fault() -> None:
    async def talk(client: Client) -> None:
        await client.begin(200, None, [])
        raw.reset()

        async def left() -> bool:
            await client.write(PIECE)
            return client.left

        await until(left)
        await client.write(b"more")

    async with talking(talk) as (raw, ended):
        assert (await ended).left


async def test_a_client_that_left_before_its_answer_began_is_noticed() -> None:
    async def talk(client: Client) -> None:
        raw.reset()
        transport = client._request.transport
        assert transport is not None
        await until(transport.is_closing)
        await client.begin(200, None, [])

    async with talking(talk) as (raw, ended):
        assert (await ended).left


async def test_a_client_that_leaves_before_the_end_is_noticed() -> None:
    async def talk(client: Client) -> None:
        await client.begin(200, None, [])
        await client.write(b"a")
        raw.reset()
        transport = client._request.transport
        assert transport is not None
        await until(transport.is_closing)
        await client.end()

    async with talking(talk) as (raw, ended):
        await asyncio.wait([ended])
        assert ended.result().left


async def test_a_client_that_reads_slowly_is_waited_for() -> None:
    pieces = 64

    async def talk(client: Client) -> None:
        await client.begin(200, None, [("content-length", str(pieces * len(PIECE)))])
        for _ in range(pieces):
            await client.write(PIECE)

    async with talking(talk, receive_bytes=4_096) as (raw, ended):
        answer = await raw.answer()

        assert answer.whole
        assert not (await ended).left


async def test_a_client_that_never_reads_is_left_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clients, "PATIENCE_S", 0.05)

    async def talk(client: Client) -> None:
        await client.begin(200, None, [])
        while not client.left:
            await client.write(PIECE)

    async with talking(talk, receive_bytes=4_096) as (_, ended):
        assert (await ended).left


async def test_a_broken_connection_shows_that_the_answer_is_not_whole() -> None:
    async def talk(client: Client) -> None:
        await client.begin(200, None, [])
        await client.write(b"half")
        client.abort()
        client.abort()

    async with talking(talk) as (raw, ended):
        answer = await raw.answer()

        assert not answer.whole
        assert (await ended).left


async def test_a_connection_that_is_gone_can_be_broken_off() -> None:
    async def talk(client: Client) -> None:
        await client.begin(200, None, [])
        client.abort()
        await until(lambda: client._request.transport is None)
        client.abort()

    async with talking(talk) as (raw, ended):
        await raw.end()
        assert (await ended).left


async def test_an_answer_that_never_began_has_no_end() -> None:
    ended: list[str] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        client = Client(request)
        await client.write(b"lost")
        try:
            await client.end()
        except RuntimeError as fault:
            ended.append(str(fault))
        return web.Response()

    async with serving(handler) as url, connected(url) as raw:
        await raw.send(GET)
        await raw.answer()

    assert ended == ["an answer ends that never began"]
