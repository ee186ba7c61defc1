"""The archive opens on both databases, and whatever goes wrong in it is said in one way."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text

from proxy.archive.database import ArchiveNewer, ArchiveUnavailable, Database, open_database
from proxy.archive.tables import signing_keys
from proxy.archive_settings import ArchiveSettings
from tests.doubles.archived import PostgresServer

KEY = {"id": "k", "public_key": b"p", "created_ms": 1}


def keys(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(signing_keys.c.id)).scalars())


def test_what_was_begun_is_kept(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(insert(signing_keys).values(KEY))

    assert keys(database) == ["k"]


def test_what_failed_is_undone(database: Database) -> None:
    def begin_and_fail() -> None:
        with database.begin() as connection:
            connection.execute(insert(signing_keys).values(KEY))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        begin_and_fail()

    assert keys(database) == []


def test_whoever_reads_cannot_write(database: Database) -> None:
    with pytest.raises(ArchiveUnavailable), database.read() as connection:
        connection.execute(insert(signing_keys).values(KEY))

    with database.begin() as connection:
        connection.execute(insert(signing_keys).values(KEY))
    assert keys(database) == ["k"]


def test_a_fault_of_the_database_tells_no_values(database: Database) -> None:
    with pytest.raises(ArchiveUnavailable) as caught, database.begin() as connection:
        connection.execute(text("INSERT INTO no_such_table VALUES (:v)"), {"v": "secret-value"})

    assert "no_such_table" in str(caught.value)
    assert "secret-value" not in str(caught.value)


def test_without_a_url_it_is_a_file_in_the_data_directory(tmp_path: Path) -> None:
    database = open_database(ArchiveSettings(), tmp_path / "new" / "folder")

    assert (tmp_path / "new" / "folder" / "archive.sqlite").exists()
    assert database.dialect == "sqlite"
    database.close()


def test_a_file_may_be_named(tmp_path: Path) -> None:
    path = tmp_path / "a b.sqlite"
    database = open_database(ArchiveSettings(url=f"sqlite:///{path}"), Path("unused"))

    assert path.exists()
    assert database.where == str(path)
    database.close()


def test_it_is_opened_again_as_it_was(database: Database, tmp_path: Path) -> None:
    with database.begin() as connection:
        connection.execute(insert(signing_keys).values(KEY))

    if database.dialect == "sqlite":
        again = open_database(ArchiveSettings(), tmp_path)
        assert keys(again) == ["k"]
        again.close()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ArchiveUnavailable, match="cannot be made"):
        open_database(ArchiveSettings(), tmp_path / "file" / "folder")


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "archive.sqlite").write_text("not a database, " * 1_000)

    with pytest.raises(ArchiveUnavailable, match="not a database"):
        open_database(ArchiveSettings(), tmp_path)


def test_a_lock_of_somebody_else_is_waited_for_and_then_said(tmp_path: Path) -> None:
    database = open_database(ArchiveSettings(), tmp_path, busy_ms=1)
    other = sqlite3.connect(tmp_path / "archive.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(ArchiveUnavailable, match="locked"), database.begin():
        pass

    other.close()
    with database.begin() as connection:
        connection.execute(insert(signing_keys).values(KEY))
    database.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://bursar:hunter2@127.0.0.1:1/bursar", "refused"),
        ("postgresql://bursar:hunter2@host/bursar?hunter2=1", "not one that Postgres understands"),
    ],
)
def test_a_postgres_that_is_not_there_is_said_without_its_password(url: str, said: str) -> None:
    with pytest.raises(ArchiveUnavailable, match=said) as caught:
        open_database(ArchiveSettings(url=url), Path("unused"))

    assert "hunter2" not in str(caught.value)


@pytest.mark.postgres
def test_a_database_that_is_not_there_is_said(postgres: PostgresServer) -> None:
    with postgres.database_url() as url:
        missing = url.replace("/bursar_", "/missing_")

    with pytest.raises(ArchiveUnavailable, match="does not exist"):
        open_database(ArchiveSettings(url=missing), Path("unused"))


@pytest.mark.postgres
def test_an_empty_postgres_is_filled(postgres: PostgresServer) -> None:
    with postgres.database_url(empty=True) as url:
        database = open_database(ArchiveSettings(url=url), Path("unused"))
        assert keys(database) == []
        database.close()


def test_tables_of_a_newer_version_are_left_alone(tmp_path: Path) -> None:
    database = open_database(ArchiveSettings(), tmp_path)
    with database.begin() as connection:
        connection.execute(text("UPDATE archive_version SET version_num = '9999'"))
    database.close()

    with pytest.raises(ArchiveNewer, match="9999"):
        open_database(ArchiveSettings(), tmp_path)


@pytest.mark.postgres
def test_a_connection_that_broke_is_made_anew(postgres_archive: Database) -> None:
    assert keys(postgres_archive) == []
    with pytest.raises(ArchiveUnavailable), postgres_archive.begin() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = pg_backend_pid()"
            )
        )

    with postgres_archive.begin() as connection:
        connection.execute(insert(signing_keys).values(KEY))

    assert keys(postgres_archive) == ["k"]


@pytest.mark.postgres
def test_a_statement_does_not_wait_for_ever_for_a_lock(postgres: PostgresServer) -> None:
    with postgres.database_url() as url:
        database = open_database(ArchiveSettings(url=url), Path("unused"), busy_ms=10)
        with database.begin() as holder:
            holder.execute(text("LOCK TABLE signing_keys"))
            with pytest.raises(ArchiveUnavailable, match="lock timeout"), database.begin() as other:
                other.execute(insert(signing_keys).values(KEY))
        database.close()
