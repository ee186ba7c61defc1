"""Reading a request: its body within bounds, decompressed within bounds, and what it asks for."""

from __future__ import annotations

import asyncio
import io
import zlib
from typing import Final

import brotli
import zstandard
from aiohttp import web

from proxy.dialects.endpoints import Endpoint
from proxy.dialects.interface import Dialect, ErrorKind, MalformedRequest, ParsedRequest
from proxy.gateway.call import Refusal

# 64 MiB at 1 Mbit/s take nine minutes; a client that is slower holds a connection for nothing.
PATIENCE_S: Final = 600.0


async def read_body(request: web.BaseRequest, bytes_max: int) -> bytes | Refusal:
    """Return the body as it came.

    Raises:
        ConnectionError: the client went away before its body was here.
    """
    if (request.content_length or 0) > bytes_max:
        return too_large(bytes_max)
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


def parse(plain_body: bytes, endpoint: Endpoint, dialect: Dialect) -> ParsedRequest | Refusal:
    """Return what a request asks for, or what is wrong with it."""
    try:
        return dialect.parse(plain_body, path_model=endpoint.slug, path_streams=endpoint.streams)
    except MalformedRequest as malformed:
        return _malformed(malformed.message, param=malformed.param)


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
    plain = decoder.process(body, output_buffer_limit=bytes_max + 1)
    while not decoder.is_finished() and len(plain) <= bytes_max:
        more = decoder.process(b"", output_buffer_limit=bytes_max + 1 - len(plain))
        if not more:
            raise EOFError
        plain += more
    return plain if len(plain) <= bytes_max else None


def _unzstd(body: bytes, bytes_max: int) -> bytes | None:
    # A reader gives as much as is asked for; the other interfaces unpack whole frames at once.
    decoder = zstandard.ZstdDecompressor()
    with decoder.stream_reader(io.BytesIO(body), read_across_frames=True) as reader:
        plain = reader.read(bytes_max + 1)
    return plain if len(plain) <= bytes_max else None
