"""What must survive of a comparison is replaced only as it was read, and its ghost is booked once."""

from __future__ import annotations

import pytest

from policies.budgets import Budget
from policies.errors import LedgerUnavailable
from policies.ledger.connection import Connection
from policies.ledger.interface import Ask
from policies.ledger.keys import Keys
from policies.ledger.memory import MemoryLedger
from policies.money import EXACT_MAX
from policies.windows import Calendar
from proxy.receipts.ghosts import Ghost, Ghosts
from proxy.receipts.totals_watch import KeptWatch, Overtaken, Watch
from proxy.receipts.unexplained import MINUTES_PER_DAY, Sum
from tests.doubles.fake_clock import NOON_MS
from tests.proxy.receipts.breaking import BreakingCommands, Steps

BUDGET = Budget(
    name="unattributed", unit="USD", limit=EXACT_MAX, window=Calendar("month"), mode="shadow"
)
DAY = 20_000
WATCH = Watch(scope="all", since=DAY * MINUTES_PER_DAY + 5, day=DAY)
GHOST = Ghost(provider="agi", id="totals:1", kind="totals", at_ms=NOON_MS, nano_usd=70, calls=2)


@pytest.fixture
def keys(organization: str) -> Keys:
    return Keys(organization)


@pytest.fixture
def ghosts(memory_ledger: MemoryLedger, connection: Connection, keys: Keys) -> Ghosts:
    return Ghosts(memory_ledger, connection, keys, lambda: BUDGET)


@pytest.fixture
def kept(connection: Connection, keys: Keys, ghosts: Ghosts) -> KeptWatch:
    return KeptWatch(connection, keys.receipts("agi", "totals"), ghosts)


async def spent(ledger: MemoryLedger) -> int:
    return (await ledger.standings([Ask(budget=BUDGET, subject="", held=0, bound=0)]))[0].spent


def test_a_ghost_raises_the_mark_of_its_day() -> None:
    watch = WATCH.booking(DAY, "", GHOST).booking(DAY, "", GHOST).booking(DAY + 1, "k:1", GHOST)

    assert watch.booked_of("") == {DAY: Sum(140, 4)}
    assert watch.booked_of("k:1") == {DAY + 1: Sum(70, 2)}
    assert watch.booked_of("other") == {}
    assert watch.number == 3
    assert watch.ghost == GHOST


def test_a_closed_day_leaves_its_rest_to_the_next() -> None:
    watch = WATCH.booking(DAY, "", GHOST).booking(DAY + 1, "", GHOST)

    closed = watch.closed(Sum(5, 1))

    assert closed.day == DAY + 1
    assert closed.carry == Sum(5, 1)
    assert closed.booked_of("") == {DAY + 1: Sum(70, 2)}
    assert closed.first == (DAY + 1) * MINUTES_PER_DAY
    assert WATCH.first == WATCH.since


async def test_what_was_kept_is_found_again(
    kept: KeptWatch, connection: Connection, keys: Keys, ghosts: Ghosts
) -> None:
    await kept.load()
    assert kept.now is None
    watch = WATCH.booking(DAY, "key_1", GHOST).closed(Sum(5, 1)).booking(DAY + 1, "", GHOST)

    await kept.keep(watch)

    other = KeptWatch(connection, keys.receipts("agi", "totals"), ghosts)
    await other.load()
    assert other.now == kept.now == watch


async def test_whoever_knows_an_older_text_cannot_replace_a_newer_one(
    kept: KeptWatch, connection: Connection, keys: Keys, ghosts: Ghosts
) -> None:
    late = KeptWatch(connection, keys.receipts("agi", "totals"), ghosts)
    await kept.load()
    await late.load()
    await kept.keep(WATCH)

    with pytest.raises(Overtaken):
        await late.keep(WATCH.closed(Sum()))

    await late.load()
    assert late.now == WATCH


async def test_without_a_ghost_there_is_nothing_to_finish(
    kept: KeptWatch, memory_ledger: MemoryLedger
) -> None:
    await kept.load()
    assert await kept.finish() == ()
    await kept.keep(WATCH)

    assert await kept.finish() == ()
    assert await spent(memory_ledger) == 0


async def test_a_ghost_is_booked_and_put_away(kept: KeptWatch, memory_ledger: MemoryLedger) -> None:
    await kept.load()
    await kept.keep(WATCH.booking(DAY, "", GHOST))

    assert await kept.finish() == (GHOST,)

    assert kept.now is not None
    assert kept.now.ghost is None
    assert await spent(memory_ledger) == 70


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", range(5))
async def test_a_ghost_is_booked_once_wherever_it_broke_off(
    connection: Connection, keys: Keys, memory_ledger: MemoryLedger, step: int, *, after: bool
) -> None:
    steps = Steps()
    commands = BreakingCommands(connection, steps)
    ghosts = Ghosts(memory_ledger, commands, keys, lambda: BUDGET)
    name = keys.receipts("agi", "totals")
    first = KeptWatch(commands, name, ghosts)
    await first.load()
    steps.break_at(step, after=after)
    try:
        await first.keep(WATCH.booking(DAY, "", GHOST))
        await first.finish()
    except LedgerUnavailable:
        assert step < 4
    steps.hold()

    second = KeptWatch(commands, name, ghosts)
    await second.load()
    await second.finish()

    was_kept = step > 0 or after
    assert await spent(memory_ledger) == (70 if was_kept else 0)
    assert (second.now is not None) == was_kept


async def test_two_replicas_that_finish_the_same_ghost_book_it_once(
    kept: KeptWatch,
    connection: Connection,
    keys: Keys,
    ghosts: Ghosts,
    memory_ledger: MemoryLedger,
) -> None:
    await kept.load()
    await kept.keep(WATCH.booking(DAY, "", GHOST))
    other = KeptWatch(connection, keys.receipts("agi", "totals"), ghosts)
    await other.load()

    await kept.finish()
    with pytest.raises(Overtaken):
        await other.finish()

    assert await spent(memory_ledger) == 70
