"""On Postgres every month of an organisation is a partition of its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from proxy.archive.database import Database
from proxy.archive.partitions import ensure, partition_name

pytestmark = pytest.mark.postgres


def partitions(database: Database) -> set[str]:
    names = text(
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
        "WHERE inhparent IN (to_regclass('entries'), to_regclass('calls'))"
    )
    with database.read() as connection:
        return set(connection.execute(names).scalars())


def test_months_get_partitions(postgres_archive: Database) -> None:
    with postgres_archive.begin() as connection:
        ensure(connection, "entries", 1, (202_611, 202_612))
        ensure(connection, "calls", 2, (0, 202_612))

    assert partitions(postgres_archive) == {
        "entries_1_202611",
        "entries_1_202612",
        "calls_2_0",
        "calls_2_202612",
    }


def test_a_partition_that_is_there_stays(postgres_archive: Database) -> None:
    for _ in range(2):
        with postgres_archive.begin() as connection:
            ensure(connection, "calls", 1, (202_611,))

    assert partitions(postgres_archive) == {partition_name("calls", 1, 202_611)}


def test_replicas_that_make_the_same_one_make_it_once(postgres_archive: Database) -> None:
    def make(_: int) -> None:
        with postgres_archive.begin() as connection:
            ensure(connection, "entries", 1, (202_611,))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, range(4)))

    assert partitions(postgres_archive) == {"entries_1_202611"}


def test_a_file_has_none(sqlite_archive: Database) -> None:
    with sqlite_archive.begin() as connection:
        ensure(connection, "entries", 1, (202_611,))
        tables = connection.execute(text("SELECT name FROM sqlite_master")).scalars()

        assert "entries_1_202611" not in set(tables)
