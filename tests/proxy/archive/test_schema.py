"""The migrations lead to the tables that the program knows; several that open at once do it once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect

from proxy.archive.database import Database, open_database
from proxy.archive.schema import VERSION_TABLE, scripts
from proxy.archive.tables import metadata
from proxy.archive_settings import ArchiveSettings
from tests.doubles.archived import PostgresServer


def test_the_migrations_make_what_the_program_knows(database: Database) -> None:
    with database.read() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        differences = compare_metadata(context, metadata)

    assert [difference for difference in differences if _matters(difference)] == []


def _matters(difference: Any) -> bool:
    """Leave out partitions, which belong to their tables."""
    return not (difference[0] == "remove_table" and difference[1].name not in metadata.tables)


def test_every_index_is_there(database: Database) -> None:
    wanted = {index.name for table in metadata.tables.values() for index in table.indexes}
    found = inspect(database.engine)

    assert wanted <= {
        index["name"] for name in metadata.tables for index in found.get_indexes(name)
    }


def test_there_is_one_way_through_the_migrations() -> None:
    assert len(scripts().get_heads()) == 1
    assert scripts().get_base() == "0001"


def test_replicas_that_start_at_once_share_a_file(tmp_path: Path) -> None:
    _open_at_once(ArchiveSettings(), tmp_path)


@pytest.mark.postgres
def test_replicas_that_start_at_once_share_a_postgres(postgres: PostgresServer) -> None:
    with postgres.database_url(empty=True) as url:
        _open_at_once(ArchiveSettings(url=url), Path("unused"))


def _open_at_once(settings: ArchiveSettings, folder: Path) -> None:
    with ThreadPoolExecutor(6) as pool:
        opened = list(pool.map(lambda _: open_database(settings, folder), range(6)))
    for database in opened:
        assert inspect(database.engine).has_table("entries")
        database.close()
