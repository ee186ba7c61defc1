"""Entries of the archive between two times, in order, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Protocol, cast

from sqlalchemy import Connection, select

from proxy.archive.backtest.records import Recorded, Row, recorded
from proxy.archive.heads import organization_number
from proxy.archive.scan import Span, span_of
from proxy.archive.tables import entries, organizations

#: Rows that are in memory at a time.
BATCH: Final = 5_000
_NUMBERS_AT_ONCE: Final = 1_000
_COLUMNS: Final = tuple(
    entries.c[name]
    for name in ("number", "at_ms", "version", "kind", "call_id", "data", "moves", "checks", "more")
)

#: Told how many entries were read, and how many there are.
Told = Callable[[int, int], None]


class Reads(Protocol):
    """Whatever gives transactions that read: a database, or one moment of it."""

    def read(self) -> AbstractContextManager[Connection]:
        """Give a transaction. Raises `ArchiveUnavailable`."""
        ...


@dataclass(frozen=True, slots=True)
class Read:
    """What was read."""

    entries: int = 0
    #: Of a later form, or of none: they are in the archive all the same.
    unreadable: int = 0
    #: The first of them is the organisation's first.
    from_the_beginning: bool = False


def nobody(read: int, of: int) -> None:
    """Be told, and do nothing."""
    del read, of


def numbers_between(
    database: Reads, organization: str, since_ms: int | None, until_ms: int | None
) -> tuple[Span, bool]:
    """Return the numbers of entries of a time, and whether they begin with the very first entry.

    Raises:
        ArchiveUnavailable: the database did not answer.
    """
    with database.read() as connection:
        number = organization_number(connection, organization)
        if number is None:
            return Span(0, 0), True
        span = span_of(connection, entries, number, since_ms=since_ms, until_ms=until_ms)
        first = connection.execute(
            select(organizations.c.first_number).where(organizations.c.id == number)
        ).scalar_one()
    # Retention has taken what is before the first one.
    low = max(span.low, first)
    return Span(low, max(low, span.high)), low == 1


def go_through(
    database: Reads,
    organization: str,
    span: Span,
    take: Callable[[Recorded], None],
    told: Told = nobody,
) -> Read:
    """Hand every entry of these numbers on; each batch is a transaction of its own.

    Raises:
        ArchiveUnavailable: the database did not answer.
    """
    read = unreadable = 0
    for rows in _batches(database, organization, span):
        for row in rows:
            entry = recorded(row)
            if entry is None:
                unreadable += 1
            else:
                take(entry)
        read += len(rows)
        told(read, span.high - span.low)
    return Read(read, unreadable)


def acts_below(
    database: Reads, organization: str, number: int, kinds: Sequence[str]
) -> list[Recorded]:
    """Return acts of these kinds with a lower number, in order; they are rare.

    Raises:
        ArchiveUnavailable: the database did not answer.
    """
    with database.read() as connection:
        wanted = (
            select(*_COLUMNS)
            .where(
                entries.c.organization_id == organization_number(connection, organization),
                entries.c.call_id.is_(None),
                entries.c.kind.in_(list(kinds)),
                entries.c.number < number,
            )
            .order_by(entries.c.number)
        )
        rows = cast("list[Row]", connection.execute(wanted).all())
    return [entry for entry in map(recorded, rows) if entry is not None]


def entries_of(
    connection: Connection, organization_id: int, numbers: Sequence[int]
) -> dict[int, Recorded]:
    """Return those entries of these numbers that can be read."""
    found: dict[int, Recorded] = {}
    for at in range(0, len(numbers), _NUMBERS_AT_ONCE):
        wanted = select(*_COLUMNS).where(
            entries.c.organization_id == organization_id,
            entries.c.number.in_(list(numbers[at : at + _NUMBERS_AT_ONCE])),
        )
        for row in cast("list[Row]", connection.execute(wanted).all()):
            entry = recorded(row)
            if entry is not None:
                found[entry.number] = entry
    return found


def _batches(database: Reads, organization: str, span: Span) -> Iterator[list[Row]]:
    low = span.low
    while low < span.high:
        with database.read() as connection:
            number = organization_number(connection, organization)
            rows = [] if number is None else _rows(connection, number, low, span.high)
        if not rows:
            return
        low = rows[-1][0] + 1
        yield rows


def _rows(connection: Connection, organization_id: int, low: int, high: int) -> list[Row]:
    wanted = (
        select(*_COLUMNS)
        .where(
            entries.c.organization_id == organization_id,
            entries.c.number >= low,
            entries.c.number < high,
        )
        .order_by(entries.c.number)
        .limit(BATCH)
    )
    return cast("list[Row]", connection.execute(wanted).all())
