"""Rows of the journal's stream as the archive keeps them: verbatim, whatever version wrote them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from proxy.archive.chain import ChainedEntry

#: What no column has room for: far above what the ledger writes, and what databases still take.
_INTEGER_MAX: Final = 2**63 - 1
_VERSION_MAX: Final = 32_767
#: An entry whose form cannot be told is one of no version that is known.
NO_VERSION: Final = -1
#: Kinds are found by an index, which does not take texts of any length.
_KIND_CHARACTERS_MAX: Final = 200
_CALL_CHARACTERS_MAX: Final = 400

_COLUMNS: Final = frozenset({"v", "kind", "call", "at", "data", "moves", "checks"})
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEntry:
    """An entry before it has a number."""

    stream_id: str
    at_ms: int
    version: int
    kind: str
    call_id: str | None
    data: str
    moves: str
    checks: str | None = None
    more: str | None = None

    def numbered(self, number: int) -> ChainedEntry:
        """Return it with its place in the chain."""
        return ChainedEntry(
            number=number,
            stream_id=self.stream_id,
            at_ms=self.at_ms,
            version=self.version,
            kind=self.kind,
            call_id=self.call_id,
            data=self.data,
            moves=self.moves,
            checks=self.checks,
            more=self.more,
        )


def read_row(row: tuple[bytes, Sequence[bytes]]) -> StreamEntry:
    """Return a row of the stream; one of a form that nobody knows is kept too, and never a fault.

    Fields without a column of their own stand in `more`. Of a row that is not an entry at all,
    everything does.
    """
    stream_id = _text(row[0])
    flat = row[1]
    fields = {_text(flat[at]): _text(flat[at + 1]) for at in range(0, len(flat) - 1, 2)}
    version, at_ms = _whole(fields.get("v")), _whole(fields.get("at"))
    kind, call_id = fields.get("kind", ""), fields.get("call", "")
    odd = (
        version is None
        or not 0 <= version <= _VERSION_MAX
        or at_ms is None
        or len(kind) > _KIND_CHARACTERS_MAX
        or len(call_id) > _CALL_CHARACTERS_MAX
        or not {"data", "moves"} <= fields.keys()
    )
    if odd or version is None or at_ms is None:
        return StreamEntry(
            stream_id=stream_id,
            at_ms=_milliseconds_of(stream_id),
            version=NO_VERSION,
            kind=kind[:_KIND_CHARACTERS_MAX],
            call_id=None,
            data="",
            moves="",
            more=_encode(fields),
        )
    more = {name: value for name, value in fields.items() if name not in _COLUMNS}
    return StreamEntry(
        stream_id=stream_id,
        at_ms=at_ms,
        version=version,
        kind=kind,
        call_id=call_id or None,
        data=fields["data"],
        moves=fields["moves"],
        checks=fields.get("checks"),
        more=_encode(more) if more else None,
    )


def _text(raw: bytes) -> str:
    """Return a text that both databases take: what is no UTF-8, and NUL, is replaced."""
    return raw.decode("utf-8", "replace").replace("\0", "\ufffd")


def _whole(text: str | None) -> int | None:
    if (
        text is None
        or not text.isascii()
        or not text.isdigit()
        or len(text) > len(str(_INTEGER_MAX))
    ):
        return None
    number = int(text)
    return number if number <= _INTEGER_MAX else None


def _milliseconds_of(stream_id: str) -> int:
    """Return the time in an id of the stream."""
    return _whole(stream_id.partition("-")[0]) or 0
