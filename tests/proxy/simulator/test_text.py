"""Deterministic text."""

import json

import pytest

from proxy.simulator.text import pieces, words


def test_a_text_has_a_word_for_each_token() -> None:
    assert len(words(100).split()) == 100
    assert words(0) == ""


@pytest.mark.parametrize(("tokens", "chunks"), [(0, 1), (0, 3), (1, 5), (64, 8), (64, 10_000)])
def test_the_pieces_of_a_text_are_the_text(tokens: int, chunks: int) -> None:
    parts = pieces(tokens, chunks)

    assert len(parts) == chunks
    assert "".join(json.loads(part) for part in parts) == words(tokens)


def test_some_letters_take_several_bytes() -> None:
    assert len(words(20).encode()) > len(words(20))
