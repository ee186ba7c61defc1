"""Dropping months that are older than `archive.retention`, on Postgres: whole partitions, never rows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, func, select, text, update

from policies.clock import Clock
from proxy.archive.database import Database
from proxy.archive.months import month_of
from proxy.archive.partitions import Partitioned, lock, partition_name
from proxy.archive.tables import calls, checkpoints, entries, organizations
from proxy.archive.writer import Chain

_NAMES: Final = text(
    "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid "
    "WHERE inhparent = to_regclass(:parent)"
)


@dataclass(frozen=True, slots=True)
class Dropped:
    """What is gone, and what could not go yet."""

    #: Names of partitions.
    partitions: tuple[str, ...] = ()
    #: The last entry that is gone; 0: none is.
    last_number: int = 0
    #: Months whose entries no checkpoint proves yet.
    waiting: tuple[int, ...] = ()


class Retention:
    """Drops what is too old of one organisation. Blocks: it is used from a thread of its own."""

    def __init__(self, database: Database, retention_ms: int | None, clock: Clock) -> None:
        self._database = database
        self._retention_ms = retention_ms
        self._clock = clock

    def drop(self, chain: Chain) -> Dropped:
        """Drop every month that has passed whole; entries go only when a checkpoint lies behind them.

        What follows is proved by that checkpoint, and begins with the hash that is kept of what is
        gone. The sums of days, keys and counters stay.

        Raises:
            ArchiveUnavailable: the database did not answer, or refused.
        """
        if self._retention_ms is None or self._database.dialect != "postgresql":
            return Dropped()
        first_kept = month_of(self._clock.now_ms() - self._retention_ms)
        with self._database.read() as connection:
            old_entries = _before(connection, "entries", chain, first_kept)
            old_calls = _before(connection, "calls", chain, first_kept)
        gone: list[str] = []
        waiting: tuple[int, ...] = ()
        last_number = 0
        for at, month in enumerate(old_entries):
            dropped = self._drop_entries(chain, month)
            if dropped is None:
                waiting = tuple(old_entries[at:])
                break
            last_number = max(last_number, dropped)
            gone.append(partition_name("entries", chain.organization_id, month))
        gone += [self._drop_calls(chain, month) for month in old_calls]
        self._delete_calls_of_no_month(chain)
        return Dropped(tuple(gone), last_number, waiting)

    def _drop_entries(self, chain: Chain, month: int) -> int | None:
        """Drop a month of the journal; return its last entry (0: it had none), None: not yet."""
        name = partition_name("entries", chain.organization_id, month)
        of_month = (entries.c.organization_id == chain.organization_id) & (entries.c.month == month)
        with self._database.begin() as connection:
            lock(connection, "postgresql")
            last = connection.execute(
                select(entries.c.number, entries.c.hash)
                .where(of_month)
                .order_by(entries.c.number.desc())
                .limit(1)
            ).one_or_none()
            if last is None:
                _drop(connection, "entries", name)
                return 0
            signed = select(func.count()).where(
                checkpoints.c.organization_id == chain.organization_id,
                checkpoints.c.number >= last.number,
            )
            if chain.number <= last.number or not connection.execute(signed).scalar():
                return None
            connection.execute(
                update(organizations)
                .where(organizations.c.id == chain.organization_id)
                .values(first_number=last.number + 1, first_hash=last.hash)
            )
            _drop(connection, "entries", name)
            return int(last.number)

    def _drop_calls(self, chain: Chain, month: int) -> str:
        name = partition_name("calls", chain.organization_id, month)
        with self._database.begin() as connection:
            lock(connection, "postgresql")
            _drop(connection, "calls", name)
        return name

    def _delete_calls_of_no_month(self, chain: Chain) -> None:
        """Delete old calls whose ids tell no time: there are hardly any, and they are no evidence."""
        before_ms = self._clock.now_ms() - (self._retention_ms or 0)
        with self._database.begin() as connection:
            connection.execute(
                delete(calls).where(
                    calls.c.organization_id == chain.organization_id,
                    calls.c.month == 0,
                    calls.c.at_ms < before_ms,
                )
            )


def _before(connection: Connection, table: Partitioned, chain: Chain, first_kept: int) -> list[int]:
    """Return the months before one of which an organisation has partitions, in order."""
    pattern = re.compile(rf"{table}_{chain.organization_id}_(\d+)")
    names = connection.execute(_NAMES, {"parent": table}).scalars()
    found = [int(match[1]) for name in names if (match := pattern.fullmatch(name))]
    return sorted(month for month in found if 0 < month < first_kept)


def _drop(connection: Connection, table: Partitioned, name: str) -> None:
    """Take a partition off its table, and drop it with all that is in it."""
    connection.execute(text(f"ALTER TABLE {table} DETACH PARTITION {name}"))
    connection.execute(text(f"DROP TABLE {name}"))
