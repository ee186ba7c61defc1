"""The journal comes into the archive exactly once and in order, whatever dies in between."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from policies.errors import LedgerUnavailable
from policies.ledger.connection import Connection
from proxy.archive.chain import ChainedEntry, genesis, link
from proxy.archive.database import ArchiveUnavailable, Database
from proxy.archive.queue import JournalQueue
from proxy.archive.resume import Incident
from proxy.archive.signing import KEY_FILE
from proxy.archive.stream import StreamEntry, read_row
from proxy.archive.tables import checkpoints, entries
from proxy.archive.work import ArchiveWork
from proxy.archive.writer import Writer
from proxy.archive_settings import ArchiveSettings
from proxy.tasks import Tasks
from tests.doubles.archiving import FlakyCommands, FlakyDatabase, Listener
from tests.doubles.fake_clock import FakeClock
from tests.doubles.journal_rows import entry
from tests.doubles.journal_stream import JournalStream
from tests.doubles.waiting import until


class Scene:
    """A journal, an archive, and what may go wrong between them."""

    def __init__(
        self, connection: Connection, organization: str, database: Database, folder: Path
    ) -> None:
        self.stream = JournalStream(connection, organization)
        self.commands = FlakyCommands(connection)
        self.database = FlakyDatabase(database)
        self.organization = organization
        self.folder = folder
        self.clock = FakeClock()
        self.listener = Listener()

    def work(self, **settings: Any) -> ArchiveWork:
        settings = {"batch": 3, "every": "5ms", **settings}
        return ArchiveWork(
            self.commands,
            self.stream.keys,
            self.database,
            self.organization,
            settings=ArchiveSettings.model_validate(settings),
            data_dir=self.folder,
            clock=self.clock,
            watch=self.listener,
        )

    def archived(self) -> list[ChainedEntry]:
        """Return the entries of the archive, whose chain is whole."""
        names = tuple(ChainedEntry.__dataclass_fields__)
        wanted = select(*(entries.c[name] for name in names), entries.c.hash)
        with Database.read(self.database) as connection:
            rows = connection.execute(wanted.order_by(entries.c.number)).all()
        found, last = [], genesis(self.organization)
        for number, row in enumerate(rows, start=1):
            each = ChainedEntry(**dict(zip(names, row, strict=False)))
            last = link(last, each)
            assert (each.number, row.hash) == (number, last)
            found.append(each)
        return found

    def texts(self) -> list[str]:
        return [each.data for each in self.archived()]


@pytest.fixture
def scene(connection: Connection, organization: str, database: Database, tmp_path: Path) -> Scene:
    return Scene(connection, organization, database, tmp_path)


@asynccontextmanager
async def running(*works: ArchiveWork) -> AsyncIterator[None]:
    tasks = Tasks()
    for each in works:
        tasks.spawn(each.run())
    yield
    await tasks.close()


def notes(count: int, first: int = 0) -> list[StreamEntry]:
    return [entry("note", None, first + number) for number in range(count)]


def numbers(count: int) -> list[str]:
    return [str(number) for number in range(count)]


async def test_the_journal_is_archived_in_order(scene: Scene) -> None:
    await scene.stream.add(*notes(10))

    assert await scene.work().flush() == 10

    assert scene.texts() == numbers(10)
    assert scene.listener.batches == 4


async def test_nothing_is_archived_twice(scene: Scene) -> None:
    work = scene.work()
    await scene.stream.add(*notes(4))
    await work.flush()
    await scene.stream.add(*notes(3, first=4))

    assert await work.flush() == 3
    assert await work.flush() == 0
    assert scene.texts() == numbers(7)


async def archived(scene: Scene, count: int) -> None:
    await until(lambda: scene.listener.entries == count)


async def test_it_is_archived_as_it_comes(scene: Scene) -> None:
    async with running(scene.work()):
        for number in range(5):
            await scene.stream.add(*notes(2, first=2 * number))
            await archived(scene, 2 * number + 2)

    assert scene.texts() == numbers(10)


async def test_of_several_replicas_one_archives_and_another_goes_on(scene: Scene) -> None:
    first, second = scene.work(), scene.work()
    await scene.stream.add(*notes(5))
    await first.flush()
    await first.close()
    await scene.stream.add(*notes(5, first=5))

    async with running(first, second, scene.work()):
        await until(lambda: scene.listener.entries == 10)

    assert scene.texts() == numbers(10)


async def test_a_replica_that_died_is_followed_when_its_claim_ends(scene: Scene) -> None:
    await scene.stream.add(*notes(3))
    await scene.work().flush()
    await scene.stream.add(*notes(3, first=3))
    await scene.stream.execute("DEL", scene.stream.keys.claim("archive"))

    await scene.work().flush()

    assert scene.texts() == numbers(6)


async def test_a_writer_that_died_behind_its_commit_is_gone_on_from(scene: Scene) -> None:
    await scene.stream.add(*notes(9))
    scene.commands.lost.append(b"XTRIM")
    work = scene.work()
    await work.close()
    queue = JournalQueue(scene.stream.connection, scene.stream.keys)
    rows = (await queue.take("0-0", 4)).rows
    writer = Writer(scene.database, scene.organization, scene.clock)
    writer.write(writer.chain(), [read_row(row) for row in rows])
    await queue.let_go()

    with pytest.raises(LedgerUnavailable):
        await work.flush()
    await work.flush()

    assert scene.texts() == numbers(9)
    assert scene.listener.incidents == []


async def test_a_batch_whose_note_was_lost_is_not_written_again(scene: Scene) -> None:
    work = scene.work()
    await scene.stream.add(*notes(2))
    await work.flush()
    await scene.stream.add(*notes(5, first=2))
    scene.commands.lost.append(b"XTRIM")

    with pytest.raises(LedgerUnavailable):
        await work.flush()
    await work.flush()

    assert scene.texts() == numbers(7)


async def test_a_writer_that_was_overtaken_writes_nothing_and_catches_up(scene: Scene) -> None:
    work = scene.work()
    await scene.stream.add(*notes(2))
    await work.flush()
    await scene.stream.add(*notes(4, first=2))
    row = await JournalQueue(scene.stream.connection, scene.stream.keys).entry("3-0")
    writer = Writer(scene.database, scene.organization, scene.clock)
    assert row is not None
    writer.write(writer.chain(), [read_row(row)])

    with pytest.raises(ArchiveUnavailable, match="somebody else"):
        await work.flush()
    await work.flush()

    assert scene.texts() == numbers(6)


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_is_lost_in_between_every_entry_is_archived_once(
    scene: Scene, seed: int
) -> None:
    chance = random.Random(seed)
    scene.commands.chance = scene.database.chance = chance
    added = 0
    for _ in range(60):
        count = chance.randint(0, 4)
        await scene.stream.add(*notes(count, first=added))
        added += count
        work = scene.work(batch=chance.randint(1, 7))
        with suppress(ArchiveUnavailable, LedgerUnavailable):
            await work.flush(timeout_s=5)
        # The process is gone, with or without having let go.
        await scene.stream.execute("DEL", scene.stream.keys.claim("archive"))
    scene.commands.chance = scene.database.chance = None
    await scene.work().flush()

    assert scene.texts() == numbers(added)
    assert scene.listener.incidents == []


async def test_while_the_archive_is_away_the_journal_waits(scene: Scene) -> None:
    scene.database.away = True
    await scene.stream.add(*notes(5))

    async with running(scene.work()):
        await until(lambda: len(scene.listener.failures) >= 2)
        await scene.stream.add(*notes(5, first=5))
        assert await scene.stream.length() == 10
        scene.database.away = False
        await until(lambda: scene.listener.entries == 10)

    assert scene.texts() == numbers(10)
    assert {what for what, _ in scene.listener.failures} == {"archive"}


async def test_a_replica_that_cannot_write_lets_another_try(scene: Scene) -> None:
    await scene.stream.add(*notes(2))
    scene.database.away = True
    async with running(scene.work()):
        await until(lambda: scene.listener.failures != [])
        claim = scene.stream.keys.claim("archive")
        await until(lambda: _is_free(scene, claim))


async def _is_free(scene: Scene, claim: str) -> bool:
    return int(await scene.stream.execute("EXISTS", claim)) == 0


async def test_a_redis_that_was_emptied_is_said_and_gone_on_from(scene: Scene) -> None:
    work = scene.work()
    await scene.stream.add(*notes(5))
    await work.flush()
    await scene.stream.empty()
    await scene.stream.add(*notes(4, first=5))

    await work.flush()
    await scene.stream.add(*notes(1, first=9))
    await work.flush()

    assert scene.texts() == numbers(10)
    assert scene.listener.incidents == [(Incident.EMPTIED, 5)]


async def test_a_redis_that_was_put_back_is_said_and_gone_on_from(scene: Scene) -> None:
    work = scene.work()
    await scene.stream.add(*notes(4))
    await work.flush()
    copy = await scene.stream.copy()
    await scene.stream.add(*notes(3, first=4))
    await work.flush()
    await scene.stream.put_back(copy)
    await scene.stream.add(*notes(2, first=7), stream_id="*")

    await work.flush()

    assert scene.texts() == numbers(9)
    assert scene.listener.incidents == [(Incident.OLD_COPY, 7)]


async def test_what_was_archived_is_cut_off(scene: Scene) -> None:
    work = scene.work(batch=500, keep="1ms")
    await scene.stream.add(*notes(1_000))

    await work.flush()

    assert await scene.stream.length() <= 200
    assert len(scene.archived()) == 1_000


async def test_what_was_kept_for_a_while_is_cut_off_later(scene: Scene) -> None:
    keeping, later = scene.work(batch=500, keep="1000000h"), scene.work(keep="1ms")
    for each in notes(600):
        await scene.stream.add(each, stream_id="*")
    await keeping.flush()
    assert await scene.stream.length() == 600
    await keeping.close()

    await later.flush()
    scene.clock.advance(60_000)
    await later.flush()

    assert await scene.stream.length() <= 200


async def test_how_much_waits_is_told(scene: Scene) -> None:
    work = scene.work()
    await scene.stream.add(*notes(7))
    scene.clock.advance(5_000)

    await work.flush()
    await work.flush()

    waits = scene.listener.waits
    assert waits[0] == (7, 7, None)
    assert waits[1] == (7, 7, 5_000)
    assert waits[2][0] == 4
    assert waits[-1] == (0, 7, 0)


async def test_entries_of_a_newer_version_are_archived_and_told(scene: Scene) -> None:
    await scene.stream.add(entry("teleported", version=9), *notes(1))

    await scene.work().flush()

    assert scene.listener.newer == {9: 1}
    assert len(scene.archived()) == 2


async def test_a_row_that_is_no_entry_is_archived_and_told(scene: Scene) -> None:
    await scene.stream.execute("XADD", scene.stream.keys.journal, "1-0", "colour", "blue")

    await scene.work().flush()

    assert scene.archived()[0].more == '{"colour":"blue"}'
    assert scene.listener.newer == {-1: 1}


async def test_the_head_is_signed_from_time_to_time(scene: Scene) -> None:
    work = scene.work(checkpoint_entries=4)
    await scene.stream.add(*notes(9))

    await work.flush()

    assert scene.listener.checkpoints == [3, 9]
    with Database.read(scene.database) as connection:
        assert connection.execute(select(checkpoints.c.number)).scalars().all() == [3, 9]


async def test_the_head_is_signed_when_asked(scene: Scene) -> None:
    work = scene.work()
    assert await work.sign() is None
    await scene.stream.add(*notes(3))
    await work.flush()
    await scene.stream.add(*notes(1))
    await work.flush()

    signed = await work.sign()

    assert signed is not None
    assert signed.checkpoint.number == 4


async def test_without_a_key_it_is_archived_all_the_same(scene: Scene) -> None:
    (scene.folder / KEY_FILE).write_text("garbage")
    await scene.stream.add(*notes(3))

    assert await scene.work().flush() == 3
    assert {what for what, _ in scene.listener.failures} == {"archive_checkpoint"}


async def test_a_flush_waits_for_the_replica_that_does_the_work(scene: Scene) -> None:
    other = scene.work()
    async with running(other):
        await scene.stream.add(*notes(3))
        await until(lambda: scene.listener.entries == 3)
        await scene.stream.add(*notes(4, first=3))

        await scene.work().flush()

        assert scene.texts() == numbers(7)


async def test_a_flush_does_not_wait_for_ever(scene: Scene) -> None:
    await scene.stream.add(*notes(3))
    await JournalQueue(scene.stream.connection, scene.stream.keys).take("0-0", 1)

    with pytest.raises(TimeoutError):
        await scene.work().flush(timeout_s=0.05)


async def test_whoever_stops_lets_go(scene: Scene) -> None:
    async with running(scene.work()):
        await scene.stream.add(*notes(1))
        await until(lambda: scene.listener.entries == 1)

    assert await scene.stream.execute("EXISTS", scene.stream.keys.claim("archive")) == 0


async def test_old_months_are_seen_to(scene: Scene) -> None:
    await scene.stream.add(*notes(1))
    work = scene.work()
    await work.flush()
    await work.flush()
    scene.clock.advance(3_600_000)

    await work.flush()

    assert len(scene.listener.drops) == 2


async def test_run_and_flush_take_turns(scene: Scene) -> None:
    work = scene.work(batch=1)
    await scene.stream.add(*notes(20))

    async with running(work):
        await asyncio.gather(work.flush(), work.flush())

    assert scene.texts() == numbers(20)
