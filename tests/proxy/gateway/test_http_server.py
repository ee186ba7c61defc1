"""The server's manners: bodies as they came, bounds on what comes first, and errors of ours."""

from __future__ import annotations

import asyncio
import gzip

import pytest
from aiohttp import web

from tests.doubles.raw_http import connected
from tests.doubles.serving import serving


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(body=await request.content.read())


async def test_a_packed_body_is_handed_on_packed() -> None:
    packed = gzip.compress(b"Hello")
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}"

    async with serving(echo) as url, connected(url) as raw:
        await raw.send(f"{head}\r\n\r\n".encode() + packed)

        assert (await raw.answer()).body == packed


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
    ],
    ids=["TLS", "short", "version", "header", "length"],
)
async def test_what_is_not_http_gets_our_error_and_the_connection_ends(garbage: bytes) -> None:
    async with serving(echo) as url, connected(url) as raw:
        await raw.send(garbage)
        answer = await raw.answer()

        assert answer.status == 400
        assert answer.body.endswith(b": send one valid HTTP/1.1 request")
        assert b"\n" not in answer.body
        assert await raw.end() == b""


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 5_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 5_000 + b"\r\n\r\n",
    ],
    ids=["line", "header"],
)
async def test_a_head_without_end_is_refused(head: bytes) -> None:
    async with serving(echo, header_bytes_max=4_096) as url, connected(url) as raw:
        await raw.send(head)

        assert (await raw.answer()).status == 400


async def test_a_handler_that_fails_gets_our_error() -> None:
    async def fails(request: web.BaseRequest) -> web.StreamResponse:
        raise RuntimeError("a mistake")

    async with serving(fails) as url, connected(url) as raw:
        await raw.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await raw.answer()

        assert answer.status == 500
        assert b"a mistake" not in answer.body
        assert b"Traceback" not in answer.body


async def test_a_handler_that_fails_in_the_middle_of_an_answer_breaks_it_off() -> None:
    async def fails(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 99
        await response.prepare(request)
        await response.write(b"half")
        raise RuntimeError("a mistake")

    async with serving(fails) as url, connected(url) as raw:
        await raw.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await raw.answer()

        assert (answer.status, answer.whole) == (200, False)


@pytest.mark.parametrize("cancels", [True, False])
async def test_a_handler_is_cancelled_only_where_that_was_asked_for(cancels: bool) -> None:
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    go_on = asyncio.Event()

    async def waits(request: web.BaseRequest) -> web.StreamResponse:
        raw.reset()
        try:
            await go_on.wait()
            ended.set_result("done")
        except asyncio.CancelledError:
            ended.set_result("cancelled")
            raise
        return web.Response()

    async with serving(waits, handler_cancellation=cancels) as url, connected(url) as raw:
        await raw.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await raw.end()
        if not cancels:
            go_on.set()

        assert await ended == ("cancelled" if cancels else "done")
