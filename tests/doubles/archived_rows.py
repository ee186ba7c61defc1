"""Entries of a ledger's journal as the archive's rows have them."""

from __future__ import annotations

import json
from collections.abc import Iterable

from policies.journal import VERSION, Check, Entry, Movement
from proxy.archive.backtest.records import Recorded, Row, recorded
from proxy.archive.stream import StreamEntry


def row_of(entry: Entry, number: int) -> Row:
    more = '{"forced":"1"}' if entry.forced else None
    checks = _compact([_check(check) for check in entry.checks]) if entry.checks else None
    moves = _compact([_move(move) for move in entry.movements])
    return (
        number,
        entry.at_ms,
        VERSION,
        entry.kind,
        entry.call_id or None,
        entry.data,
        moves,
        checks,
        more,
    )


def recorded_of(entries: Iterable[Entry]) -> list[Recorded]:
    found = [recorded(row_of(entry, number)) for number, entry in enumerate(entries, 1)]
    assert None not in found
    return [entry for entry in found if entry is not None]


def _check(check: Check) -> list[object]:
    return [
        check.budget,
        check.subject,
        check.unit,
        check.counter,
        check.kind,
        check.length_ms,
        check.bucket_ms,
        check.slot,
        check.held,
        check.bound,
        check.limit,
        check.mode,
        check.overrun_max,
        int(check.short),
    ]


def _move(move: Movement) -> list[object]:
    row: list[object] = [
        move.counter,
        move.unit,
        move.spent_change,
        move.reserved_change,
        move.spent,
        move.reserved,
        move.overrun,
    ]
    return [*row, 1] if move.prior_period else row


def _compact(rows: list[list[object]]) -> str:
    return json.dumps(rows, separators=(",", ":"))


def stream_of(entries: Iterable[Entry]) -> list[StreamEntry]:
    """Return entries of a journal as they stand in the stream."""
    return [_stream_entry(row_of(entry, number)) for number, entry in enumerate(entries, 1)]


def _stream_entry(row: Row) -> StreamEntry:
    number, at_ms, version, kind, call_id, data, moves, checks, more = row
    return StreamEntry(
        stream_id=f"{at_ms}-{number}",
        at_ms=at_ms,
        version=version,
        kind=kind,
        call_id=call_id,
        data=data,
        moves=moves,
        checks=checks,
        more=more,
    )
