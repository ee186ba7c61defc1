"""What an entry's JSON texts say, as far as they can be read: what cannot be says nothing."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, NamedTuple

import msgspec

from policies.money import EXACT_MAX
from proxy.archive.chain import ChainedEntry

# Postgres' indexes take keys of 2,704 bytes at most; a counter's name stands beside four names.
_NAME_BYTES_MAX: Final = 200
_COUNTER_BYTES_MAX: Final = 1_700
_DIGEST_CHARACTERS: Final = 16
#: Postgres keeps no NUL in a text.
_NO_NUL: Final = "\ufffd"

_decode = msgspec.json.Decoder().decode
# Where things stand in the journal's arrays: policies/ledger/lua/counter.lua (`movement`) and
# policies/ledger/lua/reserve.lua (`checks`).
_MOVE_FIELDS: Final = 7
_CHECK_FIELDS: Final = 14
_BUDGET, _COUNTER, _MODE, _SHORT = 0, 3, 11, 13


class Move(NamedTuple):
    """What an entry did to one counter, and how it stood after it, in the counter's unit."""

    counter: str
    unit: str
    spent_change: int
    reserved_change: int
    spent: int
    reserved: int
    overrun: int


class Short(NamedTuple):
    """A budget that had no room for a call."""

    budget: str
    counter: str
    mode: str


@dataclass(frozen=True, slots=True)
class Contents:
    """An entry's data, movements, and budgets without room."""

    data: dict[str, Any]
    moves: tuple[Move, ...]
    short: tuple[Short, ...]

    def refusing(self) -> tuple[Short, ...]:
        """Return the budgets that would not let the call pass, first the one that refused it."""
        return tuple(short for short in self.short if short.mode == "enforce")


def contents_of(entry: ChainedEntry) -> Contents:
    """Read an entry; never fails."""
    data = _json(entry.data)
    moves = _json(entry.moves)
    checks = _json(entry.checks)
    return Contents(
        data if isinstance(data, dict) else {},
        tuple(_moves(moves)) if isinstance(moves, list) else (),
        tuple(_short(checks)) if isinstance(checks, list) else (),
    )


def amount(value: object) -> int | None:
    """Return an amount that a counter could hold; None for everything else."""
    return value if type(value) is int and 0 <= value <= EXACT_MAX else None


def name_of(value: object) -> str:
    """Return a name as the archive's columns keep it; empty for what is none.

    One that is too long for an index is cut, and its digest keeps it apart from others.
    """
    return _short_name(value, _NAME_BYTES_MAX)


def counter_of(value: str) -> str:
    """Return a counter's name as the archive's columns keep it, by the same rule."""
    return _short_name(value, _COUNTER_BYTES_MAX)


def _short_name(value: object, bytes_max: int) -> str:
    if not isinstance(value, str):
        return ""
    if value.isascii() and len(value) <= bytes_max:
        return value.replace("\0", _NO_NUL)
    raw = value.encode("utf-8", "replace")
    if len(raw) > bytes_max:
        digest = sha256(raw).hexdigest()[:_DIGEST_CHARACTERS]
        raw = raw[: bytes_max - _DIGEST_CHARACTERS - 1]
        return f"{raw.decode('utf-8', 'ignore')}~{digest}".replace("\0", _NO_NUL)
    return raw.decode().replace("\0", _NO_NUL)


def _json(text: str | None) -> object:
    if not text:
        return None
    try:
        found: object = _decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return found


def _moves(rows: list[Any]) -> list[Move]:
    return [
        Move(counter_of(row[0]), name_of(row[1]), *row[2:_MOVE_FIELDS])
        for row in rows
        if isinstance(row, list)
        and len(row) >= _MOVE_FIELDS
        and isinstance(row[0], str)
        and all(type(value) is int and -EXACT_MAX <= value <= EXACT_MAX for value in row[2:7])
    ]


def _short(rows: list[Any]) -> list[Short]:
    return [
        Short(row[_BUDGET], counter_of(row[_COUNTER]), row[_MODE])
        for row in rows
        if isinstance(row, list)
        and len(row) >= _CHECK_FIELDS
        and row[_SHORT] == 1
        and all(isinstance(row[at], str) for at in (_BUDGET, _COUNTER, _MODE))
    ]
