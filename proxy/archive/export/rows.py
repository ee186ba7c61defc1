"""Rows of the archive in the order of the journal, a batch at a time: memory does not grow with them.

Each batch is a transaction of its own: no snapshot is held for an hour while the archive is written.
Numbers never change and never come again, so nothing is left out and nothing is met twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, select

from proxy.archive import call_rows, entry_rows
from proxy.archive.chain import ChainedEntry
from proxy.archive.contents import name_of
from proxy.archive.database import ArchiveUnavailable, Database
from proxy.archive.filters import CallFilter, kept_names
from proxy.archive.lines import CallLine
from proxy.archive.pieces import Checkpoint, PublicKey, StoredEntry, well_formed
from proxy.archive.scan import Span
from proxy.archive.tables import calls, checkpoints, entries, signing_keys

#: Rows at once: a few MB, and few enough round trips to keep a database busy.
BATCH: Final = 2_000
#: Numbers in one IN (…): SQLite takes 32,766 variables, older ones 999.
NUMBERS_MAX: Final = 500
_LINE_COLUMNS: Final = tuple(CallLine.__dataclass_fields__)
_ENTRY: Final = tuple(entries.c[name] for name in (*entry_rows.COLUMNS, "month", "hash"))


# The journal…


def entry_batch(
    database: Database,
    organization_id: int,
    span: Span,
    *,
    kinds: Sequence[str] = (),
    count: int = BATCH,
) -> list[StoredEntry]:
    """Return the first entries of a span, ascending; none: there are none.

    Args:
        kinds: only those; empty: all.
        count: at least two. A number that is there twice is never parted.

    Raises:
        ArchiveUnavailable: the database did not answer, or has a row that it cannot read.
    """
    wanted = [
        entries.c.organization_id == organization_id,
        entries.c.number >= span.low,
        entries.c.number < span.high,
    ]
    if kinds:
        wanted.append(entries.c.kind.in_(kinds))
    query = select(*_ENTRY).where(*wanted).order_by(entries.c.number).limit(count)
    with database.read() as connection, _readable():
        found = [_stored(row) for row in connection.execute(query)]
    if len(found) == count and found[0].entry.number != found[-1].entry.number:
        last = found[-1].entry.number
        while found[-1].entry.number == last:
            found.pop()
    return found


def entry_batches(
    database: Database, organization_id: int, span: Span, kinds: Sequence[str] = ()
) -> Iterator[list[StoredEntry]]:
    """Give all entries of a span in batches. Raises `ArchiveUnavailable`."""
    while found := entry_batch(database, organization_id, span, kinds=kinds):
        yield found
        span = Span(found[-1].entry.number + 1, span.high)


def entries_numbered(
    database: Database, organization_id: int, numbers: Sequence[int]
) -> dict[int, StoredEntry]:
    """Return entries by their numbers; those that are not there are not in it."""
    found: dict[int, StoredEntry] = {}
    with database.read() as connection, _readable():
        for start in range(0, len(numbers), NUMBERS_MAX):
            query = select(*_ENTRY).where(
                entries.c.organization_id == organization_id,
                entries.c.number.in_(numbers[start : start + NUMBERS_MAX]),
            )
            for row in connection.execute(query):
                found[row.number] = _stored(row)
    return found


def checkpoints_within(
    database: Database, organization_id: int, span: Span
) -> Iterator[Checkpoint]:
    """Give the checkpoints of entries in a span, ascending."""
    after = span.low - 1
    while True:
        query = (
            select(checkpoints)
            .where(
                checkpoints.c.organization_id == organization_id,
                checkpoints.c.number > after,
                checkpoints.c.number < span.high,
            )
            .order_by(checkpoints.c.number)
            .limit(BATCH)
        )
        with database.read() as connection, _readable():
            rows = list(connection.execute(query))
        if not rows:
            return
        for row in rows:
            yield Checkpoint(
                number=row.number,
                at_ms=row.at_ms,
                hash=bytes(row.hash),
                key_id=row.key_id,
                signature=bytes(row.signature),
                where=f"table checkpoints, number {row.number}",
            )
        after = rows[-1].number


def public_keys(database: Database) -> list[PublicKey]:
    """Return every key that signed, oldest first; few are ever made."""
    query = select(signing_keys).order_by(signing_keys.c.created_ms, signing_keys.c.id)
    with database.read() as connection, _readable():
        return [
            PublicKey(
                id=row.id,
                public_key=bytes(row.public_key),
                created_ms=row.created_ms,
                where=f"table signing_keys, id {row.id}",
            )
            for row in connection.execute(query)
        ]


def _stored(row: Row[Any]) -> StoredEntry:
    values = dict(zip((*entry_rows.COLUMNS, "month", "hash"), row, strict=True))
    month, digest = values.pop("month"), values.pop("hash")
    entry = ChainedEntry(**values)
    where = f"table entries, number {row.number}"
    if not well_formed(entry) or type(month) is not int or type(digest) is not bytes:
        raise ArchiveUnavailable(f"{where}: it holds what is no entry")
    return StoredEntry(entry=entry, hash=digest, where=where, month=month)


@contextmanager
def _readable() -> Iterator[None]:
    """SQLite keeps anything in any column: a text among hashes fails where it is read."""
    try:
        yield
    except (TypeError, ValueError) as fault:
        raise ArchiveUnavailable(f"the archive has a row that cannot be read: {fault}") from fault


# Calls…


@dataclass(frozen=True, slots=True)
class CallBatch:
    """Some calls; it may be empty, when so many rows were looked through and none fits."""

    #: Each with the numbers of its entries.
    calls: list[tuple[CallLine, Sequence[int]]]
    #: Up to this number everything was looked through.
    done: int


def call_batches(
    database: Database, organization_id: int, wanted: CallFilter, span: Span
) -> Iterator[CallBatch]:
    """Give calls that fit and whose numbers are in a span, ascending. Raises `ArchiveUnavailable`."""
    fits = _model_fits(wanted.model)
    conditions = _conditions(wanted)
    while True:
        query = (
            select(*(calls.c[name] for name in (*_LINE_COLUMNS, "entries")))
            .where(
                calls.c.organization_id == organization_id,
                calls.c.number >= span.low,
                calls.c.number < span.high,
                *conditions,
            )
            .order_by(calls.c.number)
            .limit(BATCH)
        )
        with database.read() as connection, _readable():
            rows = list(connection.execute(query))
        if not rows:
            return
        chosen = [(_line(row), call_rows.numbers_of(row)) for row in rows if fits(row.model)]
        yield CallBatch(calls=chosen, done=rows[-1].number)
        span = Span(rows[-1].number + 1, span.high)


def _conditions(wanted: CallFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [
        calls.c[name] == value
        for name in ("team", "user", "key_id", "provider", "state")
        if (value := _kept(getattr(wanted, name))) is not None
    ]
    if wanted.teams is not None:
        conditions.append(calls.c.team.in_(sorted(kept_names(wanted.teams))))
    if wanted.model is not None and "*" not in wanted.model:
        conditions.append(calls.c.model == _kept(wanted.model))
    if wanted.since_ms is not None:
        conditions.append(calls.c.at_ms >= wanted.since_ms)
    if wanted.until_ms is not None:
        conditions.append(calls.c.at_ms < wanted.until_ms)
    return conditions


def _kept(name: str | None) -> str | None:
    return None if name is None else name_of(name)


def _model_fits(model: str | None) -> Callable[[str], bool]:
    if model is None or "*" not in model:
        return lambda _: True
    pattern = re.compile(".*".join(re.escape(part) for part in model.split("*")), re.DOTALL)
    return lambda name: pattern.fullmatch(name) is not None


def _line(row: Row[Any]) -> CallLine:
    return CallLine(**dict(zip(_LINE_COLUMNS, row, strict=False)))
