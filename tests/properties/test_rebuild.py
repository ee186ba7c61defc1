"""Whatever happened before Redis was emptied or put back: rebuilt from the archive, it stands as it stood."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from policies.budgets import Budget
from policies.ledger.address import Address, parse_url
from policies.ledger.connection import Connection
from policies.ledger.interface import Ask, Due
from policies.ledger.keys import FIXED, place
from policies.ledger.redis_ledger import RedisLedger
from policies.rulebook import Rulebook
from proxy.archive.compare import compare
from proxy.archive.database import Database
from proxy.archive.rebuild import Rebuilt, Sources, rebuild
from proxy.archive.recovery.calls import ArchivedCall
from proxy.tasks import Tasks
from tests.doubles.archived import sqlite_database
from tests.doubles.clocked_scripts import clock_key, clocked_scripts
from tests.doubles.emptied_redis import archive, copy, forget, put_back
from tests.doubles.fake_clock import FakeClock
from tests.doubles.ledger_stories import WALLET, Story, budgets
from tests.doubles.restorer import Restorer

DAY_MS = 86_400_000
_numbers = itertools.count()


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = sqlite_database(tmp_path_factory.mktemp("archive"))
    yield database
    database.close()


def due_of(call: ArchivedCall) -> Due | None:
    return Due(queue="p", after_ms=0) if call.record.state in ("settled", "expired") else None


@dataclass
class World:
    """A ledger in Redis with its archive, and what happens to them."""

    connection: Connection
    database: Database
    organization: str
    clock: FakeClock
    ledger: RedisLedger
    budgets: list[Budget]
    archived_to: str = "-"

    @property
    def sources(self) -> Sources:
        return Sources(
            ledger=self.ledger,
            commands=self.connection,
            keys=self.ledger.keys,
            database=self.database,
            organization=self.organization,
            rulebook=Rulebook(),
            due_of=due_of,
            give_up_after_ms=DAY_MS,
            queues=("p",),
        )

    async def archive(self) -> None:
        keys, database = self.ledger.keys, self.database
        self.archived_to = await archive(
            self.connection, keys, database, self.organization, self.archived_to
        )

    async def empty(self) -> None:
        await forget(self.connection, self.ledger.keys)
        self.archived_to = "-"
        await self.connection.execute("SET", clock_key(self.organization), self.clock.now_ms())

    async def rebuild(self) -> Rebuilt:
        rebuilt = await rebuild(self.sources)
        await self.archive()
        return rebuilt

    async def stands(self) -> dict[str, tuple[int, int, int, int]]:
        """Return by counter: spent, reserved, overrun, and bounds above what is reserved."""
        found = {}
        for budget in self.budgets:
            if budget is WALLET:
                continue
            at = place(budget, "", self.clock.now_ms())
            name = self.ledger.keys.counter(at.counter)
            # Asking for nothing brings a window up to now and changes nothing else.
            excess = int(await self.connection.execute("HGET", name, "excess") or 0)
            (stand,) = await self.ledger.standings([_nothing(budget)])
            found[at.counter] = stand.spent, stand.reserved, stand.overrun, excess
        return found


def _nothing(budget: Budget) -> Ask:
    return Ask(budget=budget, subject="", held=0, bound=0)


def lived(
    redis_url: str,
    database: Database,
    chosen: list[Budget],
    what: Callable[[World], Coroutine[Any, Any, None]],
) -> None:
    """Run something on a world of its own."""

    async def run() -> None:
        tasks, clock = Tasks(), FakeClock()
        organization = f"rebuilt-{next(_numbers)}"

        async def resolve() -> Address:
            return parse_url(redis_url).addresses[0]

        connection = Connection(resolve, timeout_s=5, spawn=tasks.spawn, clock=clock)
        await connection.open()
        key = clock_key(organization)
        await connection.execute("SET", key, clock.now_ms())
        clock.listeners.append(lambda now_ms: ignored(connection.execute("SET", key, now_ms)))
        scripts = clocked_scripts(organization)
        ledger = RedisLedger(connection, organization, clock, scripts=scripts)
        try:
            await what(World(connection, database, organization, clock, ledger, chosen))
        finally:
            await connection.close()
            await tasks.close()

    asyncio.run(run())


def ignored(answer: object) -> None:
    # Whatever is sent next is behind it on the same connection.
    del answer


async def happens(world: World, data: DataObject, prefix: str, steps: int = 25) -> Story:
    story = Story(data, world.budgets, world.ledger, world.clock)
    story.prefix = prefix
    for _ in range(data.draw(st.integers(1, steps))):
        await story.step()
    return story


quick = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@quick
@given(data=st.data(), chosen=budgets())
def test_after_redis_was_emptied_every_open_window_stands_as_before(
    redis_url: str, archived: Database, data: DataObject, chosen: list[Budget]
) -> None:
    async def story(world: World) -> None:
        told = await happens(world, data, "a")
        await world.archive()
        before = await world.stands()
        reserved = {call.call_id: await world.ledger.find(call.call_id) for call in told.calls}
        await world.empty()

        await rebuild(world.sources)

        assert not (await compare(world.sources)).differs
        await world.archive()
        assert await world.stands() == before
        for call_id, record in reserved.items():
            if record is not None and record.state == "reserved":
                found = await world.ledger.find(call_id)
                assert found is not None
                assert found.reservation == record.reservation
        assert not (await compare(world.sources)).differs
        assert not (await world.rebuild()).changed

    lived(redis_url, archived, chosen, story)


@quick
@given(data=st.data(), chosen=budgets())
def test_nothing_is_given_back_to_a_ledger_that_lost_nothing(
    redis_url: str, archived: Database, data: DataObject, chosen: list[Budget]
) -> None:
    async def story(world: World) -> None:
        await happens(world, data, "a")
        await world.archive()
        before = await world.stands()

        compared = await compare(world.sources)
        rebuilt = await rebuild(world.sources)

        assert [each for each in compared.counters if each.differs] == []
        assert (compared.lost, compared.ended, compared.not_archived) == ((), (), 0)
        assert not rebuilt.changed, rebuilt
        assert await world.stands() == before

    lived(redis_url, archived, chosen, story)


@quick
@given(data=st.data(), chosen=budgets())
def test_what_is_not_archived_yet_is_no_difference(
    redis_url: str, archived: Database, data: DataObject, chosen: list[Budget]
) -> None:
    async def story(world: World) -> None:
        await happens(world, data, "a")
        await world.archive()
        await happens(world, data, "b")

        compared = await compare(world.sources)

        assert [each for each in compared.counters if each.differs] == []
        assert (compared.lost, compared.ended) == ((), ())

    lived(redis_url, archived, chosen, story)


@quick
@given(data=st.data(), chosen=budgets())
def test_a_ledger_that_went_on_after_it_was_emptied_is_raised_to_all_that_was_booked(
    redis_url: str, archived: Database, data: DataObject, chosen: list[Budget]
) -> None:
    async def story(world: World) -> None:
        await happens(world, data, "a")
        entries = [*await world.ledger.journal(count_max=10_000)]
        await world.archive()
        await world.empty()
        await happens(world, data, "b")
        entries += await world.ledger.journal(count_max=10_000)
        await world.archive()
        emptied = await world.stands()

        await world.rebuild()

        after = await world.stands()
        for counter, stood in emptied.items():
            assert all(now >= then for now, then in zip(after[counter], stood, strict=True))
        # Calendar windows have all that was ever booked on them, before Redis was emptied and after.
        booked = {
            each.counter: each.spent for each in Restorer(entries).counters if each.kind == FIXED
        }
        spent = {counter: stood[0] for counter, stood in after.items() if counter in booked}
        assert spent == {counter: booked[counter] for counter in spent}
        assert not (await compare(world.sources)).differs
        assert not (await world.rebuild()).changed

    lived(redis_url, archived, chosen, story)


@quick
@given(data=st.data(), chosen=budgets())
def test_an_old_copy_of_redis_is_brought_up_to_what_is_archived(
    redis_url: str, archived: Database, data: DataObject, chosen: list[Budget]
) -> None:
    async def story(world: World) -> None:
        told = await happens(world, data, "a")
        copied = await copy(world.connection, world.ledger.keys)
        # The same calls go on, and new ones come.
        told.made += 1_000
        for _ in range(data.draw(st.integers(1, 15))):
            await told.step()
        await world.archive()
        before = await world.stands()
        await put_back(world.connection, world.ledger.keys, copied)
        await world.connection.execute("SET", clock_key(world.organization), world.clock.now_ms())

        await world.rebuild()

        after = await world.stands()
        for counter, stood in before.items():
            assert all(now >= then for now, then in zip(after[counter], stood, strict=True))
        assert {name: stood[:2] for name, stood in after.items()} == {
            name: stood[:2] for name, stood in before.items()
        }

    lived(redis_url, archived, chosen, story)


def test_an_archive_without_the_organisation_asks_for_nothing(
    redis_url: str, archived: Database, tmp_path: Path
) -> None:
    async def story(world: World) -> None:
        assert not (await rebuild(world.sources)).changed
        assert not (await compare(world.sources)).differs

    lived(redis_url, archived, [], story)
