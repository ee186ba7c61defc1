"""Commands read ledger and archive; what can do without the archive is done without it."""

from __future__ import annotations

import pytest

from proxy.archive.database import ArchiveUnavailable
from proxy.cli.archive_access import Readers, open_archive, with_readers
from proxy.cli.configuration import Configuration
from tests.doubles.lived_calls import Lives
from tests.proxy.cli.archives import archived
from tests.proxy.cli.ledgers import some_calls


async def entries(readers: Readers) -> int:
    assert await readers.ledger.find("call_settled") is not None
    return (await readers.archive.head()).number


def test_both_are_read(configuration: Configuration) -> None:
    some_calls(configuration)
    lives = Lives()
    lives.call()
    archived(configuration, lives)

    assert with_readers(configuration, entries) == 2


def test_an_archive_that_cannot_be_opened(configuration: Configuration) -> None:
    some_calls(configuration)
    broken = configuration.settings.data_dir / "archive.sqlite"
    broken.parent.mkdir(parents=True, exist_ok=True)
    broken.write_text("this is no database" * 100)

    async def ledger_alone(readers: Readers) -> bool:
        return await readers.ledger.find("call_settled") is not None

    assert with_readers(configuration, ledger_alone, can_do_without=True)
    with pytest.raises(ArchiveUnavailable):
        with_readers(configuration, ledger_alone)
    with pytest.raises(ArchiveUnavailable):
        with_readers(configuration, entries, can_do_without=True)
    with pytest.raises(ArchiveUnavailable), open_archive(configuration.settings):
        pytest.fail("it was opened")
