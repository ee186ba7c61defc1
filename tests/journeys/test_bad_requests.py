"""Requests that are wrong: one clear error in the caller's dialect, nothing reserved, nothing sent."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import brotli
import pytest
import zstandard

from proxy.gateway import parse
from tests.doubles.aftermath import nothing_was_sent
from tests.doubles.formats import CHAT, FORMATS, GENERATE, MESSAGES, MODEL, RESPONSES, Format
from tests.doubles.raw_http import connected, request
from tests.doubles.running import Running, running
from tests.doubles.waiting import until

MIB = 1024 * 1024
BUDGETS = "[{name: month, limit: 1000 USD, window: month}]"
SMALL = "gateway: {body_bytes_max: 256 KiB}\n"
every_format = pytest.mark.parametrize("form", FORMATS, ids=str)


@asynccontextmanager
async def gateway(
    folder: Path, redis_url: str, organization: str, settings: str = ""
) -> AsyncIterator[Running]:
    async with running(
        folder, redis_url, organization, budgets=BUDGETS, settings=settings
    ) as bursar:
        yield bursar


async def refused(bursar: Running, form: Format, body: bytes, **headers: str) -> tuple[int, str]:
    """Send a body; return the status and the message, having checked everything around them."""
    status, got, document = await bursar.post(form.path, body, **headers)

    assert 400 <= status < 500, (status, document)
    message = form.refusal_of(document, status)
    assert got["content-type"] == "application/json"
    assert got["x-should-retry"] == "false"
    assert got["x-bursar-call-id"].startswith("call_")
    return status, message


BODIES: dict[str, Callable[[Format], bytes]] = {
    "nothing at all": lambda _: b"",
    "not JSON": lambda _: b"Hi",
    "JSON that ends early": lambda form: form.text()[:-1],
    "two documents": lambda form: form.text() + b"{}",
    "an array": lambda _: b"[]",
    "a number": lambda _: b"1",
    "null": lambda _: b"null",
    "brackets beyond every stack": lambda _: b"[" * 100_000,
    "objects beyond every stack": lambda _: b'{"model":' * 100_000,
    "messages beyond every stack": lambda form: form.text()[:-1] + b',"messages":' + b"[" * 100_000,
    "bytes that are not UTF-8": lambda form: form.text()[:-1] + b',"user":"\xff\xfe"}',
    "half a surrogate": lambda form: form.text()[:-1] + b',"user":"\xed\xa0\x80"}',
    "UTF-16": lambda form: form.text().decode().encode("utf-16"),
    "NaN": lambda form: form.text()[:-1] + b',"temperature":NaN}',
}


@every_format
async def test_a_body_that_cannot_be_read_is_refused(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    async with gateway(tmp_path, redis_url, organization) as bursar:
        for name, make in BODIES.items():
            status, message = await refused(bursar, form, make(form))

            assert (name, status, message[-1]) == (name, 400, "."), message
        await nothing_was_sent(bursar)


@every_format
async def test_an_output_limit_that_is_no_count_is_refused(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    limits: list[object] = [-1, True, "5", 1.5, [], {}, 10**30, -(10**30)]
    async with gateway(tmp_path, redis_url, organization) as bursar:
        for limit in limits:
            status, message = await refused(bursar, form, form.text(limit=limit))

            assert (limit, status, form.limit in message) == (limit, 400, True)
        await nothing_was_sent(bursar)


@pytest.mark.parametrize("form", [CHAT, RESPONSES, GENERATE], ids=str)
async def test_an_output_limit_of_nothing_is_refused(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    async with gateway(tmp_path, redis_url, organization) as bursar:
        status, message = await refused(bursar, form, form.text(limit=0))

        assert status == 400
        assert form.limit in message
        await nothing_was_sent(bursar)


async def test_messages_without_an_output_limit_are_refused(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with gateway(tmp_path, redis_url, organization) as bursar:
        status, message = await refused(bursar, MESSAGES, MESSAGES.text(limit=None))

        assert (status, "max_tokens" in message) == (400, True)
        await nothing_was_sent(bursar)


@every_format
async def test_an_absurd_output_limit_is_quoted_at_what_the_model_can_do(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    # 4096 tokens at a tenth of a cent each: the model's own ceiling fits, 10⁹ tokens never would.
    budgets = "[{name: month, limit: 4.096 USD, window: month}]"
    async with running(tmp_path, redis_url, organization, budgets=budgets) as bursar:
        status, headers, _ = await bursar.post(form.path, form.body(limit=10**9))
        await bursar.settled()

        assert status == 200
        assert headers["x-bursar-budget-remaining"] == "0 USD"
        standing = await bursar.standing("month")
        assert standing.spent == bursar.truth_output_tokens * 1_000_000
        assert (standing.reserved, standing.overrun) == (0, 0)


@pytest.mark.parametrize("form", [CHAT, GENERATE], ids=str)
async def test_a_senseless_number_of_answers_is_refused(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    numbers: list[object] = [1000, 0, -1, True, "2", 1.5]
    async with gateway(tmp_path, redis_url, organization) as bursar:
        for choices in numbers:
            status, message = await refused(bursar, form, form.text(choices=choices))

            assert (choices, status, form.choices in message) == (choices, 400, True)
        await nothing_was_sent(bursar)


@pytest.mark.parametrize("form", [CHAT, RESPONSES, MESSAGES], ids=str)
async def test_a_model_that_is_no_name_is_refused(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    names: list[object] = [None, "", "  ", 5, True, [MODEL], {"name": MODEL}, "m" * 10_000]
    async with gateway(tmp_path, redis_url, organization) as bursar:
        for model in [*names, "a\x00b", "a\nb"]:
            status, message = await refused(bursar, form, form.text(model=model))

            assert (model, status, "model" in message) == (model, 400, True)
        await nothing_was_sent(bursar)


@pytest.mark.parametrize("form", [CHAT, RESPONSES, MESSAGES], ids=str)
async def test_a_request_without_a_model_is_refused(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    document = form.body()
    del document["model"]
    async with gateway(tmp_path, redis_url, organization) as bursar:
        status, message = await refused(bursar, form, json.dumps(document).encode())

        assert (status, "model" in message) == (400, True)
        await nothing_was_sent(bursar)


@pytest.mark.parametrize("form", [CHAT, RESPONSES, MESSAGES], ids=str)
async def test_a_deciding_field_that_is_given_twice_is_refused(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    limit = b'"%s":1' % form.limit.encode()
    async with gateway(tmp_path, redis_url, organization) as bursar:
        for again in (b'"model":"acme/other"', limit, b'"m\\u006fdel":"acme/other"'):
            body = form.text()[:-1] + b"," + again + b"}"
            status, message = await refused(bursar, form, body)

            assert (again, status, "more than once" in message) == (again, 400, True)
        await nothing_was_sent(bursar)


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda body: gzip.compress(body, 9),
    "deflate": lambda body: zlib.compress(body, 9),
    "br": lambda body: bytes(brotli.compress(body, quality=5)),
    "zstd": lambda body: zstandard.ZstdCompressor().compress(body),
}


@every_format
async def test_a_bomb_is_refused_before_it_bursts(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    async with gateway(tmp_path, redis_url, organization, SMALL) as bursar:
        for encoding, pack in PACKERS.items():
            bomb = pack(b" " * (8 * MIB))
            assert len(bomb) < 64 * 1024
            status, message = await refused(bursar, form, bomb, **{"content-encoding": encoding})

            assert (encoding, status, "262144" in message) == (encoding, 413, True)
        await nothing_was_sent(bursar)


@every_format
async def test_a_body_that_is_not_packed_as_it_says_is_refused(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    async with gateway(tmp_path, redis_url, organization) as bursar:
        for encoding, pack in PACKERS.items():
            cut_short = pack(form.text(user="x" * 1000))[:-9]
            for body in (cut_short, form.text(), b"\x00"):
                headers = {"content-encoding": encoding}
                status, _ = await refused(bursar, form, body, **headers)

                assert (encoding, body, status) == (encoding, body, 400)
        await nothing_was_sent(bursar)


@every_format
async def test_a_packing_that_is_not_known_is_refused(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    async with gateway(tmp_path, redis_url, organization) as bursar:
        for encoding in ("compress", "gzip, br", "x", "gzip;q=1"):
            headers = {"content-encoding": encoding}
            status, message = await refused(bursar, form, form.text(), **headers)

            assert (encoding, status, "gzip" in message) == (encoding, 415, True)
        await nothing_was_sent(bursar)


@every_format
@pytest.mark.parametrize("chunked", [False, True], ids=["counted", "chunked"])
async def test_a_body_of_65_mebibytes_is_refused(
    tmp_path: Path, redis_url: str, organization: str, form: Format, chunked: bool
) -> None:
    async with gateway(tmp_path, redis_url, organization) as bursar:

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(65):
                yield b" " * MIB

        body = pieces() if chunked else io.BytesIO(b" " * (65 * MIB))
        async with bursar.http.post(
            bursar.url + form.path,
            data=body,
            headers={"authorization": f"Bearer {bursar.key}", "content-type": "application/json"},
        ) as answer:
            assert answer.status == 413
            assert "67108864" in form.refusal_of(await answer.json(), 413)

        await nothing_was_sent(bursar)


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
