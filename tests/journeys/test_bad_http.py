"""HTTP that is wrong: bytes that are no request, paths that are tricks, bodies that never come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.gateway import parse
from tests.doubles.aftermath import nothing_was_sent
from tests.doubles.formats import CHAT, FORMATS, GENERATE, MESSAGES, RESPONSES, Format
from tests.doubles.raw_http import connected, request
from tests.doubles.running import Running, running
from tests.doubles.waiting import until

BUDGETS = "[{name: month, limit: 1000 USD, window: month}]"
every_format = pytest.mark.parametrize("form", FORMATS, ids=str)


@asynccontextmanager
async def gateway(folder: Path, redis_url: str, organization: str) -> AsyncIterator[Running]:
    async with running(folder, redis_url, organization, budgets=BUDGETS) as bursar:
        yield bursar


CONFLICTS: dict[str, tuple[bytes, ...]] = {
    "two lengths": (b"content-length: 4", b"content-length: 5"),
    "the same length twice": (b"content-length: 4", b"content-length: 4"),
    "a list of lengths": (b"content-length: 4, 4",),
    "a length and chunks": (b"content-length: 4", b"transfer-encoding: chunked"),
    "chunks and a length": (b"transfer-encoding: chunked", b"content-length: 4"),
    "chunks twice": (b"transfer-encoding: chunked", b"transfer-encoding: chunked"),
    "chunks that are not last": (b"transfer-encoding: chunked, gzip",),
    "another transfer coding": (b"transfer-encoding: xchunked",),
    "a length with a sign": (b"content-length: +4",),
    "a length with a line": (b"content-length: 4_0",),
    "a negative length": (b"content-length: -4",),
    "a length in hexadecimal": (b"content-length: 0x4",),
    "an endless length": (b"content-length: " + b"9" * 40,),
    "a space before the colon": (b"content-length : 4",),
    "a header without a colon": (b"nonsense",),
    "a header of 100 KiB": (b"x-long: " + b"x" * 100 * 1024,),
    "a NUL in a header": (b"x-nul: a\x00b",),
    "a bare return in a header": (b"x-return: a\rb",),
    "a folded header": (b"x-folded: a", b" b"),
}


@pytest.mark.parametrize("headers", CONFLICTS.values(), ids=CONFLICTS)
async def test_headers_that_two_servers_could_read_in_two_ways_are_refused(
    tmp_path: Path, redis_url: str, organization: str, headers: tuple[bytes, ...]
) -> None:
    async with gateway(tmp_path, redis_url, organization) as bursar:
        lines = [b"POST /v1/chat/completions HTTP/1.1", b"host: x"]
        lines += [b"authorization: Bearer " + bursar.key.encode(), *headers]
        async with connected(bursar.url) as client:
            await client.send(b"\r\n".join(lines) + b"\r\n\r\n" + b"0\r\n\r\n")
            answer = await client.answer()
            rest = await client.end()

        assert answer.status == 400, answer
        assert CHAT.refusal_of(answer.document, 400)
        assert rest == b""
        await nothing_was_sent(bursar)


CHUNKS = (b"zz\r\nabc\r\n", b"5\r\nab", b"-1\r\n\r\n", b"f" * 20 + b"\r\n", b"3\r\nabcd\r\n")
LINES: dict[str, bytes] = {
    "nonsense": b"nonsense\r\n\r\n",
    "no path": b"POST HTTP/1.1\r\n\r\n",
    "a version of the future": b"POST /v1/chat/completions HTTP/9.9\r\nhost: x\r\n\r\n",
    "a NUL in the path": b"POST /v1/chat\x00/completions HTTP/1.1\r\nhost: x\r\n\r\n",
    "a method that is none": b"P\x01ST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n\r\n",
    "an endless path": b"POST /" + b"a" * 100 * 1024 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
async def test_a_request_line_that_is_none_is_refused(
    tmp_path: Path, redis_url: str, organization: str, line: bytes
) -> None:
    async with gateway(tmp_path, redis_url, organization) as bursar:
        async with connected(bursar.url) as client:
            await client.send(line)
            answer = await client.answer()
            await client.end()

        assert answer.status == 400
        assert CHAT.refusal_of(answer.document, 400)
        await nothing_was_sent(bursar)


PATHS = [
    "/v1/chat%00/completions",
    "/v1/./chat/completions",
    "/v1/chat/../chat/completions",
    "/v1//chat/completions",
    "/v1/chat%2Fcompletions",
    "/v1/chat\\completions",
    "http://elsewhere/v1/chat/completions",
    "*",
]


@pytest.mark.parametrize("path", PATHS)
async def test_a_path_that_could_mean_two_things_is_refused(
    tmp_path: Path, redis_url: str, organization: str, path: str
) -> None:
    async with gateway(tmp_path, redis_url, organization) as bursar:
        async with connected(bursar.url) as client:
            await client.send(request(path, CHAT.text(), bursar.key))
            answer = await client.answer()

        assert 400 <= answer.status < 500
        assert answer.document["error"]["message"]
        await nothing_was_sent(bursar)


@every_format
async def test_a_method_that_an_endpoint_does_not_take_is_refused(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    async with gateway(tmp_path, redis_url, organization) as bursar:
        for method in ("PUT", "GET", "DELETE", "PATCH", "OPTIONS"):
            async with connected(bursar.url) as client:
                await client.send(request(form.path, form.text(), bursar.key, method=method))
                answer = await client.answer()

            assert (method, answer.status) == (method, 405)
            assert form.refusal_of(answer.document, 405)
        await nothing_was_sent(bursar)


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/v1/completions", CHAT),
        ("/v1/chat/completions/", CHAT),
        ("/v1/images/generations", CHAT),
        ("/v1/responses/compact", RESPONSES),
        ("/v1/messages/batches", MESSAGES),
        ("/v1beta/models/acme/mini:batchGenerateContent", GENERATE),
        ("/nowhere/v1/chat/completions", CHAT),
    ],
    ids=str,
)
async def test_a_path_that_is_not_metered_is_not_forwarded(
    tmp_path: Path, redis_url: str, organization: str, path: str, form: Format
) -> None:
    async with gateway(tmp_path, redis_url, organization) as bursar:
        status, _, document = await bursar.post(path, form.text())

        assert status == 404
        assert form.refusal_of(document, 404)
        await nothing_was_sent(bursar)


@every_format
async def test_a_websocket_is_told_to_come_as_a_post(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    async with gateway(tmp_path, redis_url, organization) as bursar:
        upgrade = ("connection: Upgrade", "upgrade: websocket", "sec-websocket-version: 13")
        async with connected(bursar.url) as client:
            await client.send(
                request(form.path, b"", bursar.key, *upgrade, method="GET", counted=False)
            )
            answer = await client.answer()

        assert answer.status == 426
        assert form.refusal_of(answer.document, 426)
        await nothing_was_sent(bursar)


async def test_an_upgrade_that_is_no_websocket_is_not_taken_up(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    # Java's own HTTP client offers h2c with every first request; a server may ignore that.
    async with gateway(tmp_path, redis_url, organization) as bursar:
        offer = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABk")
        async with connected(bursar.url) as client:
            await client.send(request(CHAT.path, CHAT.text(), bursar.key, *offer))
            answer = await client.answer()
        await bursar.settled()

        assert (answer.status, answer.whole) == (200, True)
        (call,) = bursar.simulator.calls
        assert not {"upgrade", "http2-settings"} & {name for name, _ in call.headers}


@every_format
async def test_a_client_that_ends_in_the_middle_of_its_body_begins_no_call(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    async with gateway(tmp_path, redis_url, organization) as bursar:
        whole = request(form.path, form.text(), bursar.key)
        for leave in ("half_close", "reset"):
            async with connected(bursar.url) as client:
                await client.send(whole[:-5])
                getattr(client, leave)()
                await client.end()

        await nothing_was_sent(bursar)


@every_format
async def test_chunks_that_are_malformed_begin_no_call(
    tmp_path: Path,
    redis_url: str,
    organization: str,
    form: Format,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parse, "PATIENCE_S", 0.1)
    head_headers = ("transfer-encoding: chunked",)
    async with gateway(tmp_path, redis_url, organization) as bursar:
        head = request(form.path, b"", bursar.key, *head_headers, counted=False)

        async def answered(chunks: bytes) -> None:
            async with connected(bursar.url) as client:
                await client.send(head + b"1\r\n{\r\n")
                await until(lambda: bursar.app.busy)
                await client.send(chunks)
                answer = await client.answer()
            assert answer.status in {400, 408}
            assert form.refusal_of(answer.document, answer.status)

        await asyncio.gather(*(answered(chunks) for chunks in CHUNKS))
        await nothing_was_sent(bursar)


@every_format
async def test_a_client_that_stops_in_the_middle_of_its_body_holds_no_place_for_ever(
    tmp_path: Path,
    redis_url: str,
    organization: str,
    form: Format,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parse, "PATIENCE_S", 0.1)
    async with gateway(tmp_path, redis_url, organization) as bursar:
        async with connected(bursar.url) as client:
            await client.send(request(form.path, form.text(), bursar.key)[:-5])
            answer = await client.answer()

        assert answer.status == 408
        assert form.refusal_of(answer.document, 408)
        await nothing_was_sent(bursar)


async def test_many_bad_requests_on_one_connection_leave_it_usable(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with gateway(tmp_path, redis_url, organization) as bursar:
        async with connected(bursar.url) as client:
            for _ in range(20):
                await client.send(request(CHAT.path, b"{", bursar.key))
                assert (await client.answer()).status == 400
            await client.send(request(CHAT.path, CHAT.text(), bursar.key))
            answer = await client.answer()

        assert (answer.status, answer.whole) == (200, True)


async def test_a_stranger_with_a_large_body_is_refused_before_it_is_read(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with gateway(tmp_path, redis_url, organization) as bursar:
        async with connected(bursar.url) as client:
            head = request(
                CHAT.path, b"", "bsr_stranger", "content-length: 60000000", counted=False
            )
            await client.send(head + b"{" * 100)
            answer = await asyncio.wait_for(client.answer(), 5)

        assert answer.status == 401
        await nothing_was_sent(bursar)
