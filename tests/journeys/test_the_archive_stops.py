"""The archive is locked, full, or killed between batches: calls go on, no entry is lost or doubled."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event, func, select

from proxy.archive.chain import ChainedEntry, genesis, link
from proxy.archive.database import Database, open_database
from proxy.archive.stream import read_row
from proxy.archive.tables import calls, counters, entries, spend_days
from proxy.archive.work import ArchiveWork
from proxy.archive_settings import ArchiveSettings
from proxy.tasks import Tasks
from tests.doubles.archiving import Listener
from tests.doubles.doomed_archiver import SETTINGS, doomed_archiver
from tests.doubles.fake_clock import FakeClock
from tests.doubles.running import Running, running
from tests.doubles.waiting import until

BUDGETS = "[{name: team, limit: 1000 USD, window: month}]"
NAMES = tuple(ChainedEntry.__dataclass_fields__)


async def journal(proxy: Running) -> list[ChainedEntry]:
    """Return the whole journal as the archive must have it."""
    rows = await proxy.app.commands.execute("XRANGE", proxy.app.ledger.keys.journal, "-", "+")
    return [read_row(row).numbered(number) for number, row in enumerate(rows, start=1)]


def archived(database: Database, organization: str) -> list[ChainedEntry]:
    """Return the entries of the archive, whose chain is whole."""
    wanted = select(*(entries.c[name] for name in NAMES), entries.c.hash)
    with database.read() as connection:
        rows = connection.execute(wanted.order_by(entries.c.number)).all()
    found, last = [], genesis(organization)
    for row in rows:
        each = ChainedEntry(**dict(zip(NAMES, row, strict=False)))
        last = link(last, each)
        assert row.hash == last
        found.append(each)
    return found


def work_of(
    proxy: Running, database: Database, organization: str, folder: Path, listener: Listener
) -> ArchiveWork:
    return ArchiveWork(
        proxy.app.commands,
        proxy.app.ledger.keys,
        database,
        organization,
        settings=SETTINGS,
        data_dir=folder,
        clock=FakeClock(),
        watch=listener,
    )


@asynccontextmanager
async def under_load(proxy: Running) -> AsyncIterator[list[int]]:
    """Make calls all the time; give the list of their statuses."""
    statuses: list[int] = []

    async def make_calls() -> None:
        while True:
            statuses.append((await proxy.chat())[0])

    tasks = Tasks()
    for _ in range(2):
        tasks.spawn(make_calls())
    yield statuses
    await tasks.close()
    await proxy.settled()


async def reached(count: Callable[[], int], wanted: int) -> None:
    await until(lambda: count() >= wanted)


async def test_an_archiver_that_is_killed_again_and_again_loses_and_doubles_nothing(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    chance, folder = random.Random(organization), tmp_path / "archive"
    async with running(tmp_path / "proxy", redis_url, organization, budgets=BUDGETS) as proxy:
        database = open_database(ArchiveSettings(), folder)
        claim = proxy.app.ledger.keys.claim("archive")

        def count() -> int:
            with database.read() as connection:
                found = connection.execute(select(func.count()).select_from(entries)).scalar()
            return int(found or 0)

        async with under_load(proxy) as statuses:
            for _ in range(3):
                async with doomed_archiver(folder, redis_url, organization) as archiver:
                    await reached(count, count() + chance.randint(3, 40))
                    archiver.kill()
                    await archiver.wait()
                # Its claim would end by itself, in some seconds.
                await proxy.app.commands.execute("DEL", claim)
        listener = Listener()
        work = work_of(proxy, database, organization, folder, listener)
        await work.flush()

        assert set(statuses) == {200}
        assert archived(database, organization) == await journal(proxy)
        assert listener.incidents == []
        await _assert_sums(proxy, database, len(proxy.simulator.calls))
        database.close()


async def _assert_sums(proxy: Running, database: Database, count: int) -> None:
    """What the archive adds up is what the ledger counted and what the provider was asked for."""
    standing = await proxy.standing("team")
    of_team = counters.c.counter.startswith("team:USD:")
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(calls)).scalar() == count
        assert connection.execute(select(func.sum(spend_days.c.calls))).scalar() == count
        charged = connection.execute(select(func.sum(spend_days.c.charged_nano_usd))).scalar()
        counter = connection.execute(select(counters).where(of_team)).one()
    assert charged == standing.spent
    assert (counter.spent, counter.booked, counter.reserved) == (charged, charged, 0)


async def test_while_the_archive_is_locked_calls_go_on_and_the_journal_waits(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with running(tmp_path / "proxy", redis_url, organization, budgets=BUDGETS) as proxy:
        database = open_database(ArchiveSettings(), tmp_path, busy_ms=1)
        listener = Listener()
        work = work_of(proxy, database, organization, tmp_path, listener)
        tasks = Tasks()
        tasks.spawn(work.run())
        async with under_load(proxy) as statuses:
            await until(lambda: listener.entries > 20)
            lock = sqlite3.connect(tmp_path / "archive.sqlite", isolation_level=None)
            lock.execute("BEGIN IMMEDIATE")
            made = len(statuses)
            await until(lambda: listener.failures != [] and len(statuses) > made + 20)
            lock.execute("ROLLBACK")
            lock.close()
            before = listener.entries
            await until(lambda: listener.entries > before)
        await tasks.close()
        await work.flush()

        assert set(statuses) == {200}
        assert any("locked" in said for _, said in listener.failures)
        assert archived(database, organization) == await journal(proxy)
        database.close()


async def test_when_the_archives_disk_is_full_calls_go_on_and_the_journal_waits(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with running(tmp_path / "proxy", redis_url, organization, budgets=BUDGETS) as proxy:
        database = open_database(ArchiveSettings(), tmp_path)
        pages = [40]
        database.engine.dispose()

        def bound(connection: sqlite3.Connection, _: Any) -> None:
            connection.execute(f"PRAGMA max_page_count = {pages[0]}")

        event.listen(database.engine, "checkout", lambda connection, *_: bound(connection, None))
        listener = Listener()
        work = work_of(proxy, database, organization, tmp_path, listener)
        tasks = Tasks()
        tasks.spawn(work.run())
        async with under_load(proxy) as statuses:
            await until(lambda: listener.failures != [])
            made = len(statuses)
            await until(lambda: len(statuses) > made + 10)
            pages[0] = 1_000_000
        await tasks.close()
        await work.flush()

        assert set(statuses) == {200}
        assert any("full" in said for _, said in listener.failures)
        assert archived(database, organization) == await journal(proxy)
        database.close()


async def test_two_archivers_at_once_write_one_chain(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    folder = tmp_path / "archive"
    async with (
        running(tmp_path / "proxy", redis_url, organization, budgets=BUDGETS) as proxy,
        doomed_archiver(folder, redis_url, organization),
        doomed_archiver(folder, redis_url, organization),
    ):
        database = open_database(ArchiveSettings(), folder)
        claim = proxy.app.ledger.keys.claim("archive")
        async with under_load(proxy) as statuses:
            for wanted in range(20, 200, 20):
                # As if it took longer than its claim lasts: another one takes over meanwhile.
                await proxy.app.commands.execute("DEL", claim)
                await reached(statuses.__len__, wanted)
        listener = Listener()
        await work_of(proxy, database, organization, folder, listener).flush()

        assert archived(database, organization) == await journal(proxy)
        database.close()
