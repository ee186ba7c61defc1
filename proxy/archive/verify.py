"""Whether an archive's journal is as it was written: every entry, hash and signature of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Row, func, select

from proxy.archive.chain import genesis
from proxy.archive.database import ArchiveUnavailable, Database
from proxy.archive.export import rows
from proxy.archive.pieces import Checkpoint, Damage, End, Origin, Piece, StoredEntry, Unreadable
from proxy.archive.scan import Span
from proxy.archive.tables import checkpoints, entries, organizations
from proxy.archive.trust import Trust
from proxy.archive.walk import Broken, Progress, Verified, Walk

#: How often to begin anew when retention drops entries that are being looked at.
BEGINNINGS_MAX: Final = 3
_HASH_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """What the organisation's row says, and what is there beyond it, at one moment."""

    id: int
    number: int
    hash: bytes
    month: int
    first_number: int
    first_hash: bytes
    #: The highest number of any entry and of any checkpoint; 0: there is none.
    entries_to: int
    checkpoints_to: int


def verify_archive(
    database: Database,
    organization: str,
    *,
    pinned: Sequence[bytes] = (),
    kept: Mapping[int, Checkpoint] | None = None,
    progress: Progress | None = None,
) -> Verified | Broken:
    """Return what is wrong with an organisation's journal, or that nothing is.

    It goes on while entries are added, and ends where the journal ends then. Blocks for minutes where
    there are millions of entries.

    Args:
        pinned: the public keys whose signatures count; none: those that the archive names.
        kept: checkpoints that were kept elsewhere, by number.
        progress: is told the number of the last entry that was looked at.

    Raises:
        ArchiveUnavailable: the database did not answer.
    """
    for _ in range(BEGINNINGS_MAX - 1):
        head = _head(database, organization)
        result = _verify(database, organization, head, pinned, kept or {}, progress)
        if isinstance(result, Verified) or not _dropped_meanwhile(database, organization, head):
            return result
    return _verify(
        database, organization, _head(database, organization), pinned, kept or {}, progress
    )


def _verify(
    database: Database,
    organization: str,
    head: _Head | None,
    pinned: Sequence[bytes],
    kept: Mapping[int, Checkpoint],
    progress: Progress | None,
) -> Verified | Broken:
    where = f"the archive at {database.where}"
    origin = Origin(
        organization=organization,
        first_number=1 if head is None else head.first_number,
        first_hash=genesis(organization) if head is None else head.first_hash,
        where=where,
        sorted=True,
    )
    walk = Walk(origin, Trust(tuple(pinned)), kept, progress)
    if head is None:
        end = End(number=0, hash=genesis(organization), where=where)
        return walk.along(iter([end]))
    before = _before_the_first(database, head, where)
    return before or walk.along(_pieces(database, organization, head))


def _before_the_first(database: Database, head: _Head, where: str) -> Broken | None:
    """Return an entry that stands before the one that the journal begins with."""
    query = select(func.min(entries.c.number)).where(entries.c.organization_id == head.id)
    with database.read() as connection:
        first = connection.execute(query).scalar()
    if first is None or first >= head.first_number:
        return None
    said = f"entry {first} stands before entry {head.first_number}, which is recorded as the first"
    return Broken(number=first, what=Damage.ADDED, where=where, said=said)


def _pieces(database: Database, organization: str, head: _Head) -> Iterator[Piece]:
    yield from rows.public_keys(database)
    # Signatures of entries that retention has dropped, and of the hash before the first one.
    yield from rows.checkpoints_within(database, head.id, Span(0, head.first_number))
    low = head.first_number
    while True:
        yield from _woven(database, head.id, Span(low, head.number + 1))
        low = max(low, head.number + 1)
        now = _head(database, organization)
        if now is None or now.number <= head.number:
            break
        head = now
    # The journal stands still: what is beyond its end was put there by somebody else.
    beyond = Span(head.number + 1, max(head.entries_to, head.checkpoints_to, head.number) + 1)
    yield from _woven(database, head.id, beyond)
    yield End(
        number=head.number,
        hash=head.hash,
        where=f"table organizations, name {organization}",
        month=head.month,
    )


def _woven(database: Database, organization_id: int, span: Span) -> Iterator[Piece]:
    """Give entries, each with its checkpoint behind it."""
    signed = rows.checkpoints_within(database, organization_id, span)
    checkpoint = next(signed, None)
    number = span.low
    for piece in _entries(database, organization_id, span):
        # Before what cannot be read comes only what belongs to the entry before it.
        number = piece.entry.number if isinstance(piece, StoredEntry) else number + 1
        while checkpoint is not None and checkpoint.number < number:
            yield checkpoint
            checkpoint = next(signed, None)
        yield piece
    if checkpoint is not None:
        yield checkpoint
    yield from signed


def _entries(
    database: Database, organization_id: int, span: Span
) -> Iterator[StoredEntry | Unreadable]:
    while True:
        try:
            batch = rows.entry_batch(database, organization_id, span)
        except ArchiveUnavailable:
            # A byte of a text that is no UTF-8 any more fails a whole batch: which row is it?
            yield from _one_by_one(database, organization_id, span)
            return
        if not batch:
            return
        yield from batch
        span = Span(batch[-1].entry.number + 1, span.high)


def _one_by_one(
    database: Database, organization_id: int, span: Span
) -> Iterator[StoredEntry | Unreadable]:
    """Give entries up to the one that cannot be read.

    Raises:
        ArchiveUnavailable: no row is to blame.
    """
    while True:
        query = select(func.min(entries.c.number)).where(
            entries.c.organization_id == organization_id,
            entries.c.number >= span.low,
            entries.c.number < span.high,
        )
        with database.read() as connection:
            number = connection.execute(query).scalar()
        if number is None:
            return
        try:
            yield from rows.entry_batch(database, organization_id, Span(number, number + 1))
        except ArchiveUnavailable as fault:
            said = f"entry {number} cannot be read: {fault}"
            yield Unreadable(said=said, where=f"table entries, number {number}")
            return
        span = Span(number + 1, span.high)


def _dropped_meanwhile(database: Database, organization: str, head: _Head | None) -> bool:
    """Tell whether retention has moved the beginning since the look at the head."""
    now = _head(database, organization)
    return head is not None and now is not None and now.first_number > head.first_number


def _head(database: Database, organization: str) -> _Head | None:
    """Return how the journal stands; None: the archive has nothing of this organisation."""
    here = organizations.c
    entries_to = (
        select(func.max(entries.c.number)).where(entries.c.organization_id == here.id)
    ).scalar_subquery()
    checkpoints_to = (
        select(func.max(checkpoints.c.number)).where(checkpoints.c.organization_id == here.id)
    ).scalar_subquery()
    # One statement: what it says of entries and of the head is of the same moment.
    query = select(
        organizations,
        entries_to.label("entries_to"),
        checkpoints_to.label("checkpoints_to"),
    ).where(here.name == organization)
    with database.read() as connection:
        row = connection.execute(query).first()
    return None if row is None else _head_of(row)


def _head_of(row: Row[tuple[object, ...]]) -> _Head:
    return _Head(
        id=row.id,
        number=row.number,
        hash=bytes(row.hash),
        month=row.month,
        first_number=row.first_number,
        first_hash=bytes(row.first_hash),
        entries_to=row.entries_to or 0,
        checkpoints_to=row.checkpoints_to or 0,
    )
