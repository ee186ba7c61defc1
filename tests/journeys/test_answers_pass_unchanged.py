"""What passes stays as it is, in both directions: bodies byte for byte, headers but for a few."""

from __future__ import annotations

import gzip
import hashlib
import json
import time
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import brotli
import pytest
import zstandard

from proxy.simulator.server import Simulator
from tests.doubles.aftermath import books_are_closed, faults
from tests.doubles.formats import CHAT, FORMATS, MESSAGES, TOKEN_NANO_USD, Format
from tests.doubles.odd_provider import OddProvider, odd_provider, reply
from tests.doubles.raw_http import Answer, connected, request
from tests.doubles.running import Running, running

BUDGETS = "[{name: month, limit: 10 USD, window: month}]"
USED = 3 * TOKEN_NANO_USD
PROVIDER_PATHS = {
    "chat_completions": "/api/v1/chat/completions",
    "responses": "/api/v1/responses",
    "messages": "/api/anthropic/v1/messages",
    "generate_content": "/api/vertex-ai/v1/publishers/acme/models/mini:generateContent",
}
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda body: bytes(brotli.compress(body)),
    "zstd": lambda body: zstandard.ZstdCompressor().compress(body),
}
every_format = pytest.mark.parametrize("form", FORMATS, ids=str)
streamed_or_not = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@asynccontextmanager
async def before(
    provider: OddProvider, folder: Path, redis_url: str, organization: str
) -> AsyncIterator[Running]:
    """Run a gateway in front of a provider that answers with given bytes."""
    async with running(
        folder,
        redis_url,
        organization,
        budgets=BUDGETS,
        simulator=Simulator(clock=time.time),
        port=provider.port,
    ) as bursar:
        yield bursar


async def recorded(form: Format, *, stream: bool) -> bytes:
    """Return an answer as the simulated provider gives it, without a gateway in between."""
    simulator = Simulator(clock=time.time)
    simulator.add_scenario(usage={"output": 3}, chunks=3, comment_every=2)
    port = await simulator.start("127.0.0.1", 0)
    path = PROVIDER_PATHS[form.name]
    if stream and form.name == "generate_content":
        path = path.replace("generateContent", "streamGenerateContent?alt=sse")
    more = {"stream_options": {"include_usage": True}} if form is CHAT and stream else {}
    body = form.text(stream=stream, **more)
    async with connected(f"http://127.0.0.1:{port}") as client:
        await client.send(request(path, body, "sk-ai-v1-x"))
        answer = await client.answer()
    await simulator.stop()
    assert (answer.status, answer.whole) == (200, True), answer
    return answer.body


async def through(bursar: Running, form: Format, *, stream: bool, **more: object) -> Answer:
    async with connected(bursar.url) as client:
        body = form.text(stream=stream, **more)
        await client.send(request(form.path_of(stream=stream), body, bursar.key))
        return await client.answer()


async def charged(bursar: Running, nano_usd: int) -> None:
    await bursar.settled()
    standing = await bursar.standing("month")
    assert (standing.spent, standing.reserved) == (nano_usd, 0)
    assert faults(bursar) == []


def _type(stream: bool) -> str:
    return "text/event-stream; charset=utf-8" if stream else "application/json"


@every_format
@streamed_or_not
@pytest.mark.parametrize("encoding", [None, *PACKERS])
async def test_an_answer_arrives_as_it_was_sent_and_is_metered(
    tmp_path: Path,
    redis_url: str,
    organization: str,
    form: Format,
    stream: bool,
    encoding: str | None,
) -> None:
    plain = await recorded(form, stream=stream)
    body = PACKERS[encoding](plain) if encoding else plain
    headers = [f"content-type: {_type(stream)}"]
    headers += [f"content-encoding: {encoding}"] if encoding else []
    asked = {"stream_options": {"include_usage": True}} if form is CHAT and stream else {}
    async with odd_provider() as provider:
        provider.reply = reply("200 OK", body, *headers)
        async with before(provider, tmp_path, redis_url, organization) as bursar:
            answer = await through(bursar, form, stream=stream, **asked)

            assert answer.status == 200
            assert answer.body == body
            assert answer.headers.get("content-encoding") == encoding
            assert answer.headers["content-type"] == _type(stream)
            await charged(bursar, USED)


@pytest.mark.parametrize("encoding", [None, *PACKERS])
async def test_a_chat_stream_lacks_nothing_but_the_usage_that_was_not_asked_for(
    tmp_path: Path, redis_url: str, organization: str, encoding: str | None
) -> None:
    plain = await recorded(CHAT, stream=True)
    events = plain.split(b"\n\n")
    without = b"\n\n".join(event for event in events if b'"choices":[]' not in event)
    # A client that did not ask for usage gets no `"usage":null` either.
    without = without.replace(b',"usage":null', b"")
    assert len(without) < len(plain)
    body = PACKERS[encoding](plain) if encoding else plain
    headers = [f"content-encoding: {encoding}"] if encoding else []
    async with odd_provider() as provider:
        provider.reply = reply("200 OK", body, f"content-type: {_type(True)}", *headers)
        async with before(provider, tmp_path, redis_url, organization) as bursar:
            answer = await through(bursar, CHAT, stream=True)

            assert "content-encoding" not in answer.headers
            assert answer.body == without
            (sent,) = provider.requests
            assert b'"include_usage":true' in sent
            await charged(bursar, USED)


@every_format
@pytest.mark.parametrize("size", [1, 3, 64])
async def test_the_pieces_in_which_a_stream_comes_make_no_difference(
    tmp_path: Path, redis_url: str, organization: str, form: Format, size: int
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        bursar.scenario(usage={"output": 3}, chunks=3, comment_every=1, split_bytes=size)
        answer = await through(bursar, form, stream=True)

        assert answer.whole
        assert answer.body.count(b": ZENMUX PROCESSING\n\n") >= 3
        await books_are_closed(bursar, spent=USED)


async def test_an_encoding_that_nobody_knows_is_passed_on_and_charged_as_reserved(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with odd_provider() as provider:
        body = b"\x00\x01\x02 something of the future"
        kind = ("content-type: text/event-stream", "content-encoding: future")
        provider.reply = reply("200 OK", body, *kind)
        async with before(provider, tmp_path, redis_url, organization) as bursar:
            answer = await through(bursar, MESSAGES, stream=True)

            assert (answer.status, answer.body) == (200, body)
            assert answer.headers["content-encoding"] == "future"
            await charged(bursar, 10 * TOKEN_NANO_USD)


@every_format
async def test_a_request_goes_on_byte_for_byte(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    document = form.body(metadata={"user_id": "größer 👀 \u2028"})
    bodies = [
        json.dumps(document, indent=3).encode(),
        json.dumps(document, ensure_ascii=False).encode(),
        b" \r\n\t" + json.dumps(document, sort_keys=True).encode() + b"\n\n",
    ]
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        bursar.scenario(usage={"output": 1})
        for body in bodies:
            status, _, answer = await bursar.post(form.path, body)
            assert status == 200, answer

        told = [call.body_sha256 for call in bursar.simulator.calls]
        assert told == [hashlib.sha256(body).hexdigest() for body in bodies]


@every_format
@pytest.mark.parametrize("encoding", PACKERS)
async def test_a_compressed_request_goes_on_compressed(
    tmp_path: Path, redis_url: str, organization: str, form: Format, encoding: str
) -> None:
    body = PACKERS[encoding](form.text())
    async with odd_provider() as provider:
        provider.reply = reply("400 Bad Request", b"{}")
        async with before(provider, tmp_path, redis_url, organization) as bursar:
            await bursar.post(form.path, body, **{"content-encoding": encoding})

            (sent,) = provider.requests
            head, _, sent_body = sent.partition(b"\r\n\r\n")
            assert sent_body == body
            assert f"content-encoding: {encoding}".encode() in head.lower()
            await charged(bursar, 0)


PASSED_ON = {
    "anthropic-version": "2026-10-21",
    "anthropic-beta": "a-2026-01-01,b-2026-02-02",
    "anthropic-workspace-id": "ws",
    "openai-organization": "org",
    "openai-project": "proj",
    "openai-beta": "responses=v1",
    "idempotency-key": "once",
    "x-goog-api-client": "genai-py/2",
    "x-goog-user-project": "p",
    "x-goog-request-params": "model=x",
    "x-client-request-id": "c1",
    "session-id": "s1",
    "x-codex-turn-metadata": "x" * 800,
    "originator": "codex_cli_rs",
    "x-app": "cli",
    "x-claude-code-session-id": "s2",
    "user-agent": "agent/1.0",
    "x-stainless-retry-count": "1",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "accept": "application/json",
    "x-something-new": "kept",
}
KEPT_BACK = {
    "cookie": "session=secret",
    "connection": "x-only-here, close",
    "x-only-here": "hop",
    "keep-alive": "timeout=5",
    "proxy-authorization": "Basic YTpi",
    "proxy-connection": "keep-alive",
    "te": "trailers",
    "trailer": "x-t",
    "x-forwarded-for": "10.0.0.7",
    "x-forwarded-host": "inside",
    "forwarded": "for=10.0.0.7",
    "x-real-ip": "10.0.0.7",
    "via": "1.1 inside",
    "x-bursar-session": "mine",
    "x-http-method-override": "GET",
    "x-goog-fieldmask": "candidates",
    "x-payment": "wallet",
}


@every_format
async def test_headers_of_a_request_pass_or_stop(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        lines = [f"{name}: {value}" for name, value in (PASSED_ON | KEPT_BACK).items()]
        lines.append("accept-encoding: gzip, deflate, br, zstd")
        async with connected(bursar.url) as client:
            await client.send(request(form.path, form.text(), bursar.key, *lines))
            assert (await client.answer()).status == 200

        (call,) = bursar.simulator.calls
        got = dict(call.headers)
        assert {name: got.get(name) for name in PASSED_ON} == PASSED_ON
        stopped = KEPT_BACK.keys() - {"connection"}
        assert stopped & got.keys() == set()
        assert (got["accept-encoding"], got["content-type"]) == ("identity", "application/json")
        assert "bursar" not in got["host"]


ANSWERED = {
    "x-request-id": "req_1",
    "request-id": "req_2",
    "x-ratelimit-remaining-requests": "9",
    "anthropic-ratelimit-tokens-remaining": "5",
    "retry-after": "3",
    "x-should-retry": "true",
    "openai-processing-ms": "12",
    "etag": '"abc"',
    "cf-ray": "8f",
    "server-timing": "a;dur=1",
    "x-generation-id": "gen_1",
    "x-something-new": "kept",
}
HELD_BACK = {
    "set-cookie": "__cf_bm=secret",
    "alt-svc": 'h3=":443"',
    "strict-transport-security": "max-age=1",
    "connection": "close, x-only-here",
    "x-only-here": "hop",
    "keep-alive": "timeout=5",
    "proxy-authenticate": "Basic",
    "x-bursar-budget": "forged",
}


@pytest.mark.parametrize("status", ["200 OK", "429 Too Many Requests"])
async def test_headers_of_an_answer_pass_or_stop(
    tmp_path: Path, redis_url: str, organization: str, status: str
) -> None:
    async with odd_provider() as provider:
        lines = [f"{name}: {value}" for name, value in (ANSWERED | HELD_BACK).items()]
        provider.reply = reply(status, b'{"error": {"message": "no"}}', *lines)
        async with before(provider, tmp_path, redis_url, organization) as bursar:
            answer = await through(bursar, MESSAGES, stream=False)

            assert {name: answer.headers.get(name) for name in ANSWERED} == ANSWERED
            stopped = HELD_BACK.keys() - {"connection", "keep-alive", "x-bursar-budget"}
            assert stopped & answer.headers.keys() == set()
            assert answer.headers["x-bursar-budget"] == "month"
            assert answer.headers["x-accel-buffering"] == "no"
            await charged(bursar, 0)


async def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        whole = request(CHAT.path, CHAT.text(), bursar.key, "expect: 100-continue")
        head, _, body = whole.partition(b"\r\n\r\n")
        async with connected(bursar.url) as client:
            await client.send(head + b"\r\n\r\n")
            assert (await client.head()).status == 100
            await client.send(body)
            answer = await client.answer()

        assert (answer.status, answer.whole) == (200, True)
        (call,) = bursar.simulator.calls
        assert "expect" not in dict(call.headers)


async def test_a_client_of_http_1_0_gets_its_answer(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        bursar.scenario(usage={"output": 3})
        for stream in (False, True):
            whole = request(MESSAGES.path, MESSAGES.text(stream=stream), bursar.key)
            async with connected(bursar.url) as client:
                await client.send(whole.replace(b"HTTP/1.1", b"HTTP/1.0"))
                answer = await client.answer()

            assert answer.status == 200
            assert "transfer-encoding" not in answer.headers
            assert answer.body
        await books_are_closed(bursar, spent=2 * USED)


async def test_requests_that_are_sent_in_a_row_are_answered_in_order(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        limits = (1, 2, 3, 4, 5)
        row = b"".join(request(CHAT.path, CHAT.text(limit=n), bursar.key) for n in limits)
        async with connected(bursar.url) as client:
            await client.send(row)
            answers = [await client.answer() for _ in limits]

        used = [answer.document["usage"]["completion_tokens"] for answer in answers]
        assert used == list(limits)
        await books_are_closed(bursar, spent=sum(limits) * TOKEN_NANO_USD)


@pytest.mark.parametrize("encoding", PACKERS)
async def test_a_compressed_request_that_is_changed_goes_on_plain(
    tmp_path: Path, redis_url: str, organization: str, encoding: str
) -> None:
    body = PACKERS[encoding](CHAT.text(stream=True))
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        bursar.scenario(usage={"output": 3})
        status, _, raw = await bursar.post(CHAT.path, body, **{"content-encoding": encoding})

        assert (status, b"[DONE]" in raw) == (200, True)
        (call,) = bursar.simulator.calls
        assert "content-encoding" not in dict(call.headers)
        await books_are_closed(bursar, spent=USED)


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "br", "deflate"])
async def test_what_follows_a_compressed_body_is_not_smuggled_past_the_quote(
    tmp_path: Path, redis_url: str, organization: str, encoding: str
) -> None:
    # Some servers unpack all of several members, some the first alone: they would read two requests.
    small, large = CHAT.text(limit=1), CHAT.text(limit=4000)
    body = PACKERS[encoding](small + b" " * 4) + PACKERS[encoding](large)
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        status, _, _ = await bursar.post(CHAT.path, body, **{"content-encoding": encoding})

        assert status == 400
        assert bursar.simulator.calls == []
