"""Writing batches of the journal into the archive: all of a batch in one transaction, or none of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update

from policies.clock import Clock
from proxy.archive import partitions
from proxy.archive.chain import ChainedEntry, genesis, link
from proxy.archive.database import ArchiveUnavailable, Database
from proxy.archive.derived import known_calls, store
from proxy.archive.months import month_of, next_month
from proxy.archive.projection import calls_of, project
from proxy.archive.stream import StreamEntry
from proxy.archive.tables import entries as entries_table
from proxy.archive.tables import organizations

#: Where the journal's stream begins.
BEFORE_THE_FIRST: Final = "0-0"
#: As many rows at once as Postgres has room for parameters.
_ROWS_AT_ONCE: Final = 1_000


class ArchiveMoved(ArchiveUnavailable):
    """Somebody else has written since the head was read: read it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """An organisation's chain, as it stands."""

    organization_id: int
    #: Of the last entry; 0 when there is none.
    number: int
    hash: bytes
    stream_id: str
    month: int


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a batch."""

    chain: Chain
    #: Entries of versions that this program does not know, by version.
    newer: Counter[int] = field(default_factory=Counter)


class Writer:
    """Writes one organisation's entries. Blocks: it is used from a thread of its own."""

    def __init__(self, database: Database, organization: str, clock: Clock) -> None:
        self._database = database
        self._organization = organization
        self._clock = clock

    def chain(self) -> Chain:
        """Return where the chain stands; the organisation is entered when it is new.

        Raises:
            ArchiveUnavailable: the database did not answer.
        """
        with self._database.read() as connection:
            found = self._find(connection)
        if found is not None:
            return found
        with self._database.begin() as connection:
            partitions.lock(connection, self._database.dialect)
            found = self._find(connection)
            return found if found is not None else self._enter(connection)

    def write(self, chain: Chain, batch: Sequence[StreamEntry]) -> Written:
        """Append entries behind the head, and bring everything derived from them up to date.

        Raises:
            ArchiveMoved: the chain ends elsewhere by now; nothing was written.
            ArchiveUnavailable: the database did not answer, or refused. Unless the answer to the
                commit was lost, nothing was written.
        """
        if not batch:
            return Written(chain)
        month = self._month(chain, batch[-1].at_ms)
        numbered, rows = _linked(chain, batch, month)
        head = Chain(
            organization_id=chain.organization_id,
            number=numbered[-1].number,
            hash=rows[-1]["hash"],
            stream_id=numbered[-1].stream_id,
            month=month,
        )
        with self._database.begin() as connection:
            self._move_head(connection, chain, head)
            partitions.ensure(connection, "entries", chain.organization_id, (month,))
            for at in range(0, len(rows), _ROWS_AT_ONCE):
                connection.execute(insert(entries_table), rows[at : at + _ROWS_AT_ONCE])
            known = known_calls(connection, chain.organization_id, calls_of(numbered))
            changes = project(numbered, known)
            new = {call.month for call_id, call in changes.calls.items() if call_id not in known}
            partitions.ensure(connection, "calls", chain.organization_id, sorted(new))
            store(connection, chain.organization_id, changes)
        return Written(head, changes.newer)

    def prepare(self, chain: Chain) -> None:
        """Make next month's partitions before they are needed, where there are any.

        Raises:
            ArchiveUnavailable: the database did not answer, or refused.
        """
        if self._database.dialect != "postgresql":
            return
        month = month_of(self._clock.now_ms())
        with self._database.begin() as connection:
            for table in ("entries", "calls"):
                months = (month, next_month(month))
                partitions.ensure(connection, table, chain.organization_id, months)

    def _month(self, chain: Chain, at_ms: int) -> int:
        """Return the month to file a batch in: never before the last one's, nor far in the future.

        One wrong clock for a moment must not file everything under a month that never ends.
        """
        latest = next_month(month_of(self._clock.now_ms()))
        return max(chain.month, min(month_of(at_ms), latest))

    def _find(self, connection: Connection) -> Chain | None:
        table = organizations.c
        row = connection.execute(
            select(table.id, table.number, table.hash, table.stream_id, table.month).where(
                table.name == self._organization
            )
        ).one_or_none()
        if row is None:
            return None
        return Chain(
            organization_id=row.id,
            number=row.number,
            hash=row.hash,
            stream_id=row.stream_id,
            month=row.month,
        )

    def _enter(self, connection: Connection) -> Chain:
        first = genesis(self._organization)
        made = connection.execute(
            insert(organizations)
            .values(
                name=self._organization,
                number=0,
                hash=first,
                stream_id=BEFORE_THE_FIRST,
                month=0,
                first_number=1,
                first_hash=first,
            )
            .returning(organizations.c.id)
        ).scalar_one()
        return Chain(
            organization_id=made, number=0, hash=first, stream_id=BEFORE_THE_FIRST, month=0
        )

    def _move_head(self, connection: Connection, old: Chain, new: Chain) -> None:
        """Take the chain's next places: of two writers, the database lets one pass."""
        table = organizations.c
        moved = connection.execute(
            update(organizations)
            .where(table.id == old.organization_id, table.number == old.number)
            .where(table.hash == old.hash)
            .values(number=new.number, hash=new.hash, stream_id=new.stream_id, month=new.month)
        )
        if moved.rowcount != 1:
            raise ArchiveMoved(
                f"the archive at {self._database.where}: somebody else has written entry "
                f"{old.number + 1} of {self._organization}"
            )


def _linked(
    chain: Chain, batch: Sequence[StreamEntry], month: int
) -> tuple[list[ChainedEntry], list[dict[str, Any]]]:
    """Return a batch with its numbers, and its rows with their hashes."""
    numbered, rows, last = [], [], chain.hash
    for number, each in enumerate(batch, start=chain.number + 1):
        entry = each.numbered(number)
        last = link(last, entry)
        numbered.append(entry)
        rows.append(
            {
                "organization_id": chain.organization_id,
                "number": number,
                "month": month,
                "stream_id": entry.stream_id,
                "at_ms": entry.at_ms,
                "version": entry.version,
                "kind": entry.kind,
                "call_id": entry.call_id,
                "data": entry.data,
                "moves": entry.moves,
                "checks": entry.checks,
                "more": entry.more,
                "hash": last,
            }
        )
    return numbered, rows
