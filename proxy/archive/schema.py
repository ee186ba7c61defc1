"""Bringing the archive's tables to the form that this program knows, by one process at a time."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Final, Protocol

from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext, StampStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from proxy.archive.faults import ArchiveNewer

VERSION_TABLE: Final = "archive_version"
#: Any number, the same in every version: whoever holds it changes the tables.
_LOCK: Final = 4_836_279_120


class Door(Protocol):
    """Whatever leads to the database (`proxy/archive/database.py`)."""

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        ...

    @property
    def where(self) -> str:
        """For people."""
        ...

    def begin(self) -> AbstractContextManager[Connection]:
        """Give a transaction that may write."""
        ...

    def read(self) -> AbstractContextManager[Connection]:
        """Give a transaction that reads."""
        ...


def scripts() -> ScriptDirectory:
    """Return the migrations, which are files of the package."""
    config = Config()
    config.set_main_option("script_location", "proxy.archive:migrations")
    config.set_main_option("version_locations", "proxy.archive:migrations")
    config.set_main_option("path_separator", "newline")
    return ScriptDirectory.from_config(config)


def upgrade(database: Door) -> None:
    """Run the migrations that this database has not seen, in one transaction.

    Raises:
        ArchiveNewer: it has seen some that this program does not know.
        ArchiveUnavailable: the database did not answer, or refused.
    """
    known = scripts()
    head = known.get_current_head()
    with database.read() as connection:
        if _version(connection) == head:
            return
    with database.begin() as connection:
        if database.dialect == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            # An index on many rows takes its time.
            connection.execute(text("SET LOCAL statement_timeout = 0"))
        version = _version(connection)
        if version is not None and version not in {
            each.revision for each in known.walk_revisions()
        }:
            raise ArchiveNewer(
                f"the archive at {database.where} was changed by a newer version of this program "
                f"(its tables are at {version}, this one knows {head}): start that version"
            )
        _run(connection, known, head)


def _version(connection: Connection) -> str | None:
    return _context(connection).get_current_revision()


def _context(connection: Connection, steps: object = None) -> MigrationContext:
    return MigrationContext.configure(
        connection, opts={"version_table": VERSION_TABLE, "fn": steps}
    )


def _run(connection: Connection, known: ScriptDirectory, head: str | None) -> None:
    def steps(current: tuple[str, ...], context: MigrationContext) -> list[StampStep]:
        del context
        return known._upgrade_revs(head or "base", current)  # type: ignore[arg-type,return-value]  # noqa: SLF001  # What `alembic upgrade` itself calls.

    context = _context(connection, steps)
    with Operations.context(context):
        context.run_migrations()
