"""Providers that refuse, fail or are not there: passed on in full, charged only where money may be spent."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from proxy.simulator.server import Simulator
from tests.doubles.aftermath import books_are_closed, faults, kinds, pending
from tests.doubles.formats import CHAT, FORMATS, MESSAGES, TOKEN_NANO_USD, Format
from tests.doubles.odd_provider import OddProvider, odd_provider, reply
from tests.doubles.running import Running, running

BUDGETS = "[{name: month, limit: 10 USD, window: month}]"
RESERVED = 10 * TOKEN_NANO_USD
every_format = pytest.mark.parametrize("form", FORMATS, ids=str)
streamed_or_not = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@asynccontextmanager
async def before(
    provider: OddProvider, folder: Path, redis_url: str, organization: str, settings: str = ""
) -> AsyncIterator[Running]:
    """Run a gateway in front of an odd provider."""
    async with running(
        folder,
        redis_url,
        organization,
        budgets=BUDGETS,
        settings=settings,
        provider="kind: openai",
        simulator=Simulator(clock=time.time),
        port=provider.port,
    ) as bursar:
        yield bursar


async def charged(bursar: Running, nano_usd: int) -> None:
    """Insist that nothing is in flight and so much was spent; the provider answers nothing else."""
    await bursar.settled()
    standing = await bursar.standing("month")
    assert (standing.spent, standing.reserved) == (nano_usd, 0)
    assert await pending(bursar) == []
    assert faults(bursar) == []


@every_format
@streamed_or_not
async def test_a_refusal_is_passed_on_in_full_and_costs_nothing(
    tmp_path: Path, redis_url: str, organization: str, form: Format, stream: bool
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        # 402 is the last one: it closes the account for those that follow.
        for status in (400, 401, 403, 404, 409, 413, 422, 429, 500, 502, 503, 529, 402):
            text = f'{{"error": {{"message": "No, {status}."}}}}'
            bursar.scenario(
                status=status, error_body=text, headers={"x-reason": "said so"}, retry_after="7"
            )
            got, headers, document = await bursar.post(
                form.path_of(stream=stream), form.body(stream=stream)
            )

            assert (got, document) == (status, {"error": {"message": f"No, {status}."}})
            assert (headers["retry-after"], headers["x-reason"]) == ("7", "said so")
            assert headers["content-type"] == "application/json"
            assert headers["x-bursar-call-id"]

        await books_are_closed(bursar, spent=0, account_is_closed=True)
        assert (await kinds(bursar))["release"] == 13


@every_format
@pytest.mark.parametrize("status", [408, 499, 504, 520, 522, 524])
async def test_a_status_that_leaves_open_what_was_done_is_charged_as_reserved(
    tmp_path: Path, redis_url: str, organization: str, form: Format, status: int
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        bursar.scenario(status=status)
        got, _, _ = await bursar.post(form.path, form.body())

        assert got == status
        await books_are_closed(bursar, spent=RESERVED)


@every_format
async def test_a_quota_of_ours_that_ran_out_is_noticed(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    error = {"type": "quote_exceeded", "message": "5-hour quota used up."}
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        bursar.scenario(status=402, error=error)
        status, headers, document = await bursar.post(form.path, form.body())

        assert (status, document["error"]["type"]) == (402, "quote_exceeded")
        # It is the provider's, and no decision of ours.
        assert "x-bursar-decision" not in headers
        assert ("provider_refused", "quota") in [
            (event["event"], event.get("reason")) for event in bursar.logs
        ]
        await books_are_closed(bursar, spent=0, account_is_closed=True)


@every_format
@streamed_or_not
async def test_a_provider_that_is_not_there_costs_nothing(
    tmp_path: Path, redis_url: str, organization: str, form: Format, stream: bool
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        await bursar.simulator.stop()
        status, headers, document = await bursar.post(
            form.path_of(stream=stream), form.body(stream=stream)
        )

        assert status == 502
        assert "cannot be reached" in form.refusal_of(document, 502)
        assert "x-should-retry" not in headers
        await bursar.simulator.start("127.0.0.1", int(bursar.simulator_url.rpartition(":")[2]))
        await books_are_closed(bursar, spent=0)
        assert (await kinds(bursar))["release"] == 1


@every_format
@streamed_or_not
async def test_an_error_inside_of_a_200_costs_nothing(
    tmp_path: Path, redis_url: str, organization: str, form: Format, stream: bool
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        bursar.scenario(body_error_200=True, error={"message": "Upstream is out of order."})
        status, _, document = await bursar.post(
            form.path_of(stream=stream), form.body(stream=stream)
        )

        assert (status, document["error"]["message"]) == (200, "Upstream is out of order.")
        await books_are_closed(bursar, spent=0)


@pytest.mark.parametrize("status", [200, 502], ids=["as an answer", "as an error"])
async def test_a_page_of_html_is_passed_on(
    tmp_path: Path, redis_url: str, organization: str, status: int
) -> None:
    page = "<html><h1>Bad Gateway</h1></html>"
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        bursar.scenario(
            **({"body_error_200": True} if status == 200 else {"status": status}),
            error_body=page,
            headers={"content-type": "text/html"},
        )
        got, headers, raw = await bursar.chat(max_tokens=10)

        assert (got, headers["content-type"], raw) == (status, "text/html", page.encode())
        # What a page with status 200 cost is anybody's guess.
        await books_are_closed(bursar, spent=RESERVED if status == 200 else 0)


async def test_a_long_error_is_passed_on_whole(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        bursar.scenario(status=500, error_body="x" * 2_000_000)
        status, _, raw = await bursar.chat()

        assert (status, raw) == (500, b"x" * 2_000_000)
        await books_are_closed(bursar, spent=0)


async def test_an_endless_error_is_cut(tmp_path: Path, redis_url: str, organization: str) -> None:
    endless = b"HTTP/1.1 500 No\r\ntransfer-encoding: chunked\r\n\r\n"
    endless += (b"100000\r\n" + b"x" * 0x100000 + b"\r\n") * 20
    async with odd_provider() as provider:
        provider.reply = endless
        async with before(provider, tmp_path, redis_url, organization) as bursar:
            status, _, raw = await bursar.chat()

            assert status == 500
            assert 8 * 2**20 <= len(raw) < 10 * 2**20
            await charged(bursar, 0)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_neither_followed_nor_passed_on(
    tmp_path: Path, redis_url: str, organization: str, status: str
) -> None:
    # An SDK would follow it, past every budget, and with the key that was meant for this proxy.
    async with odd_provider() as elsewhere, odd_provider() as provider:
        location = f"location: http://127.0.0.1:{elsewhere.port}/v1/chat/completions"
        provider.reply = reply(status, b"", location)
        async with before(provider, tmp_path, redis_url, organization) as bursar:
            got, headers, document = await bursar.post(CHAT.path, CHAT.body())

            assert got == 502
            assert "redirect" in CHAT.refusal_of(document, 502)
            assert "location" not in headers
            assert elsewhere.requests == []
            await charged(bursar, 0)


NONSENSE = {
    "nothing": b"",
    "no HTTP": b"Hi there\r\n\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\ncontent-ty",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
    "a header of 100 KiB": b"HTTP/1.1 200 OK\r\nx: " + b"x" * 100 * 1024 + b"\r\n\r\n",
}


@pytest.mark.parametrize("raw", NONSENSE.values(), ids=NONSENSE)
async def test_an_answer_that_is_none_is_charged_as_reserved(
    tmp_path: Path, redis_url: str, organization: str, raw: bytes
) -> None:
    async with odd_provider() as provider:
        provider.reply = raw
        async with before(provider, tmp_path, redis_url, organization) as bursar:
            status, _, document = await bursar.chat(max_tokens=10)

            assert status == 502
            assert "broke off" in CHAT.refusal_of(document, 502)
            await charged(bursar, RESERVED)


EMPTY = {
    "no content": reply("204 No Content", b""),
    "an empty body": reply("200 OK", b"", "content-type: application/json"),
    "an empty object": reply("200 OK", b"{}", "content-type: application/json"),
    "a body that says too long": b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{}",
    "a body without an end": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{",
}


@pytest.mark.parametrize("raw", EMPTY.values(), ids=EMPTY)
async def test_an_answer_that_says_nothing_is_charged_as_reserved(
    tmp_path: Path, redis_url: str, organization: str, raw: bytes
) -> None:
    async with odd_provider() as provider:
        provider.reply = raw
        async with before(provider, tmp_path, redis_url, organization) as bursar:
            try:
                status, _, _ = await bursar.chat(max_tokens=10)
            except aiohttp.ClientError:
                status = 200  # It was cut, and the client saw that it was.

            assert status in {200, 204}
            await charged(bursar, RESERVED)


async def test_numbers_that_no_provider_means_do_not_become_money(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    strange = ("-5", "1e99", "99999999999999999999999999", '"7"', "null", "true", "1.5", "[]", "{}")
    async with (
        odd_provider() as provider,
        before(provider, tmp_path, redis_url, organization) as bursar,
    ):
        for number in strange:
            usage = f'"usage":{{"prompt_tokens":1,"completion_tokens":{number}}}'
            body = f'{{"id":"x","choices":[{{"message":{{}}}}],{usage}}}'.encode()
            provider.reply = reply("200 OK", body, "content-type: application/json")
            status, _, _ = await bursar.chat(max_tokens=10)
            assert status == 200, number

        await bursar.settled()
        standing = await bursar.standing("month")
        assert 0 <= standing.spent <= len(strange) * RESERVED
        assert (standing.reserved, standing.overrun) == (0, 0)
        assert faults(bursar) == []


async def test_usage_beyond_the_reservation_is_an_overrun_and_is_charged(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        bursar.scenario(usage={"output": 25})
        status, _, _ = await bursar.post(MESSAGES.path, MESSAGES.body())
        await bursar.settled()

        assert status == 200
        standing = await bursar.standing("month")
        assert (standing.spent, standing.overrun) == (25 * TOKEN_NANO_USD, 15 * TOKEN_NANO_USD)
        await books_are_closed(bursar, spent=25 * TOKEN_NANO_USD)
