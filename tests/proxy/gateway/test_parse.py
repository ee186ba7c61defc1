"""Reading requests: within bounds however they are packed, and refused where they cannot be read."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import brotli
import pytest
import zstandard
from aiohttp import web

from proxy.dialects.interface import ErrorKind, ParsedRequest
from proxy.dialects.registry import DIALECTS
from proxy.gateway import intake
from proxy.gateway import parse as parsing
from proxy.gateway.call import Refusal
from proxy.gateway.intake import Intake, Share
from proxy.gateway.parse import decompressed, parse, read_body
from tests.doubles.calls import body_of, endpoint
from tests.doubles.raw_http import RawClient, connected
from tests.doubles.serving import serving

BYTES_MAX = 1_000
PLAIN = body_of(padding="x" * 400)
Pack = Callable[[bytes], bytes]
PACKERS: dict[str, Pack] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda plain: brotli.compress(plain, quality=5),
    "zstd": zstandard.compress,
}
packers = pytest.mark.parametrize(("encoding", "pack"), PACKERS.items())


def refusal(found: object, status: int) -> Refusal:
    assert isinstance(found, Refusal), found
    assert found.status == status
    return found


# Unpacking…


@packers
def test_a_packed_body_is_unpacked(encoding: str, pack: Pack) -> None:
    assert decompressed(pack(PLAIN), encoding, BYTES_MAX) == PLAIN
    assert decompressed(pack(PLAIN), f" {encoding.upper()} ", BYTES_MAX) == PLAIN


@pytest.mark.parametrize("encoding", ["", "identity", " Identity "])
def test_a_body_that_is_not_packed_is_the_same_object(encoding: str) -> None:
    assert decompressed(PLAIN, encoding, BYTES_MAX) is PLAIN


@packers
def test_a_body_may_unpack_to_the_bound_and_not_beyond(encoding: str, pack: Pack) -> None:
    assert decompressed(pack(b"x" * BYTES_MAX), encoding, BYTES_MAX) == b"x" * BYTES_MAX

    found = decompressed(pack(b"x" * (BYTES_MAX + 1)), encoding, BYTES_MAX)

    assert refusal(found, 413).kind is ErrorKind.BODY_TOO_LARGE


def test_a_large_body_is_unpacked_in_as_many_steps_as_it_takes() -> None:
    plain = bytes(range(256)) * 2**16

    for encoding, pack in PACKERS.items():
        assert decompressed(pack(plain), encoding, 2**24) == plain


@packers
def test_a_bomb_is_refused_on_the_way(encoding: str, pack: Pack) -> None:
    bomb = pack(b"0" * 2**24)

    assert len(bomb) < 2**16
    refusal(decompressed(bomb, encoding, BYTES_MAX), 413)


@packers
@pytest.mark.parametrize("keep", [0, 0.5, -1], ids=["nothing", "half", "all but one byte"])
def test_a_body_that_is_not_whole_is_refused(encoding: str, pack: Pack, keep: float) -> None:
    packed = pack(PLAIN)
    cut = packed[: int(len(packed) * keep)] if keep >= 0 else packed[:-1]

    found = decompressed(cut, encoding, BYTES_MAX)

    if encoding == "zstd" and isinstance(found, bytes):
        # Its reader does not tell; what is missing is missed when the JSON is read.
        assert found != PLAIN
        refusal(parse(found, endpoint(), DIALECTS["chat_completions"]), 400)
    else:
        assert f"not valid {encoding}" in refusal(found, 400).message


@packers
def test_what_is_not_packed_at_all_is_refused(encoding: str, pack: Pack) -> None:
    refusal(decompressed(b"{}", encoding, BYTES_MAX), 400)


@packers
def test_nothing_may_hide_behind_the_end(encoding: str, pack: Pack) -> None:
    """What a provider reads there, and this proxy does not, would be sent past every budget."""
    for behind in (b"junk", pack(b'{"max_tokens": 9}')):
        found = decompressed(pack(PLAIN) + behind, encoding, BYTES_MAX)

        if isinstance(found, bytes):
            assert found == PLAIN + b'{"max_tokens": 9}'
        else:
            refusal(found, 400)


@pytest.mark.parametrize("encoding", ["compress", "gzip, br", "gzip,gzip", "snappy"])
def test_an_encoding_that_is_not_known_is_named(encoding: str) -> None:
    found = refusal(decompressed(PLAIN, encoding, BYTES_MAX), 415)

    assert f"'{encoding}'" in found.message


# Understanding…


def test_a_request_is_understood() -> None:
    found = parse(body_of(max_tokens=7), endpoint(), DIALECTS["chat_completions"])

    assert isinstance(found, ParsedRequest)
    assert found.demand.output_limit == 7


def test_the_path_may_name_the_model_and_ask_for_a_stream() -> None:
    at = endpoint("/v1beta/models/gemini-pro:streamGenerateContent")

    found = parse(b'{"contents":[]}', at, DIALECTS["generate_content"])

    assert isinstance(found, ParsedRequest)
    assert (found.model, found.stream) == ("gemini-pro", True)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"model": 1}', b"\xff", b"[" * 100_000])
def test_what_cannot_be_understood_is_refused(body: bytes) -> None:
    found = refusal(parse(body, endpoint(), DIALECTS["chat_completions"]), 400)

    assert found.kind is ErrorKind.MALFORMED
    assert found.message


def test_the_field_that_is_wrong_is_named() -> None:
    found = parse(body_of(max_tokens=-1), endpoint(), DIALECTS["chat_completions"])

    assert refusal(found, 400).param == "max_tokens"


@pytest.mark.parametrize(
    ("content_type", "understood"),
    [
        ("application/json", True),
        ("application/json; charset=utf-8", True),
        ('application/json; CHARSET="UTF8"', True),
        ("application/json;charset=us-ascii", True),
        ("application/json; charset=utf-16", False),
        ("application/json; charset=utf-7", False),
    ],
)
def test_text_is_utf_8_or_is_not_understood(content_type: str, understood: bool) -> None:
    headers = {"content-type": content_type}

    found = parse(body_of(), endpoint(), DIALECTS["chat_completions"], headers)

    if understood:
        assert isinstance(found, ParsedRequest)
    else:
        assert refusal(found, 415).kind is ErrorKind.MALFORMED


@pytest.mark.parametrize(
    ("fields", "tier"), [({}, "priority"), ({"service_tier": "flex"}, "flex")], ids=str
)
def test_a_header_may_name_the_tier_that_the_body_does_not(
    fields: dict[str, str], tier: str
) -> None:
    headers = {"x-vertex-ai-llm-shared-request-type": "priority"}

    found = parse(body_of(**fields), endpoint(), DIALECTS["chat_completions"], headers)

    assert isinstance(found, ParsedRequest)
    assert found.demand.service_tier == tier


# Receiving…


@asynccontextmanager
async def receiving(
    share: Share | None = None,
) -> AsyncIterator[tuple[RawClient, list[bytes | Refusal | str]]]:
    """A client, and what a server reads of its requests."""
    found: list[bytes | Refusal | str] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        try:
            found.append(await read_body(request, BYTES_MAX, share))
        except ConnectionError as error:
            found.append(type(error).__name__)
        return web.Response()

    async with serving(handler) as url, connected(url) as client:
        yield client, found


def head(*lines: str) -> bytes:
    return "\r\n".join(["POST / HTTP/1.1", "Host: x", *lines, "", ""]).encode()


async def test_a_body_is_read_as_it_came() -> None:
    async with receiving() as (client, found):
        await client.send(head("Content-Length: 4") + b"\x00\x01")
        await client.send(b"\x02\x03")
        await client.head()

    assert found == [b"\x00\x01\x02\x03"]


async def test_no_body_is_an_empty_one() -> None:
    async with receiving() as (client, found):
        await client.send(head("Content-Length: 0"))
        await client.head()

    assert found == [b""]


async def test_a_packed_body_stays_packed() -> None:
    packed = gzip.compress(PLAIN)
    async with receiving() as (client, found):
        await client.send(head(f"Content-Length: {len(packed)}", "Content-Encoding: gzip") + packed)
        await client.head()

    assert found == [packed]


async def test_a_body_that_says_that_it_is_too_long_is_not_read() -> None:
    async with receiving() as (client, found):
        await client.send(head(f"Content-Length: {BYTES_MAX + 1}"))
        await client.head()

    assert refusal(found[0], 413).kind is ErrorKind.BODY_TOO_LARGE


async def test_a_body_without_a_length_is_read_up_to_the_bound() -> None:
    async with receiving() as (client, found):
        await client.send(head("Transfer-Encoding: chunked"))
        for size in (BYTES_MAX, 1):
            await client.send(f"{size:x}\r\n".encode() + b"x" * size + b"\r\n")
        await client.head()

    refusal(found[0], 413)


async def test_a_client_that_waits_to_be_asked_for_its_body_is_asked() -> None:
    async with receiving() as (client, found):
        await client.send(head("Content-Length: 2", "Expect: 100-Continue"))
        interim = await client.head()
        await client.send(b"{}")
        final = await client.head()

    assert (interim.status, final.status, found) == (100, 200, [b"{}"])


async def test_a_client_that_takes_too_long_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "PATIENCE_S", 0.0)
    async with receiving() as (client, found):
        await client.send(head("Content-Length: 2") + b"{")
        await client.head()

    refusal(found[0], 408)


async def test_a_key_with_too_many_bodies_on_their_way_is_told_to_wait() -> None:
    async with receiving(Share(Intake(), admitted=False)) as (client, found):
        await client.send(head("Content-Length: 2") + b"{}")
        await client.head()

    assert refusal(found[0], 503).kind is ErrorKind.OVERLOADED


async def test_a_worker_holds_only_so_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "BYTES_MAX", 3)
    share = Share(Intake(), admitted=True)
    async with receiving(share) as (client, found):
        await client.send(head("Content-Length: 2") + b"{}")
        await client.head()
        await client.send(head("Content-Length: 2") + b"{}")
        await client.head()

    assert found[0] == b"{}"
    assert refusal(found[1], 503).kind is ErrorKind.OVERLOADED
    assert share.taken == 2
