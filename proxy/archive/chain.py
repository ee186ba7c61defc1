r"""The chain: each entry's hash covers the entry and the hash before it.

    hash(0) = SHA-256("bursar journal 1\n" + organisation)
    hash(n) = SHA-256(hash(n-1) + canonical(n))

`canonical` is the compact JSON array of all that is kept of an entry, in UTF-8, with texts as they stood in
the journal: whoever has an export can compute it with any JSON library, without this program.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainedEntry:
    """One entry as it is archived and exported."""

    number: int
    stream_id: str
    at_ms: int
    version: int
    kind: str
    #: None: not about one call.
    call_id: str | None
    #: JSON texts, as they stood in the journal.
    data: str
    moves: str
    checks: str | None = None
    #: JSON text of fields that this program does not know.
    more: str | None = None


def genesis(organization: str) -> bytes:
    """Return the hash before the first entry."""
    return sha256(f"bursar journal 1\n{organization}".encode()).digest()


def canonical(entry: ChainedEntry) -> bytes:
    """Return the bytes of an entry that its hash covers."""
    return _encode(
        [
            entry.number,
            entry.stream_id,
            entry.at_ms,
            entry.version,
            entry.kind,
            entry.call_id,
            entry.data,
            entry.moves,
            entry.checks,
            entry.more,
        ]
    ).encode("utf-8", "surrogatepass")


def link(previous: bytes, entry: ChainedEntry) -> bytes:
    """Return the hash of an entry, by that of the one before it."""
    return sha256(previous + canonical(entry)).digest()
