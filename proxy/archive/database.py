"""The archive's database: SQLite or Postgres behind one door, and the one place that knows drivers."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import unquote, urlsplit

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from proxy.archive.faults import ArchiveNewer, ArchiveUnavailable
from proxy.archive_settings import ArchiveSettings

__all__ = ["ArchiveNewer", "ArchiveUnavailable", "Database", "database_at", "open_database"]

SQLITE_FILE: Final = "archive.sqlite"
#: How long a connection to Postgres may take, and one statement.
CONNECT_S: Final = 5
STATEMENT_MS: Final = 60_000
#: How long to wait for a lock that another process holds.
LOCK_MS: Final = 5_000
# For every connection to SQLite, in this order:
SQLITE_SETTINGS: Final = (
    # Readers and the writer do not keep each other waiting.
    "journal_mode=WAL",
    # A power failure may undo the last commits, and never tears one. What they held is still in the
    # journal in Redis, for as long as `archive.keep`.
    "synchronous=NORMAL",
    # 32 MiB of pages. The file is not mapped: its pages would count as memory of the process.
    "cache_size=-32768",
    # After a long read the log is cut back to that.
    "journal_size_limit=67108864",
)
_READING: Final = "bursar_reading"

Dialect = Literal["sqlite", "postgresql"]


class Database:
    """A pool of connections; may be used from any thread."""

    def __init__(self, engine: Engine, dialect: Dialect, where: str) -> None:
        self.engine: Final = engine
        self.dialect: Final = dialect
        #: For people, without secrets: a file, or host and database.
        self.where: Final = where

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Give a transaction that may write; it is committed at the end, or undone by an exception.

        Raises:
            ArchiveUnavailable: anything went wrong in the database. After a commit that was not
                answered it may have taken place.
        """
        with _translated(self.where), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a transaction that reads; the database refuses it to write.

        Raises:
            ArchiveUnavailable: anything went wrong in the database.
        """
        options: dict[str, Any] = {_READING: True, "postgresql_readonly": True}
        with (
            _translated(self.where),
            self.engine.connect().execution_options(**options) as connection,
            connection.begin(),
        ):
            yield connection

    def close(self) -> None:
        """Close every connection that is not in use."""
        self.engine.dispose()


def database_at(settings: ArchiveSettings, data_dir: Path, *, busy_ms: int = LOCK_MS) -> Database:
    """Return where the archive is, without connecting to it: whatever is wrong shows at its first use.

    Args:
        settings: where it is; without a URL it is a file in the data directory.
        data_dir: is made when it is missing.
        busy_ms: how long to wait for somebody else's lock.
    """
    url = settings.url
    if url is None or urlsplit(url).scheme == "sqlite":
        return _sqlite(_file_of(url, data_dir), busy_ms)
    return _postgres(url, busy_ms)


def open_database(settings: ArchiveSettings, data_dir: Path, *, busy_ms: int = LOCK_MS) -> Database:
    """Open the archive, and bring its tables to the form that this program knows.

    Args:
        settings: where it is; without a URL it is a file in the data directory.
        data_dir: is made when it is missing.
        busy_ms: how long to wait for somebody else's lock.

    Raises:
        ArchiveUnavailable: it cannot be reached, or not be written.
        ArchiveNewer: a newer version of the program has changed its tables.
    """
    # Alembic takes a tenth of a second to import, and only whoever opens an archive needs it.
    from proxy.archive.schema import upgrade  # noqa: PLC0415  # See above.

    database = database_at(settings, data_dir, busy_ms=busy_ms)
    try:
        upgrade(database)
    except BaseException:
        database.close()
        raise
    return database


def _file_of(url: str | None, data_dir: Path) -> Path:
    if url is None:
        return data_dir / SQLITE_FILE
    # As everywhere: three slashes before a relative path, four before an absolute one.
    return Path(unquote(urlsplit(url).path)[1:])


def _sqlite(path: Path, busy_ms: int) -> Database:
    def connect() -> sqlite3.Connection:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise ArchiveUnavailable(
                f"the archive at {path} cannot be made: {fault.strerror}"
            ) from fault
        # Python's own handling of transactions is switched off: it would begin one only at the first
        # write, and a reader that becomes a writer may be refused at once. `busy_ms` is for those.
        connection = sqlite3.connect(
            path, timeout=busy_ms / 1000, isolation_level=None, check_same_thread=False
        )
        for setting in SQLITE_SETTINGS:
            connection.execute(f"PRAGMA {setting}")
        return connection

    engine = create_engine(f"sqlite:///{path}", creator=connect)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get(_READING, False)
        connection.exec_driver_sql(f"PRAGMA query_only={'ON' if reading else 'OFF'}")
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return Database(engine, "sqlite", str(path))


def _postgres(url: str, busy_ms: int) -> Database:
    def connect() -> psycopg.Connection[Any]:
        return psycopg.connect(
            url,
            connect_timeout=CONNECT_S,
            application_name="bursar",
            # A server that vanished is noticed, whatever the network says.
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=STATEMENT_MS,
            options=f"-c statement_timeout={STATEMENT_MS} -c lock_timeout={busy_ms}",
        )

    engine = create_engine("postgresql+psycopg://", creator=connect, pool_pre_ping=True)
    parts = urlsplit(url)
    where = f"{parts.hostname or 'the local server'}{parts.path}"
    return Database(engine, "postgresql", where)


@contextmanager
def _translated(where: str) -> Iterator[None]:
    """Let nothing of a driver out: whoever uses the archive knows one fault."""
    try:
        yield
    except SQLAlchemyError as fault:
        raise ArchiveUnavailable(f"the archive at {where}: {_said(fault)}") from fault
    except (sqlite3.Error, psycopg.Error) as fault:
        raise ArchiveUnavailable(f"the archive at {where}: {_cause(fault)}") from fault


def _said(fault: SQLAlchemyError) -> str:
    """Return what went wrong, without the statement and its values."""
    if isinstance(fault, DBAPIError) and fault.orig is not None:
        return _cause(fault.orig)
    return str(fault).partition("\n")[0]


def _cause(fault: BaseException) -> str:
    # A connection string that cannot be read is quoted in the message, password and all.
    if isinstance(fault, psycopg.ProgrammingError) and fault.sqlstate is None:
        return "its address is not one that Postgres understands"
    text = " ".join(str(fault).split())
    return text or type(fault).__name__
