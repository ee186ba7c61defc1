"""Which numbers an export covers: fixed when it begins, so that it ends while calls go on."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, select

from proxy.archive.chain import genesis
from proxy.archive.database import Database
from proxy.archive.export.mark import Mark
from proxy.archive.export.question import Format, Question
from proxy.archive.heads import organization_number
from proxy.archive.scan import Span, span_of
from proxy.archive.tables import calls, entries, organizations

#: No row has it: the export of an organisation that has none is empty.
NOBODY: Final = -1


def begin(
    database: Database, organization: str, question: Question, *, exported_ms: int
) -> tuple[int, Mark]:
    """Return the organisation's id, and where an export of it begins and ends.

    Raises:
        ArchiveUnavailable: the database did not answer.
    """
    with database.read() as connection:
        number = organization_number(connection, organization)
        if number is None:
            origin = genesis(organization).hex() if question.chained else None
            return NOBODY, Mark(
                low=1, high=1, exported_ms=exported_ms, done=0, first_hash=origin, last_hash=origin
            )
        span = _span(connection, number, question)
        mark = Mark(low=span.low, high=span.high, exported_ms=exported_ms, done=span.low - 1)
        if not question.chained:
            return number, mark
        return number, Mark(
            low=span.low,
            high=span.high,
            exported_ms=exported_ms,
            done=span.low - 1,
            first_hash=_hash_at(connection, number, span.low - 1).hex(),
            last_hash=_hash_at(connection, number, span.high - 1).hex(),
        )


def _span(connection: Connection, organization_id: int, question: Question) -> Span:
    since_ms, until_ms = question.calls.since_ms, question.calls.until_ms
    of_entries = question.format is Format.JSONL and not question.of_calls
    table = entries if of_entries else calls
    span = span_of(connection, table, organization_id, since_ms=since_ms, until_ms=until_ms)
    if not of_entries:
        return span
    first_number = connection.execute(
        select(organizations.c.first_number).where(organizations.c.id == organization_id)
    ).scalar_one()
    span = Span(max(span.low, first_number), max(span.high, first_number))
    # From the first entry of that time to the last one: whole, so that it can be verified.
    numbers = (
        select(entries.c.number)
        .where(
            entries.c.organization_id == organization_id,
            entries.c.number >= span.low,
            entries.c.number < span.high,
        )
        .limit(1)
    )
    low, high = span.low, span.high
    if since_ms is not None:
        first = numbers.where(entries.c.at_ms >= since_ms).order_by(entries.c.number)
        low = connection.execute(first).scalar() or span.high
    if until_ms is not None:
        last = numbers.where(entries.c.at_ms < until_ms).order_by(entries.c.number.desc())
        high = (connection.execute(last).scalar() or low - 1) + 1
    return Span(min(low, high), high)


def _hash_at(connection: Connection, organization_id: int, number: int) -> bytes:
    """Return the hash of an entry, as the organisation's row has it or as its own has."""
    row = connection.execute(
        select(organizations).where(organizations.c.id == organization_id)
    ).one()
    if number == row.number:
        return bytes(row.hash)
    if number == row.first_number - 1:
        return bytes(row.first_hash)
    found = connection.execute(
        select(entries.c.hash).where(
            entries.c.organization_id == organization_id, entries.c.number == number
        )
    ).scalar()
    # Of a journal that has a hole here: no hash fits, and whoever verifies the export is told.
    return bytes(found) if found is not None else bytes(32)
