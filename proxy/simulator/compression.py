"""Compressed answers, piece by piece as a server would flush them."""

import zlib
from typing import Final, Protocol

import brotli
import zstandard


class Codec(Protocol):
    """A compressor whose output can be read up to the last piece."""

    def piece(self, data: bytes) -> bytes:
        """Compress and flush, so that the reader can decode all of `data`."""
        ...

    def end(self) -> bytes:
        """Close the compressed stream."""
        ...


_GZIP_WINDOW: Final = 31
_DEFLATE_WINDOW: Final = 15


def codec(name: str) -> Codec:
    """A fresh compressor for one answer: gzip, deflate, br or zstd."""
    match name:
        case "gzip":
            return _Zlib(_GZIP_WINDOW)
        case "deflate":
            return _Zlib(_DEFLATE_WINDOW)
        case "br":
            return _Brotli()
        case _:
            return _Zstandard()


class _Zlib:
    def __init__(self, window: int) -> None:
        self._compressor = zlib.compressobj(wbits=window)

    def piece(self, data: bytes) -> bytes:
        return self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        return self._compressor.flush()


class _Brotli:
    def __init__(self) -> None:
        self._compressor = brotli.Compressor()

    def piece(self, data: bytes) -> bytes:
        compressed: bytes = self._compressor.process(data) + self._compressor.flush()
        return compressed

    def end(self) -> bytes:
        rest: bytes = self._compressor.finish()
        return rest


class _Zstandard:
    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor().compressobj()

    def piece(self, data: bytes) -> bytes:
        compressed = self._compressor.compress(data)
        return compressed + self._compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def end(self) -> bytes:
        return self._compressor.flush(zstandard.COMPRESSOBJ_FLUSH_FINISH)
