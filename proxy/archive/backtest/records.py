"""Entries of the archive as a backtest reads them: parsed once, in C, and only as far as it needs.

The forms are those of `policies/journal.py`; what a later version adds at the end of a row, or as a field of
an object, is passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from policies.journal import VERSION


class Check(msgspec.Struct, array_like=True):
    """What a decision looks at in one budget, and what an admitted call holds of it."""

    budget: str
    subject: str
    unit: str
    counter: str
    kind: str
    #: Rolling and first-use: the window's length. Fixed: when it ends, 0 for never.
    length_ms: int
    bucket_ms: int
    slot: int
    held: int
    bound: int
    limit: int
    mode: str
    overrun_max: int
    short: int


class Move(msgspec.Struct, array_like=True, frozen=True):
    """What one entry did to one counter, and how the counter stood after it, in its unit."""

    counter: str
    unit: str
    spent_change: int
    reserved_change: int
    spent: int
    reserved: int
    overrun: int
    #: 1: the window that the call was booked in was over.
    prior: int = 0


class SaidQuote(msgspec.Struct, frozen=True):
    """What was held for a call, in nano-dollars, and the tokens of its bound."""

    nano_usd: int = 0
    bound_nano_usd: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    kind: str = "bound"


class SaidCall(msgspec.Struct, frozen=True):
    """Who asked for what (`proxy/gateway/quote.py`)."""

    team: str | None = None
    user: str | None = None
    key: str | None = None
    session: str | None = None
    tags: dict[str, str] = {}
    provider: str | None = None
    model: str | None = None
    spelled: str | None = None
    body_bytes: int = 0
    #: None: no price was known.
    quote: SaidQuote | None = None
    #: It stands for something that was billed and that nobody asked for.
    ghost: str | None = None


class SaidEnd(msgspec.Struct, frozen=True):
    """What a settlement or a receipt says, as far as it is counted."""

    nano_usd: int | None = None
    credits: dict[str, int] = {}
    #: Of a settlement a list, of a receipt one object: tokens by part.
    usage: Any = None


@dataclass(slots=True)
class Recorded:
    """One entry."""

    number: int
    at_ms: int
    kind: str
    call_id: str
    #: JSON text.
    data: str
    moves: list[Move]
    #: Empty for entries from before decisions were recorded with what they looked at.
    checks: list[Check]
    forced: bool = False


#: A row of `entries`: number, at_ms, version, kind, call_id, data, moves, checks, more.
Row = tuple[int, int, int, str, str | None, str, str, str | None, str | None]

_moves: Final = msgspec.json.Decoder(list[Move])
_checks: Final = msgspec.json.Decoder(list[Check])
_more: Final = msgspec.json.Decoder(dict[str, Any])
_call: Final = msgspec.json.Decoder(SaidCall)
_end: Final = msgspec.json.Decoder(SaidEnd)
_NOBODY: Final = SaidCall()
_NOTHING: Final = SaidEnd()


def recorded(row: Row) -> Recorded | None:
    """Return what a row of the archive says; None: it is of a later form, or no entry at all."""
    number, at_ms, version, kind, call_id, data, moves, checks, more = row
    if version > VERSION:
        return None
    try:
        return Recorded(
            number,
            at_ms,
            kind,
            call_id or "",
            data,
            [] if moves == "[]" else _moves.decode(moves),
            _checks.decode(checks) if checks else [],
            more is not None and _more.decode(more).get("forced") == "1",
        )
    except msgspec.DecodeError:
        return None


def said_of_call(data: str) -> SaidCall:
    """Return who asked for what; a text that says it in no known way says nothing."""
    try:
        return _call.decode(data)
    except msgspec.DecodeError:
        return _NOBODY


def said_at_end(data: str) -> SaidEnd:
    """Return what a call came to; a text that says it in no known way says nothing."""
    try:
        return _end.decode(data)
    except msgspec.DecodeError:
        return _NOTHING
