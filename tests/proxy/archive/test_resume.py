"""After whatever happened, the archive goes on at the first entry that it has not."""

from __future__ import annotations

import pytest

from policies.ledger.connection import Connection
from proxy.archive import resume as resuming
from proxy.archive.chain import genesis
from proxy.archive.database import Database
from proxy.archive.queue import JournalQueue, NotOurs, Place
from proxy.archive.resume import Incident, Resumed, resume
from proxy.archive.stream import StreamEntry, read_row
from proxy.archive.writer import Chain, Writer
from tests.doubles.fake_clock import FakeClock
from tests.doubles.journal_rows import entry, life
from tests.doubles.journal_stream import JournalStream


class Scene:
    """A journal and an archive."""

    def __init__(self, stream: JournalStream, database: Database) -> None:
        self.stream = stream
        self.queue = JournalQueue(stream.connection, stream.keys, owner="me")
        self.database = database
        self.chain: Chain = Writer(database, "acme", FakeClock()).chain()

    async def archive(self, count: int, behind: str = "0-0") -> None:
        """Archive the next entries, and note nothing."""
        rows = (await self.queue.take(behind, count)).rows
        batch = [read_row(row) for row in rows]
        self.chain = Writer(self.database, "acme", FakeClock()).write(self.chain, batch).chain

    def place(self) -> Place:
        return Place(self.chain.number, self.chain.stream_id, self.chain.hash.hex(), -1)

    async def resume(self, place: Place | None) -> Resumed:
        return await resume(self.queue, self.database, self.chain, place)


@pytest.fixture
def scene(connection: Connection, organization: str, sqlite_archive: Database) -> Scene:
    return Scene(JournalStream(connection, organization), sqlite_archive)


def notes(count: int, first: int = 0) -> list[StreamEntry]:
    return [entry("note", None, {"n": number}) for number in range(first, first + count)]


async def test_a_new_archive_begins_at_the_beginning(scene: Scene) -> None:
    await scene.stream.add(*notes(3))

    assert await scene.resume(None) == Resumed("0-0")


async def test_it_goes_on_where_it_was_noted(scene: Scene) -> None:
    await scene.stream.add(*notes(3))
    await scene.archive(2)

    assert await scene.resume(scene.place()) == Resumed("2-0")


async def test_a_batch_that_was_not_noted_is_found_in_the_archive(scene: Scene) -> None:
    await scene.stream.add(*notes(5))
    await scene.archive(2)
    noted = scene.place()
    await scene.archive(2, "2-0")

    assert await scene.resume(noted) == Resumed("4-0")


async def test_batches_of_any_size_are_walked(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resuming, "_AT_ONCE", 2)
    await scene.stream.add(*notes(9))
    await scene.archive(1)
    noted = scene.place()
    await scene.archive(6, "1-0")

    assert await scene.resume(noted) == Resumed("7-0")


async def test_the_first_batch_that_was_not_noted_is_found(scene: Scene) -> None:
    await scene.stream.add(*life(1), *life(2))
    noted = Place(0, "0-0", genesis("acme").hex(), 0)
    await scene.archive(2)

    assert await scene.resume(noted) == Resumed("2-0")


async def test_without_a_note_the_last_entry_is_looked_for(scene: Scene) -> None:
    await scene.stream.add(*notes(5))
    await scene.archive(3)

    assert await scene.resume(None) == Resumed("3-0")


async def test_an_emptied_journal_begins_anew_even_under_old_ids(scene: Scene) -> None:
    await scene.stream.add(*notes(5))
    await scene.archive(3)
    await scene.stream.empty()
    await scene.stream.add(*notes(5, first=100))

    assert await scene.resume(None) == Resumed("0-0", Incident.EMPTIED)


async def test_an_emptied_journal_without_entries_begins_anew(scene: Scene) -> None:
    await scene.stream.add(*notes(2))
    await scene.archive(2)
    await scene.stream.empty()

    assert await scene.resume(None) == Resumed("0-0", Incident.EMPTIED)


async def test_in_an_old_copy_what_the_archive_has_is_not_taken_again(scene: Scene) -> None:
    await scene.stream.add(*notes(4))
    await scene.archive(2)
    noted = scene.place()
    copy = await scene.stream.copy()
    await scene.stream.add(*notes(3, first=4))
    await scene.archive(5, "2-0")
    await scene.stream.put_back(copy)
    await scene.stream.add(*notes(1, first=100), stream_id="5-0")

    assert await scene.resume(noted) == Resumed("4-0", Incident.OLD_COPY)


async def test_an_old_copy_without_anything_new_is_told_apart(scene: Scene) -> None:
    await scene.stream.add(*notes(2))
    await scene.archive(2)
    noted, copy = scene.place(), await scene.stream.copy()
    await scene.stream.add(*notes(2, first=2))
    await scene.archive(2, "2-0")
    await scene.stream.put_back(copy)

    assert await scene.resume(noted) == Resumed("2-0", Incident.OLD_COPY)


async def test_an_older_archive_gets_again_what_redis_still_has(scene: Scene) -> None:
    await scene.stream.add(*notes(4))
    await scene.archive(2)
    noted = Place(4, "4-0", "ff", 4)

    assert await scene.resume(noted) == Resumed("2-0", Incident.ARCHIVE_OLDER)


async def test_another_archive_with_as_many_entries_is_told_apart(scene: Scene) -> None:
    await scene.stream.add(*notes(4))
    await scene.archive(2)
    noted = Place(2, "4-0", "ff", 4)

    assert await scene.resume(noted) == Resumed("2-0", Incident.ARCHIVE_OLDER)


async def test_a_gap_that_redis_cannot_fill_is_said(scene: Scene) -> None:
    await scene.stream.add(*notes(4))
    await scene.archive(2)
    await scene.stream.execute("XTRIM", scene.stream.keys.journal, "MINID", "4-0")
    noted = Place(4, "4-0", "ff", 4)

    assert await scene.resume(noted) == Resumed("0-0", Incident.ARCHIVE_GAP)


async def test_a_new_archive_beside_an_old_journal_is_said(scene: Scene) -> None:
    await scene.stream.add(*notes(4))
    noted = Place(4, "4-0", "ff", 4)

    assert await scene.resume(noted) == Resumed("0-0", Incident.ARCHIVE_GAP)


async def test_whoever_loses_the_claim_stops(scene: Scene) -> None:
    await scene.stream.add(*notes(4))
    await scene.archive(1)
    noted = scene.place()
    await scene.archive(2, "1-0")
    await scene.queue.let_go()
    await JournalQueue(scene.stream.connection, scene.stream.keys, owner="you").take("0-0", 1)

    with pytest.raises(NotOurs):
        await scene.resume(noted)
