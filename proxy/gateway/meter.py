"""Metering an answer as it passes: the dialect's meter, behind a decoder where the answer is compressed."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

import brotli
import zstandard

from proxy.dialects.interface import Dialect, Meter, Reading
from proxy.gateway.call import Quoted

_Decoder = Callable[[bytes], bytes]


class Metering:
    """One answer, watched.

    What is relayed are the bytes that came, compressed or not, unless the dialect's meter takes
    something out of them: then an answer that came compressed goes on uncompressed.
    """

    def __init__(
        self,
        dialect: Dialect,
        *,
        streamed: bool,
        content_type: str,
        content_encoding: str,
        strip_usage: bool,
    ) -> None:
        self._meter: Meter = dialect.meter(
            streamed=streamed, content_type=content_type, strip_usage=strip_usage
        )
        self._decode = _decoder(content_encoding)
        self._rewrites = strip_usage
        self._unreadable = False

    @property
    def compressed(self) -> bool:
        """Whether what is relayed is compressed, so that nothing can be added to it."""
        return self._decode is not None and not self._rewrites

    @property
    def generation_id(self) -> str | None:
        """The answer's id, as soon as it was seen."""
        return self._meter.generation_id

    @property
    def terminal(self) -> bool:
        """The dialect's end was seen."""
        return self._meter.terminal

    def feed(self, chunk: bytes) -> bytes:
        """Take note of a piece of the answer; return what to relay."""
        if self._decode is None:
            return self._meter.feed(chunk)
        if self._unreadable:
            return b"" if self._rewrites else chunk
        try:
            plain = self._decode(chunk)
        except (zlib.error, brotli.error, zstandard.ZstdError):
            # The client may know better what to do with it, unless it was told that it is unpacked;
            # for us its usage stays unknown.
            self._unreadable = True
            return b"" if self._rewrites else chunk
        relayed = self._meter.feed(plain)
        return relayed if self._rewrites else chunk

    def flush(self) -> bytes:
        """Return what was held back, at the end."""
        return self._meter.flush()

    def finish(self) -> Reading:
        """Return what the answer told, whole or cut."""
        return self._meter.finish()


def meter_answer(quoted: Quoted, headers: Mapping[str, str]) -> Metering:
    """Return the meter for the answer to a call, by the answer's headers."""
    arrival = quoted.routed.arrival
    return Metering(
        arrival.dialect,
        streamed=arrival.parsed.stream,
        content_type=headers.get("content-type", ""),
        content_encoding=headers.get("content-encoding", ""),
        strip_usage=quoted.strip_usage,
    )


def _decoder(encoding: str) -> _Decoder | None:
    match encoding.strip().lower():
        case "gzip" | "x-gzip":
            gunzip = zlib.decompressobj(16 + zlib.MAX_WBITS)
            return partial(_call, gunzip)
        case "deflate":
            inflate = zlib.decompressobj()
            return partial(_call, inflate)
        case "br":
            unbrotli = brotli.Decompressor()
            return lambda piece: bytes(unbrotli.process(piece))
        case "zstd":
            unzstd = zstandard.ZstdDecompressor().decompressobj()
            return partial(_call, unzstd)
        case _:
            return None


class _Decompressor(Protocol):
    def decompress(self, data: bytes, /) -> bytes: ...


def _call(decompressor: _Decompressor, piece: bytes) -> bytes:
    return decompressor.decompress(piece)
