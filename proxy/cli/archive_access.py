"""The archive for commands: the one that the configuration names, else the file beside the ledger."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from policies.ledger.redis_ledger import RedisLedger
from proxy.archive.database import ArchiveUnavailable, Database, open_database
from proxy.archive.reader import ArchiveReader, Away
from proxy.cli.configuration import Configuration
from proxy.cli.ledger_access import LedgerAccess, with_ledger
from proxy.settings import Settings

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """Where calls are found: those of the last second in the ledger alone, old ones in the archive alone."""

    ledger: RedisLedger
    archive: ArchiveReader
    access: LedgerAccess


@contextmanager
def open_archive(settings: Settings) -> Iterator[Database]:
    """Give the archive that the settings name.

    Raises:
        ArchiveUnavailable: it cannot be opened.
    """
    database = open_database(settings.archive, settings.data_dir)
    try:
        yield database
    finally:
        database.close()


def with_readers(
    configuration: Configuration,
    work: Callable[[Readers], Coroutine[Any, Any, Result]],
    *,
    can_do_without: bool = False,
) -> Result:
    """Return what work on ledger and archive comes to.

    Args:
        configuration: names both.
        work: what to do.
        can_do_without: the work is done without an archive that cannot be opened; asking it raises.

    Raises:
        ArchiveUnavailable: the archive cannot be opened, or did not answer.
        LedgerUnavailable: the ledger did not answer.
    """
    organization = configuration.rulebook.organization

    def do(archive: ArchiveReader) -> Result:
        async def with_both(access: LedgerAccess) -> Result:
            return await work(Readers(ledger=access.ledger, archive=archive, access=access))

        return with_ledger(configuration, with_both)

    try:
        database = open_database(configuration.settings.archive, configuration.settings.data_dir)
    except ArchiveUnavailable as fault:
        if not can_do_without:
            raise
        return do(Away(fault))
    try:
        return do(ArchiveReader(database, organization))
    finally:
        database.close()
