"""Whoever reads a snapshot sees one moment, whatever is written meanwhile."""

from __future__ import annotations

from sqlalchemy import func, select

from proxy.archive.database import Database
from proxy.archive.recovery.snapshot import Snapshot, snapshot
from proxy.archive.tables import entries
from tests.doubles.archived import archive_entries
from tests.doubles.journal_rows import life


def count(at: Snapshot | Database) -> int:
    with at.read() as connection:
        return int(connection.execute(select(func.count()).select_from(entries)).scalar_one())


def test_what_is_written_meanwhile_is_not_seen(database: Database) -> None:
    archive_entries(database, "acme", life(1))

    with snapshot(database) as at:
        assert count(at) == 2
        archive_entries(database, "acme", life(2))
        assert count(at) == 2
        assert count(database) == 4
