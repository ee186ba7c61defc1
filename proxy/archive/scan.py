"""The newest rows that fit, found with the indexes there are, looking through so many and no more.

A filter may be rare, and no index may know it: then a page ends where the look ended, with less on it
than was asked for, and says where the next one begins. Nobody waits for ten million rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sqlalchemy import Column, ColumnElement, Connection, Row, Select, Table, func, select

from proxy.archive.tables import organizations

#: Rows looked through for one page: 10,000 take SQLite about 30 ms when they are in memory.
LOOKED_THROUGH_MAX: Final = 10_000
#: By how much an entry's time may be behind that of an earlier one: clocks are put right, though
#: seldom by more than a few milliseconds.
DISORDER_MS: Final = 120_000

Condition = ColumnElement[bool]


class Columns(Protocol):
    """The columns of a table, or of a part of it, by their names."""

    def __getitem__(self, name: str) -> ColumnElement[Any]:
        """Return a column."""
        ...


@dataclass(frozen=True, slots=True)
class Span:
    """The numbers [low, high)."""

    low: int
    high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is looked for in a table that has a `number`."""

    table: Table
    columns: tuple[str, ...]
    #: Each is the beginning of an index that goes on with `number`, and they exclude each other.
    branches: Sequence[Sequence[Condition]]
    #: What no index knows, of the columns of the table or of a part of it; None: nothing.
    residual: Callable[[Columns], list[Condition]] | None = None
    #: How many looks may make one page: they share what may be looked through.
    looks: int = 1


def span_of(
    connection: Connection,
    table: Table,
    organization_id: int,
    *,
    before: int | None = None,
    since_ms: int | None = None,
    until_ms: int | None = None,
) -> Span:
    """Return the numbers among which all rows of a time are; some at its ends may be of another."""
    row = connection.execute(
        select(organizations.c.number).where(organizations.c.id == organization_id)
    ).first()
    if row is None:
        return Span(0, 0)
    # What comes while a page is put together is of the next look: the branches must agree.
    # Retention takes entries and calls by the month, each by its own: bisection finds where they begin.
    span = Span(0, row.number + 1)
    if before is not None:
        span = Span(span.low, min(span.high, before))
    if since_ms is not None:
        low = first_from(connection, table, organization_id, span, since_ms - DISORDER_MS)
        span = Span(low, span.high)
    if until_ms is not None:
        high = first_from(connection, table, organization_id, span, until_ms + DISORDER_MS)
        span = Span(span.low, high)
    return span


def first_from(
    connection: Connection, table: Table, organization_id: int, span: Span, at_ms: int
) -> int:
    """Return the number from which on rows are of this time or later, by bisection; the span's end if none.

    Times need not be in order, as long as none is behind an earlier one by more than DISORDER_MS: all
    rows below are earlier than `at_ms` + DISORDER_MS, all others not earlier than `at_ms` - DISORDER_MS.
    """
    low, high = span.low, span.high
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(
            select(table.c.number, table.c.at_ms)
            .where(
                table.c.organization_id == organization_id,
                table.c.number >= middle,
                table.c.number < high,
            )
            .order_by(table.c.number)
            .limit(1)
        ).first()
        if row is None or row.at_ms >= at_ms:
            high = middle
        else:
            low = row.number + 1
    return low


def newest(
    connection: Connection, search: Search, span: Span, count_max: int
) -> tuple[list[Row[Any]], int | None]:
    """Return the newest rows that fit, newest first, and where to go on (below that number)."""
    found: list[Row[Any]] = []
    floor = span.low
    for branch in search.branches:
        rows, branch_floor = _look(connection, search, branch, span, count_max + 1)
        found += rows
        floor = max(floor, branch_floor)
    # What lies below the place where another branch ended comes when that one has got there.
    found = sorted(
        (row for row in found if row.number >= floor), key=lambda row: row.number, reverse=True
    )
    if len(found) > count_max:
        return found[:count_max], int(found[count_max - 1].number)
    return found, floor if floor > span.low else None


def _look(
    connection: Connection, search: Search, branch: Sequence[Condition], span: Span, count: int
) -> tuple[list[Row[Any]], int]:
    """Return rows of one branch, and the number down to which all of it was looked through."""
    table = search.table
    within = (*branch, table.c.number >= span.low, table.c.number < span.high)
    if search.residual is None:
        rows = list(connection.execute(_newest_of(table, within, search.columns).limit(count)))
        return rows, int(rows[-1].number) if len(rows) == count else span.low
    looked = max(count, LOOKED_THROUGH_MAX // len(search.branches) // search.looks)
    part = _newest_of(table, within, tuple(table.c.keys())).limit(looked).subquery()
    chosen = select(*(part.c[name] for name in search.columns)).where(*search.residual(part.c))
    rows = list(connection.execute(chosen.order_by(part.c.number.desc()).limit(count)))
    if len(rows) == count:
        return rows, int(rows[-1].number)
    end = _newest_of(table, within, ("number",)).limit(1).offset(looked - 1)
    return rows, connection.execute(end).scalar() or span.low


def _newest_of(
    table: Table, within: Sequence[Condition], columns: Sequence[str]
) -> Select[tuple[Any, ...]]:
    return (
        select(*(table.c[name] for name in columns)).where(*within).order_by(table.c.number.desc())
    )


def values_of(
    connection: Connection, column: Column[Any], within: Sequence[Condition], count_max: int
) -> list[str]:
    """Return the different values that an index has for a column, by hopping from one to the next.

    `within` and the column are the beginning of an index: each hop is one look into it, however many
    rows a value has.
    """
    first = select(func.min(column).label("value")).where(*within).cte("hops", recursive=True)
    following = select(func.min(column)).where(*within, column > first.c.value).scalar_subquery()
    hops = first.union_all(select(following).where(first.c.value.is_not(None)))
    rows = connection.execute(
        select(hops.c.value).where(hops.c.value.is_not(None)).limit(count_max)
    )
    return [row.value for row in rows]
