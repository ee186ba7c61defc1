"""Where an export stands: what it takes to go on with it later."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far an export has come, and where it ends."""

    #: The numbers [low, high) are exported: what comes later is not, however long it takes.
    low: int
    high: int
    exported_ms: int
    #: Everything up to this number is written.
    done: int
    #: Rows (calls or entries) and checkpoints that are written.
    rows: int = 0
    checkpoints: int = 0
    #: Hexadecimal, of a stretch of the journal: the hash before it, and that of its last entry.
    first_hash: str | None = None
    last_hash: str | None = None

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of an export, and where it stands when this is written."""

    data: bytes
    mark: Mark
    #: Nothing follows it. Whoever has it needs no mark any more.
    final: bool = False


def mark_from(document: dict[str, Any]) -> Mark:
    """Return a mark from JSON.

    Raises:
        ValueError: it is none.
    """
    numbers = ("low", "high", "exported_ms", "done", "rows", "checkpoints")
    texts = ("first_hash", "last_hash")
    if set(document) != {*numbers, *texts}:
        raise ValueError("it has other fields")
    if not all(type(document[name]) is int for name in numbers):
        raise ValueError("a number is missing")
    for name in texts:
        if document[name] is not None:
            bytes.fromhex(document[name])
    return Mark(**document)
