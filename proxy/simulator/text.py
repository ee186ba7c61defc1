"""Deterministic text: as many words as tokens, some of them of several bytes per letter."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import cycle, islice
from typing import Final

import msgspec

_WORDS: Final = (
    "budgets", "are", "kept", "word", "by", "word;", "größer", "als", "null", "ist", "nicht",
    "«exakt»,", "日本語", "and", "a", '"quote"', "costs", "tokens", "🙂", "too.",
)  # fmt: skip
#: A longer answer repeats nothing new for a client, it only costs bytes.
_WORDS_MAX: Final = 4_096


@lru_cache(maxsize=1_024)
def words(tokens: int) -> str:
    """A text that stands for so many tokens."""
    return " ".join(islice(cycle(_WORDS), min(tokens, _WORDS_MAX)))


@lru_cache(maxsize=1_024)
def pieces(tokens: int, chunks: int) -> Sequence[bytes]:
    """The text as JSON strings, one for each of `chunks` deltas; together it is `words`."""
    text = words(tokens)
    size = -(-len(text) // chunks) or 1
    parts = [text[start : start + size] for start in range(0, len(text), size)]
    parts += [""] * (chunks - len(parts))
    return tuple(msgspec.json.encode(part) for part in parts)
