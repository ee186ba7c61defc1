"""What `bursar ledger` works with: who waits for a receipt, and that everything is archived first."""

from __future__ import annotations

from proxy.archive.compare import compare
from proxy.archive.rebuild import Sources
from proxy.archive.recovery.calls import ArchivedCall, calls_since
from proxy.archive.work import ArchiveWork
from proxy.cli.configuration import Configuration
from proxy.cli.ledger_sources import with_sources
from tests.proxy.cli.ledgers import some_calls


async def flushed(sources: Sources, archive: ArchiveWork) -> list[ArchivedCall]:
    await archive.flush()
    batches = calls_since(sources.database, sources.organization, 0)
    return [call for batch in batches for call in batch]


def test_a_settled_call_of_a_provider_that_tells_its_bills_waits_for_one(
    configuration: Configuration,
) -> None:
    some_calls(configuration)

    async def work(sources: Sources, archive: ArchiveWork) -> None:
        found = {call.id: sources.due_of(call) for call in await flushed(sources, archive)}

        assert found["call_open"] is None
        due = found["call_settled"]
        assert due is not None
        assert due.queue == "sim"
        assert 0 < due.after_ms <= 180_000
        assert sources.queues == ("sim",)

    with_sources(configuration, work)


def test_what_was_archived_by_a_command_is_there_for_the_next_one(
    configuration: Configuration,
) -> None:
    some_calls(configuration)
    with_sources(configuration, flushed)

    async def work(sources: Sources, archive: ArchiveWork) -> None:
        assert (await compare(sources)).not_archived == 0
        assert await archive.flush() == 0

    with_sources(configuration, work)
