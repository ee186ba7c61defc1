"""The database itself refuses to rewrite history."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, text

from proxy.archive.database import ArchiveUnavailable, Database
from proxy.archive.tables import checkpoints, signing_keys
from tests.doubles.archived import archive_entries
from tests.doubles.journal_rows import life

EVIDENCE = ("entries", "checkpoints", "signing_keys")
REFUSED = "append-only"


def fill(database: Database) -> Database:
    archive_entries(database, "acme", life(1))
    with database.begin() as connection:
        connection.execute(
            insert(checkpoints).values(
                organization_id=1, number=2, at_ms=1, hash=b"h", key_id="k", signature=b"s"
            )
        )
        connection.execute(insert(signing_keys).values(id="k", public_key=b"p", created_ms=1))
    return database


@pytest.fixture
def filled(database: Database) -> Database:
    return fill(database)


@pytest.fixture
def file(sqlite_archive: Database) -> Database:
    return fill(sqlite_archive)


@pytest.fixture
def server(postgres_archive: Database) -> Database:
    return fill(postgres_archive)


@pytest.mark.parametrize("table", EVIDENCE)
def test_no_row_is_deleted(filled: Database, table: str) -> None:
    with pytest.raises(ArchiveUnavailable, match=REFUSED), filled.begin() as connection:
        connection.execute(text(f"DELETE FROM {table}"))


@pytest.mark.parametrize(
    "change",
    [
        "entries SET data = '{}'",
        "entries SET hash = hash",
        "entries SET month = 209912",
        "checkpoints SET hash = hash",
        "signing_keys SET created_ms = 2",
    ],
)
def test_no_row_is_changed(filled: Database, change: str) -> None:
    with pytest.raises(ArchiveUnavailable, match=REFUSED), filled.begin() as connection:
        connection.execute(text(f"UPDATE {change}"))


def test_no_row_of_a_file_is_replaced(file: Database) -> None:
    for table in EVIDENCE:
        with pytest.raises(ArchiveUnavailable, match=REFUSED), file.begin() as connection:
            connection.execute(text(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}"))


def test_no_number_is_given_twice_in_a_file(file: Database) -> None:
    columns = "stream_id, at_ms, version, kind, call_id, data, moves, checks, more, hash"
    again = f"INSERT INTO entries SELECT 1, number, 209912, {columns} FROM entries"

    with pytest.raises(ArchiveUnavailable, match=REFUSED), file.begin() as connection:
        connection.execute(text(again))


@pytest.mark.postgres
@pytest.mark.parametrize("table", [*EVIDENCE, "entries_1_202611"])
def test_no_table_is_emptied(server: Database, table: str) -> None:
    with pytest.raises(ArchiveUnavailable, match=REFUSED), server.begin() as connection:
        connection.execute(text(f"TRUNCATE {table}"))


@pytest.mark.postgres
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET data = '{{}}'"])
def test_no_row_of_a_partition_is_touched_by_its_own_name(server: Database, statement: str) -> None:
    with pytest.raises(ArchiveUnavailable, match=REFUSED), server.begin() as connection:
        connection.execute(text(statement.format("entries_1_202611")))
