"""What `bursar ledger` works with: the ledger, the archive, and who archives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from policies.ledger.interface import Due
from policies.reservations import State
from proxy.archive.database import Database
from proxy.archive.rebuild import Sources
from proxy.archive.recovery.calls import ArchivedCall
from proxy.archive.work import ArchiveWork
from proxy.cli.archive_access import open_archive
from proxy.cli.configuration import Configuration
from proxy.cli.ledger_access import LedgerAccess, with_ledger
from proxy.cli.output import note
from proxy.receipts.adapters.catalog import build_receipts

Result = TypeVar("Result")


def with_sources(
    configuration: Configuration,
    work: Callable[[Sources, ArchiveWork], Coroutine[Any, Any, Result]],
) -> Result:
    """Return what work on the ledger and its archive comes to.

    Raises:
        ArchiveUnavailable: the archive cannot be opened, or did not answer.
        LedgerUnavailable: the ledger did not answer.
    """
    settings, organization = configuration.settings, configuration.rulebook.organization

    def on(database: Database) -> Result:
        async def do(access: LedgerAccess) -> Result:
            ledger, receipts = access.ledger, settings.receipts
            queues = _queues(configuration)
            sources = Sources(
                ledger=ledger,
                commands=access.commands,
                keys=ledger.keys,
                database=database,
                organization=organization,
                rulebook=configuration.rulebook,
                due_of=_due_of(queues, receipts.first_after_ms, ledger.now_ms),
                give_up_after_ms=receipts.give_up_after_ms,
                queues=queues,
            )
            archive = ArchiveWork(
                access.commands,
                ledger.keys,
                database,
                organization,
                settings=settings.archive,
                data_dir=settings.data_dir,
                clock=access.clock,
                watch=_Unwatched(),
            )
            return await work(sources, archive)

        return with_ledger(configuration, do)

    with open_archive(settings) as database:
        return on(database)


def _queues(configuration: Configuration) -> tuple[str, ...]:
    """Return the providers that tell what single calls were billed."""
    providers = configuration.settings.providers
    return tuple(name for name, each in providers.items() if build_receipts(each) is not None)


def _due_of(
    queues: tuple[str, ...], first_after_ms: int, now_ms: Callable[[], int]
) -> Callable[[ArchivedCall], Due | None]:
    def due_of(call: ArchivedCall) -> Due | None:
        waits = call.record.state in (State.SETTLED, State.EXPIRED)
        if not waits or call.provider not in queues:
            return None
        after_ms = call.record.ended_ms + first_after_ms - now_ms()
        return Due(queue=call.provider, after_ms=max(0, after_ms))

    return due_of


class _Unwatched:
    """A command says what came of it itself; what the archive's work cannot do, it raises."""

    def archived(self, entries: int, seconds: float, newer: Counter[int]) -> None:
        """A batch is in the archive."""

    def waiting(self, entries: int, length: int, behind_ms: int | None) -> None:
        """So much waits for the archive."""

    def failed(self, what: str, fault: Exception) -> None:
        """Something did not work."""
        note(f"{what}: {fault}")

    def incident(self, incident: object, number: int) -> None:
        """Redis was emptied or put back: that is what this command is for."""

    def signed(self, signed: object) -> None:
        """The head of the chain is signed."""

    def dropped(self, dropped: object) -> None:
        """Months that are older than the retention are gone."""
