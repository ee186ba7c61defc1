"""Compressed answers."""

import gzip
import zlib

import brotli
import pytest
import zstandard

from proxy.simulator.compression import codec

_DECODERS = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "br": brotli.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}


@pytest.mark.parametrize("name", sorted(_DECODERS))
def test_the_pieces_decode_to_what_was_compressed(name: str) -> None:
    encoder = codec(name)

    compressed = encoder.piece(b"one ") + encoder.piece(b"two") + encoder.end()

    assert _DECODERS[name](compressed) == b"one two"


def test_each_piece_can_be_read_before_the_next_is_written() -> None:
    encoder = codec("gzip")
    decoder = zlib.decompressobj(wbits=31)

    assert decoder.decompress(encoder.piece(b"first")) == b"first"
    assert decoder.decompress(encoder.piece(b"second")) == b"second"
