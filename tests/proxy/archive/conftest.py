"""An archive for each test, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.archive.database import Database, open_database
from proxy.archive_settings import ArchiveSettings
from tests.doubles.archived import PostgresServer, postgres_server, sqlite_database


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real server; tests keep apart by database."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def sqlite_archive(tmp_path: Path) -> Iterator[Database]:
    database = sqlite_database(tmp_path)
    yield database
    database.close()


@pytest.fixture
def postgres_archive(postgres: PostgresServer) -> Iterator[Database]:
    with postgres.database_url() as url:
        database = open_database(ArchiveSettings(url=url), Path())
        yield database
        database.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> Database:
    """Each test that asks for an archive runs on both databases."""
    chosen = request.getfixturevalue(f"{request.param}_archive")
    assert isinstance(chosen, Database)
    return chosen
