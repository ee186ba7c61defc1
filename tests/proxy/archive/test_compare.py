"""Where a ledger is not as it was journalled is found, and nothing is touched."""

from __future__ import annotations

import pytest

from policies.budgets import Budget
from policies.ledger.connection import Connection
from policies.ledger.redis_ledger import RedisLedger
from policies.units import USD
from policies.windows import Calendar, Lifetime, Rolling
from proxy.archive.compare import Stand, compare
from proxy.archive.database import Database
from tests.doubles.emptied_redis import copy, names_of
from tests.doubles.fake_clock import FakeClock
from tests.doubles.past_calls import rulebook_of
from tests.proxy.archive.recovering import Kept

HOUR_MS = 3_600_000
RULES = rulebook_of(
    [
        Budget(name="life", unit=USD, limit=1_000, window=Lifetime()),
        Budget(name="hour", unit=USD, limit=1_000, window=Calendar("hour")),
        Budget(name="roll", unit=USD, limit=1_000, window=Rolling(5 * HOUR_MS)),
    ]
)
LIFE = "life:USD::lifetime"
ROLL = f"roll:USD::rolling-{5 * HOUR_MS}"


@pytest.fixture
def kept(
    redis_ledger: RedisLedger,
    connection: Connection,
    database: Database,
    organization: str,
    clock: FakeClock,
) -> Kept:
    return Kept(redis_ledger, connection, database, organization, clock, RULES)


async def test_a_ledger_as_it_was_journalled_differs_in_nothing(kept: Kept) -> None:
    await kept.call("a", settled=12)
    await kept.call("b")
    await kept.archive()
    await kept.call("c", settled=3)

    found = await compare(kept.sources)

    assert not found.differs
    assert (found.in_flight, found.not_archived) == (1, 2)
    stands = {each.counter: each.ledger for each in found.counters}
    assert stands[LIFE] == stands[ROLL] == Stand(spent=15, reserved=10, overrun=2)


async def test_nothing_is_touched(kept: Kept) -> None:
    await kept.call("a", settled=12)
    await kept.archive()
    await kept.call("b")
    before = await copy(kept.connection, kept.ledger.keys)

    await compare(kept.sources)

    assert await copy(kept.connection, kept.ledger.keys) == before


async def test_more_and_less_than_was_journalled_is_found(kept: Kept) -> None:
    await kept.call("a", settled=12)
    await kept.archive()
    name = kept.ledger.keys.counter
    await kept.connection.execute("HINCRBY", name(LIFE), "spent", 5)
    (bucket,) = [each for each in await kept.hash(ROLL) if each[0] == "s" and each[1:].isdecimal()]
    await kept.connection.execute("HINCRBY", name(ROLL), bucket, -5)

    found = await compare(kept.sources)

    assert found.differs
    differing = {each.counter: each for each in found.counters if each.differs}
    assert set(differing) == {LIFE, ROLL}
    assert (differing[LIFE].archived.spent, differing[LIFE].ledger.spent) == (12, 17)
    assert (differing[ROLL].archived.spent, differing[ROLL].ledger.spent) == (12, 7)


async def test_calls_in_flight_are_compared_too(kept: Kept) -> None:
    await kept.call("lost")
    await kept.call("kept")
    await kept.archive()
    deadlines = kept.ledger.keys.deadlines
    await kept.connection.execute("ZREM", deadlines, "lost")
    await kept.connection.execute("ZADD", deadlines, 1, "ended")

    found = await compare(kept.sources)

    assert (found.lost, found.ended, found.in_flight) == (("lost",), ("ended",), 2)
    assert found.differs


async def test_a_window_that_is_over_is_not_looked_at(kept: Kept) -> None:
    await kept.call("a", settled=12)
    await kept.archive()
    kept.clock.advance(6 * HOUR_MS)

    found = await compare(kept.sources)

    assert [each.counter for each in found.counters] == [LIFE]


async def test_an_emptied_redis_has_lost_it_all(kept: Kept) -> None:
    await kept.call("a", settled=12)
    await kept.archive()
    await kept.empty()

    found = await compare(kept.sources)

    assert len([each for each in found.counters if each.differs]) == 3
    assert all(each.ledger == Stand() for each in found.counters)
    assert len(await names_of(kept.connection, kept.ledger.keys)) <= 1


async def test_a_journal_of_which_the_archived_part_was_cut_off(kept: Kept) -> None:
    await kept.call("a", settled=12)
    await kept.archive()
    journal = kept.ledger.keys.journal
    place = f"2 {kept.archived_to} {'0' * 64} 2"
    await kept.connection.execute("SET", f"{journal}:archived", place)
    await kept.connection.execute("XTRIM", journal, "MAXLEN", 0)
    await kept.call("b", settled=3)

    found = await compare(kept.sources)

    assert not found.differs
    assert found.not_archived == 2
