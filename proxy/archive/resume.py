"""Finding the entry to go on from, whatever happened to Redis or to the archive in the meantime.

What the archive has and what waits is told by comparing entries, not their ids: a Redis that was
emptied, under a clock that went back, gives ids that come before those that are archived.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import select

from proxy.archive.chain import ChainedEntry
from proxy.archive.database import Database
from proxy.archive.queue import JournalQueue, NotOurs, Place, Row
from proxy.archive.stream import read_row
from proxy.archive.tables import entries
from proxy.archive.threads import in_thread
from proxy.archive.writer import BEFORE_THE_FIRST, Chain

_AT_ONCE: Final = 500
#: An entry's columns, in the order of its fields.
_COLUMNS: Final = tuple(entries.c[name] for name in ChainedEntry.__dataclass_fields__)


class Incident(StrEnum):
    """What happened, where it was more than a restart."""

    #: The journal begins anew: Redis was emptied. What it had not handed over is lost.
    EMPTIED = "redis_emptied"
    #: Redis was put back to an old copy; from there on the journal went another way.
    OLD_COPY = "redis_put_back"
    #: The archive has less than it had: it was put back to an old copy, or another one is in its place.
    #: What it lost and the journal still has is archived again.
    ARCHIVE_OLDER = "archive_put_back"
    #: The same, and the journal no longer has what is missing.
    ARCHIVE_GAP = "archive_has_a_gap"


@dataclass(frozen=True, slots=True)
class Resumed:
    """Where to go on."""

    #: The id in the journal behind which everything is new.
    behind: str
    incident: Incident | None = None


async def resume(
    queue: JournalQueue, database: Database, chain: Chain, place: Place | None
) -> Resumed:
    """Return behind which entry of the journal the archive goes on.

    Raises:
        NotOurs: the claim ended meanwhile.
        LedgerUnavailable: Redis did not answer.
        ArchiveUnavailable: the database did not answer.
    """
    if place is not None and place.is_of(chain):
        return Resumed(place.stream_id)
    if place is not None and place.number < chain.number:
        return await _walk(queue, database, chain, place)
    if chain.number == 0 and place is None:
        return Resumed(BEFORE_THE_FIRST)
    head_is_there = chain.number > 0 and await _has_head(queue, database, chain)
    if place is None:
        # Nobody noted where the archive stands: it went with everything else, or was taken away alone.
        if head_is_there:
            return Resumed(chain.stream_id)
        return Resumed(BEFORE_THE_FIRST, Incident.EMPTIED)
    if head_is_there:
        return Resumed(chain.stream_id, Incident.ARCHIVE_OLDER)
    return Resumed(BEFORE_THE_FIRST, Incident.ARCHIVE_GAP)


async def _has_head(queue: JournalQueue, database: Database, chain: Chain) -> bool:
    row = await queue.entry(chain.stream_id)
    archived = await in_thread(_archived, database, chain, chain.number - 1)
    return row is not None and bool(archived) and _same(row, archived[0])


async def _walk(queue: JournalQueue, database: Database, chain: Chain, place: Place) -> Resumed:
    """Go along the journal and the archive for as long as they say the same.

    The archive was ahead of the note: its writer died before it noted the last batch, or Redis was put
    back. In an old copy the journal says the same up to where it was copied, and something else behind.
    """
    behind, number = place.stream_id, place.number
    while number < chain.number:
        archived = await in_thread(_archived, database, chain, number)
        taken = await queue.take(behind, _AT_ONCE)
        if taken.others:
            raise NotOurs
        for row, entry in zip(taken.rows, archived, strict=False):
            if not _same(row, entry):
                return Resumed(behind, Incident.OLD_COPY)
            behind, number = entry.stream_id, entry.number
        if not taken.rows or not archived:
            return Resumed(behind, Incident.OLD_COPY)
    return Resumed(behind)


def _archived(database: Database, chain: Chain, after: int) -> list[ChainedEntry]:
    """Return the next entries of the archive behind a number."""
    wanted = (
        select(*_COLUMNS)
        .where(entries.c.organization_id == chain.organization_id, entries.c.number > after)
        .order_by(entries.c.number)
        .limit(_AT_ONCE)
    )
    with database.read() as connection:
        return [ChainedEntry(**row._asdict()) for row in connection.execute(wanted)]


def _same(row: Row, entry: ChainedEntry) -> bool:
    return read_row(row).numbered(entry.number) == entry
