"""Metering in passing: whatever an answer is packed in, and whatever is taken out of it."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from typing import Any

import brotli
import pytest
import zstandard

from policies.usage import Exact, Unknown
from proxy.dialects.interface import Reading
from proxy.gateway.meter import Metering, meter_answer
from tests.doubles.calls import quoted

Pack = Callable[[bytes], bytes]
PACKERS: dict[str, Pack] = {
    "": bytes,
    "identity": bytes,
    "unheard-of": bytes,
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
    " GZIP ": gzip.compress,
}
PACKED = {name: pack for name, pack in PACKERS.items() if pack is not bytes}

BODY = (
    b'{"id":"chatcmpl-1","model":"acme/mini","choices":[{"message":{"content":"Hi"}}],'
    b'"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}'
)
HELLO = b'data: {"id":"chatcmpl-1","choices":[{"delta":{"content":"Hi"}}]}\n\n'
USAGE = (
    b'data: {"id":"chatcmpl-1","choices":[],'
    b'"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}\n\n'
)
DONE = b"data: [DONE]\n\n"
STREAM = HELLO + USAGE + DONE


def metering(encoding: str, *, stream: bool = False, strips: bool = False) -> Metering:
    options: dict[str, Any] = {} if strips else {"stream_options": {"include_usage": True}}
    call = quoted(stream=True, **options) if stream else quoted()
    assert call.strip_usage is strips
    kind = "text/event-stream" if stream else "application/json"
    return meter_answer(call, {"content-type": kind, "content-encoding": encoding})


def tokens(reading: Reading) -> tuple[int, int] | None:
    if not isinstance(reading.metered, Exact):
        return None
    (line,) = reading.metered.lines
    return line.usage.input_tokens, line.usage.output_tokens


@pytest.mark.parametrize(("encoding", "pack"), PACKERS.items())
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_body_is_metered_however_it_is_packed_and_relayed_as_it_came(
    encoding: str, pack: Pack, size: int
) -> None:
    watched, packed = metering(encoding), pack(BODY)

    relayed = b"".join(
        watched.feed(packed[start : start + size]) for start in range(0, len(packed), size)
    )

    assert relayed + watched.flush() == packed
    assert tokens(watched.finish()) == (7, 3)


@pytest.mark.parametrize(("encoding", "pack"), PACKERS.items())
def test_a_stream_shows_its_id_and_its_end_on_the_way(encoding: str, pack: Pack) -> None:
    watched, packed = metering(encoding, stream=True), pack(STREAM)
    assert watched.generation_id is None
    assert not watched.terminal

    watched.feed(packed)

    assert watched.generation_id == "chatcmpl-1"
    assert watched.terminal
    assert tokens(watched.finish()) == (7, 3)


@pytest.mark.parametrize(("encoding", "pack"), PACKERS.items())
def test_what_was_asked_for_on_the_clients_behalf_is_taken_out_unpacked(
    encoding: str, pack: Pack
) -> None:
    watched = metering(encoding, stream=True, strips=True)

    relayed = watched.feed(pack(STREAM)) + watched.flush()

    assert relayed == HELLO + DONE
    assert not watched.compressed
    assert tokens(watched.finish()) == (7, 3)


@pytest.mark.parametrize(("encoding", "pack"), PACKERS.items())
def test_nothing_can_be_added_to_what_is_packed(encoding: str, pack: Pack) -> None:
    assert metering(encoding, stream=True).compressed is (pack is not bytes)


@pytest.mark.parametrize("encoding", PACKED)
def test_what_cannot_be_unpacked_is_relayed_and_unknown(encoding: str) -> None:
    watched = metering(encoding)
    garbage = [b"\x00garbage", b"and more"]

    assert [watched.feed(piece) for piece in garbage] == garbage
    assert isinstance(watched.finish().metered, Unknown)


@pytest.mark.parametrize("encoding", PACKED)
def test_a_client_that_was_promised_plain_text_gets_no_garbage(encoding: str) -> None:
    watched = metering(encoding, stream=True, strips=True)

    assert [watched.feed(piece) for piece in (b"\x00garbage", b"and more")] == [b"", b""]
    assert isinstance(watched.finish().metered, Unknown)


@pytest.mark.parametrize(("encoding", "pack"), PACKED.items())
def test_a_packed_body_that_was_cut_is_unknown(encoding: str, pack: Pack) -> None:
    watched = metering(encoding)

    watched.feed(pack(BODY)[:40])

    assert isinstance(watched.finish().metered, Unknown)


def test_without_headers_the_request_decides_what_the_answer_is() -> None:
    watched = meter_answer(quoted(), {})
    watched.feed(BODY)

    assert tokens(watched.finish()) == (7, 3)
