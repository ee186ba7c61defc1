"""The only outgoing HTTP, against real servers: what goes out, what comes back, how it fails."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from yarl import URL

from proxy.providers.connection import (
    RAW_BODY_BYTES_MAX,
    AnswerTooLong,
    MaybeSent,
    NeverSent,
    Upstream,
    UpstreamTimeout,
    read_chunk,
    read_whole,
    translate,
    translated,
)
from proxy.providers.interface import Target

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
SHORT_S = 0.05
LONG_S = 10.0


def target(url: URL | str, method: str = "POST") -> Target:
    return Target(method=method, url=URL(url), headers=())


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with opened(Upstream(LONG_S, LONG_S)) as made:
        yield made


@asynccontextmanager
async def opened(made: Upstream) -> AsyncIterator[Upstream]:
    await made.open()
    yield made
    await made.close()


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[URL]:
    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{path:.*}", handler)
    server = TestServer(app)
    await server.start_server()
    yield server.make_url("/v1/messages")
    await server.close()


@asynccontextmanager
async def talking(talk: Talk) -> AsyncIterator[URL]:
    """A server that writes bytes by hand, and hangs up when it is done."""
    writers: list[asyncio.StreamWriter] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield URL(f"http://127.0.0.1:{port}/v1/messages")
    server.close()
    for writer in writers:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()
    await server.wait_closed()


async def read_request(reader: asyncio.StreamReader) -> None:
    await reader.readuntil(b"\r\n\r\n")


# What goes out…


async def test_a_request_arrives_with_exactly_the_headers_given(upstream: Upstream) -> None:
    seen: list[tuple[str, str]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.extend((k.decode(), v.decode()) for k, v in request.raw_headers)
        return web.Response(body=await request.read())

    async with serving(handler) as url:
        answer = await upstream.send(target(url), [("X-Own", "1"), ("x-Two", "ü")], b"{}")
        body = await answer.read()

    own = [pair for pair in seen if pair[0].lower() not in ("host", "content-length")]
    assert own == [("X-Own", "1"), ("x-Two", "ü")]
    assert body == b"{}"


@pytest.mark.parametrize("size", [1, RAW_BODY_BYTES_MAX, RAW_BODY_BYTES_MAX + 1, 3 * 2**20])
async def test_a_body_of_any_size_arrives_whole(upstream: Upstream, size: int) -> None:
    lengths: list[tuple[int, int | None]] = []

    async def handler(request: web.Request) -> web.Response:
        lengths.append((len(await request.read()), request.content_length))
        return web.Response()

    async with serving(handler) as url:
        answer = await upstream.send(target(url), [], b"x" * size)
        answer.release()

    assert lengths == [(size, size)]


async def test_a_request_without_a_body_has_none(upstream: Upstream) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response([request.method, request.can_read_body, request.path_qs])

    async with serving(handler) as url:
        answer = await upstream.send(target(url.with_query("a=b"), "GET"), [], None)
        told = await answer.json()

    assert told == ["GET", False, "/v1/messages?a=b"]


async def test_an_encoded_path_is_sent_as_it_is(upstream: Upstream) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=request.raw_path)

    async with serving(handler) as url:
        encoded = URL(f"{url.origin()}/v1/models/a%3Ab@c:x?q=%20", encoded=True)
        answer = await upstream.send(target(encoded), [], b"{}")
        path = await answer.text()

    assert path == "/v1/models/a%3Ab@c:x?q=%20"


async def test_connections_are_used_again(upstream: Upstream) -> None:
    ports: set[int] = set()

    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername")[1])
        return web.Response()

    async with serving(handler) as url:
        for _ in range(2):
            answer = await upstream.send(target(url), [], b"{}")
            await answer.read()

    assert len(ports) == 1


async def test_small_writes_leave_at_once(upstream: Upstream) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        await reader.read()

    async with talking(talk) as url:
        answer = await upstream.send(target(url), [], b"{}")
        assert answer.connection is not None
        assert answer.connection.transport is not None
        wire = answer.connection.transport.get_extra_info("socket")
        nodelay = wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        answer.close()

    assert nodelay


async def test_proxies_of_the_environment_are_not_used(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_port()}")

    async def handler(request: web.Request) -> web.Response:
        return web.Response()

    async with serving(handler) as url:
        answer = await upstream.send(target(url), [], b"{}")
        answer.release()

    assert answer.status == 200


# What comes back…


async def test_a_compressed_answer_comes_as_it_was_sent(upstream: Upstream) -> None:
    packed = gzip.compress(b"x" * 1_000)

    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    async with serving(handler) as url:
        answer = await upstream.send(target(url), [], b"{}")
        body = await answer.read()

    assert body == packed


async def test_a_redirect_is_an_answer_like_others(upstream: Upstream) -> None:
    async def handler(request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect("/elsewhere")

    async with serving(handler) as url:
        answer = await upstream.send(target(url), [], b"{}")
        answer.release()

    assert answer.status == 307


async def test_cookies_are_not_kept(upstream: Upstream) -> None:
    async def handler(request: web.Request) -> web.Response:
        response = web.Response(text=request.headers.get("Cookie", "none"))
        response.set_cookie("cf", "1")
        return response

    async with serving(handler) as url:
        first = await upstream.send(target(url), [], b"{}")
        await first.read()
        second = await upstream.send(target(url), [], b"{}")
        cookies = await second.text()

    assert cookies == "none"


async def test_long_headers_of_an_answer_pass(upstream: Upstream) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(headers={"x-long": "a" * 12_000})

    async with serving(handler) as url:
        answer = await upstream.send(target(url), [], b"{}")
        answer.release()

    assert len(answer.headers["x-long"]) == 12_000


async def test_chunks_come_as_they_arrive_and_then_nothing(upstream: Upstream) -> None:
    goes_on = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one")
        await goes_on.wait()
        await response.write(b"two")
        return response

    async with serving(handler) as url:
        answer = await upstream.send(target(url), [], b"{}")
        first = await read_chunk(answer)
        goes_on.set()
        second = await read_chunk(answer)
        end = await read_chunk(answer)

    assert (first, second, end) == (b"one", b"two", b"")


async def test_a_whole_answer_is_read_to_its_end(upstream: Upstream) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(50):
            await response.write(b"x" * 10_000)
        return response

    async with serving(handler) as url:
        answer = await upstream.send(target(url, "GET"), [], None)
        body = await read_whole(answer, 500_000)

    assert len(body) == 500_000


async def test_an_answer_that_is_too_long_is_not_read_to_its_end(upstream: Upstream) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 1_000_000)

    async with serving(handler) as url:
        answer = await upstream.send(target(url, "GET"), [], None)
        with pytest.raises(AnswerTooLong):
            await read_whole(answer, 1_000)

    assert answer.closed


# How it fails before anything was sent…


async def test_nothing_is_sent_when_nobody_listens(upstream: Upstream) -> None:
    with pytest.raises(NeverSent, match="cannot be reached"):
        await upstream.send(target(f"http://127.0.0.1:{unused_port()}/"), [], b"{}")


async def test_nothing_is_sent_to_a_name_that_does_not_exist(upstream: Upstream) -> None:
    with pytest.raises(NeverSent):
        await upstream.send(target("http://provider.invalid/"), [], b"{}")


async def test_nothing_is_sent_to_an_address_that_is_none(upstream: Upstream) -> None:
    with pytest.raises(NeverSent):
        await upstream.send(target("ftp://127.0.0.1/"), [], b"{}")


async def test_nothing_is_sent_when_tls_fails(upstream: Upstream) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(16)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with talking(talk) as url:
        with pytest.raises(NeverSent):
            await upstream.send(target(url.with_scheme("https")), [], b"{}")


async def test_nothing_is_sent_when_no_connection_is_free_in_time() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        await reader.read()

    async with talking(talk) as url, opened(Upstream(SHORT_S, LONG_S, 1)) as upstream:
        holding = await upstream.send(target(url), [], b"{}")
        with pytest.raises(NeverSent):
            await upstream.send(target(url), [], b"{}")
        holding.close()


async def test_nothing_is_sent_before_opening_or_after_closing() -> None:
    upstream = Upstream(LONG_S, LONG_S)
    await upstream.close()

    with pytest.raises(NeverSent):
        await upstream.send(target("http://127.0.0.1/"), [], b"{}")


# How it fails when something may have been sent…


async def test_a_provider_that_hangs_up_may_have_the_request(upstream: Upstream) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)

    async with talking(talk) as url:
        with pytest.raises(MaybeSent) as failure:
            await upstream.send(target(url), [], b"{}")

    assert not isinstance(failure.value, UpstreamTimeout)


async def test_a_provider_that_resets_the_connection_may_have_the_request(
    upstream: Upstream,
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.transport.abort()

    async with talking(talk) as url:
        with pytest.raises(MaybeSent):
            await upstream.send(target(url), [], b"x" * 100_000)


async def test_an_answer_that_is_no_http_may_follow_a_request(upstream: Upstream) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        await writer.drain()

    async with talking(talk) as url:
        with pytest.raises(MaybeSent):
            await upstream.send(target(url), [], b"{}")


async def test_a_provider_that_stays_silent_is_a_time_out() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with talking(talk) as url, opened(Upstream(LONG_S, SHORT_S)) as upstream:
        with pytest.raises(UpstreamTimeout):
            await upstream.send(target(url), [], b"{}")


async def test_a_provider_that_does_not_take_the_body_is_a_time_out() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await writer.wait_closed()

    async with talking(talk) as url, opened(Upstream(SHORT_S, SHORT_S)) as upstream:
        with pytest.raises(UpstreamTimeout):
            await upstream.send(target(url), [], b"x" * 64 * 2**20)


async def test_an_answer_that_is_cut_says_so(upstream: Upstream) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        await writer.drain()

    async with talking(talk) as url:
        answer = await upstream.send(target(url), [], b"{}")
        first = await read_chunk(answer)
        with pytest.raises(MaybeSent):
            await read_chunk(answer)

    assert first == b"half"
    assert answer.closed


async def test_an_answer_that_stops_is_a_time_out() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        await reader.read()

    async with talking(talk) as url, opened(Upstream(LONG_S, SHORT_S)) as upstream:
        answer = await upstream.send(target(url), [], b"{}")
        await read_chunk(answer)
        with pytest.raises(UpstreamTimeout), translate():
            await answer.content.readany()
        answer.close()


async def test_a_cancellation_stays_one(upstream: Upstream) -> None:
    arrived = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await reader.read()

    async with talking(talk) as url:
        sending = asyncio.create_task(upstream.send(target(url), [], b"{}"))
        await arrived.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending


# Translation…


def test_reading_without_a_fault_raises_nothing() -> None:
    with translate():
        pass


def test_a_fault_of_ours_passes_untranslated() -> None:
    with pytest.raises(KeyError), translate():
        raise KeyError("ours")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (aiohttp.ConnectionTimeoutError(), NeverSent),
        (aiohttp.InvalidURL("x"), NeverSent),
        (aiohttp.SocketTimeoutError(), UpstreamTimeout),
        (TimeoutError(), UpstreamTimeout),
        (aiohttp.ServerDisconnectedError(), MaybeSent),
        (aiohttp.ClientPayloadError(), MaybeSent),
        (ConnectionResetError(), MaybeSent),
    ],
)
def test_each_foreign_fault_has_its_meaning(error: Exception, kind: type[Exception]) -> None:
    assert type(translated(error)) is kind


def test_what_is_no_fault_of_a_connection_has_no_meaning() -> None:
    assert translated(ValueError("x")) is None
