"""Recognising that a provider refuses because something of ours has run out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from proxy.providers.interface import Exhausted

PAYMENT_REQUIRED: Final = 402
TOO_MANY_REQUESTS: Final = 429
#: Ids are opaque, but not endless: they become keys of the ledger and queries of a look-up.
ID_CHARACTERS_MAX: Final = 256

#: A status, what the body of such an answer has in it (nothing: whatever it has), what it means.
Sign = tuple[int, bytes, Exhausted]


def meaning(signs: Sequence[Sign], status: int, body_prefix: bytes) -> Exhausted | None:
    """Return what the first sign that fits means; None: nothing of ours has run out."""
    if status not in (400, PAYMENT_REQUIRED, TOO_MANY_REQUESTS):
        return None
    body = body_prefix.lower()
    return next((label for code, word, label in signs if code == status and word in body), None)


def distinct_ids(*candidates: str | None) -> tuple[str, ...]:
    """Return ids in their order, each once, without those that cannot be one."""
    usable = (
        text
        for text in candidates
        if text and len(text) <= ID_CHARACTERS_MAX and text.isprintable()
    )
    return tuple(dict.fromkeys(usable))


def header_first(name: str, headers: Mapping[str, str], body_ids: Sequence[str]) -> tuple[str, ...]:
    """Return the id of a header and then those of the body."""
    return distinct_ids(headers.get(name), *body_ids)
