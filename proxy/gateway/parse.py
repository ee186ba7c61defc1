"""Reading a request: its body within bounds, decompressed within bounds, and what it asks for."""

from __future__ import annotations

import asyncio
import io
import re
import zlib
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import brotli
import zstandard
from aiohttp import web

from proxy.dialects.endpoints import Endpoint
from proxy.dialects.interface import Dialect, ErrorKind, MalformedRequest, ParsedRequest
from proxy.gateway.call import Refusal
from proxy.gateway.intake import Share

# 64 MiB at 1 Mbit/s take nine minutes; a client that is slower holds a connection for nothing.
PATIENCE_S: Final = 600.0
# Vertex takes the tier, which sets the price, from a header (protocols.md, B).
TIER_HEADER: Final = "x-vertex-ai-llm-shared-request-type"
NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_CHARSET: Final = re.compile(r"charset\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)


async def read_body(
    request: web.BaseRequest, bytes_max: int, share: Share | None = None
) -> bytes | Refusal:
    """Return the body as it came.

    Args:
        request: whose body it is.
        bytes_max: a larger one is refused.
        share: what the body may take of the worker's memory together with others.

    Raises:
        ConnectionError: the client went away before its body was here.
    """
    if (request.content_length or 0) > bytes_max:
        return too_large(bytes_max)
    if share is not None and not share.admitted:
        return _overloaded("this key has too many requests on their way in")
    if request.headers.get("expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # What was written is no part of the answer yet.
        request.writer.output_size = 0
    pieces, size = [], 0
    try:
        async with asyncio.timeout(PATIENCE_S):
            while piece := await request.content.readany():
                size += len(piece)
                if size > bytes_max:
                    return too_large(bytes_max)
                if share is not None and not share.take(len(piece)):
                    return _overloaded("too many large bodies are on their way in")
                pieces.append(piece)
    except TimeoutError:
        return _malformed(
            f"the body was not here after {PATIENCE_S:.0f} s: send it whole", status=408
        )
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def decompressed(body: bytes, encoding: str, bytes_max: int) -> bytes | Refusal:
    """Return the body unpacked; a small one that unpacks beyond the bound is refused on the way."""
    try:
        match encoding.strip().lower():
            case "" | "identity":
                return body
            case "gzip" | "x-gzip":
                plain = _inflate(body, 16 + zlib.MAX_WBITS, bytes_max)
            case "deflate":
                plain = _inflate(body, zlib.MAX_WBITS, bytes_max)
            case "br":
                plain = _unbrotli(body, bytes_max)
            case "zstd":
                plain = _unzstd(body, bytes_max)
            case other:
                return _malformed(
                    f"Content-Encoding '{other}' is not supported: use gzip, deflate, br or zstd, or none",
                    status=415,
                )
    except (zlib.error, brotli.error, zstandard.ZstdError, EOFError):
        return _malformed(f"the body is not valid {encoding}: send it whole, or uncompressed")
    return too_large(bytes_max) if plain is None else plain


def parse(
    plain_body: bytes,
    endpoint: Endpoint,
    dialect: Dialect,
    headers: Mapping[str, str] = NO_HEADERS,
) -> ParsedRequest | Refusal:
    """Return what a request asks for, or what is wrong with it."""
    charset = _CHARSET.search(headers.get("content-type", ""))
    if charset is not None and charset[1].lower() not in ("utf-8", "utf8", "us-ascii"):
        # The provider would read other text than was metered here.
        return _malformed(f"charset '{charset[1]}' is not supported: send UTF-8", status=415)
    try:
        parsed = dialect.parse(plain_body, path_model=endpoint.slug, path_streams=endpoint.streams)
    except MalformedRequest as malformed:
        return _malformed(malformed.message, param=malformed.param)
    tier = headers.get(TIER_HEADER)
    if tier is None or parsed.demand.service_tier is not None:
        return parsed
    return replace(parsed, demand=replace(parsed.demand, service_tier=tier))


def _overloaded(what: str) -> Refusal:
    return Refusal(status=503, kind=ErrorKind.OVERLOADED, message=f"{what}: send the request again")


def too_large(bytes_max: int) -> Refusal:
    """Return the refusal of a body beyond the bound."""
    return Refusal(
        status=413,
        kind=ErrorKind.BODY_TOO_LARGE,
        message=f"the body is larger than {bytes_max} bytes: send less, or raise body_bytes_max",
    )


def _malformed(message: str, *, status: int = 400, param: str | None = None) -> Refusal:
    return Refusal(status=status, kind=ErrorKind.MALFORMED, message=message, param=param)


def _inflate(body: bytes, window_bits: int, bytes_max: int) -> bytes | None:
    decoder = zlib.decompressobj(window_bits)
    plain = decoder.decompress(body, bytes_max + 1)
    if len(plain) > bytes_max:
        return None
    if not decoder.eof or decoder.unused_data:
        # Behind the end may stand what the provider would read and we would not.
        raise EOFError
    return plain


def _unbrotli(body: bytes, bytes_max: int) -> bytes | None:
    decoder = brotli.Decompressor()
    plain = bytes(decoder.process(body, output_buffer_limit=bytes_max + 1))
    if len(plain) > bytes_max:
        return None
    if not decoder.is_finished():
        raise EOFError
    return plain


def _unzstd(body: bytes, bytes_max: int) -> bytes | None:
    # A reader gives as much as is asked for; the other interfaces unpack whole frames at once.
    decoder = zstandard.ZstdDecompressor()
    with decoder.stream_reader(io.BytesIO(body), read_across_frames=True) as reader:
        plain = reader.read(bytes_max + 1)
    return plain if len(plain) <= bytes_max else None
