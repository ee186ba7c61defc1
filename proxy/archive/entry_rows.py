"""Entries of the journal, from rows of the archive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from proxy.archive.chain import ChainedEntry
from proxy.archive.tables import entries

COLUMNS: Final = (
    "number",
    "stream_id",
    "at_ms",
    "version",
    "kind",
    "call_id",
    "data",
    "moves",
    "checks",
    "more",
)
#: Entries about one call that are shown; the longest life has a dozen.
_LIFE_MAX: Final = 500


def entry_of(row: Row[Any]) -> ChainedEntry:
    """Return the entry of a row that has COLUMNS, in that order."""
    return ChainedEntry(**dict(zip(COLUMNS, row, strict=True)))


def entries_by_number(
    connection: Connection, organization_id: int, numbers: Sequence[int]
) -> tuple[ChainedEntry, ...]:
    """Return those entries of the numbers that retention has left, ascending."""
    rows = connection.execute(
        select(*(entries.c[name] for name in COLUMNS))
        .where(
            entries.c.organization_id == organization_id,
            entries.c.number.in_(list(numbers[:_LIFE_MAX])),
        )
        .order_by(entries.c.number)
    )
    return tuple(entry_of(row) for row in rows)
