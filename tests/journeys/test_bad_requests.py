"""Requests that are wrong: one clear error in the caller's dialect, nothing reserved, nothing sent."""

from __future__ import annotations

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

from tests.doubles.aftermath import nothing_was_sent
from tests.doubles.formats import CHAT, FORMATS, GENERATE, MESSAGES, MODEL, RESPONSES, Format
from tests.doubles.running import Running, running

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
