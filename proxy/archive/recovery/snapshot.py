"""The archive as it is at one moment, however much is written to it meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text

from proxy.archive.database import Database


class Snapshot:
    """Gives whoever reads the same transaction. It is used by one thread at a time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give the transaction."""
        yield self._connection


@contextmanager
def snapshot(database: Database) -> Iterator[Snapshot]:
    """Give the archive as it is now.

    Raises:
        ArchiveUnavailable: the database did not answer.
    """
    with database.read() as connection:
        if connection.dialect.name == "postgresql":
            # SQLite's transactions see one moment as they are.
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        yield Snapshot(connection)
