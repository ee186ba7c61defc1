"""Ghost spend is booked once, whatever breaks off, and is listed with its amounts."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from policies.budgets import Budget
from policies.errors import LedgerUnavailable
from policies.ledger.connection import Connection
from policies.ledger.interface import Ask, Ledger
from policies.ledger.keys import Keys
from policies.ledger.memory import MemoryLedger
from policies.money import EXACT_MAX
from policies.reservations import State
from policies.units import CALLS, USD
from policies.windows import Calendar
from proxy.receipts.ghosts import KEPT_MS, Ghost, Ghosts
from tests.doubles.fake_clock import NOON_MS, FakeClock
from tests.proxy.receipts.breaking import BreakingCommands, BreakingLedger, Steps

DAY_MS = 86_400_000
BUDGET = Budget(
    name="unattributed", unit=USD, limit=EXACT_MAX, window=Calendar("month"), mode="shadow"
)
PROVIDER = "venice"


def ghost(name: str = "r:chatcmpl-1#1", **fields: object) -> Ghost:
    plain = Ghost(
        provider=PROVIDER,
        id=name,
        kind="row",
        at_ms=NOON_MS,
        nano_usd=5_200_000,
        credits={"DIEM": 5_200_000},
        detail={"model": "zai-org-glm-5-1", "request": "chatcmpl-1"},
    )
    return replace(plain, **fields)  # type: ignore[arg-type]  # A test names the fields it means.


@pytest.fixture
def keys(organization: str) -> Keys:
    return Keys(organization)


@pytest.fixture
def ghosts(ledger: Ledger, connection: Connection, keys: Keys) -> Ghosts:
    return Ghosts(ledger, connection, keys, lambda: BUDGET)


async def spent(ledger: Ledger, budget: Budget = BUDGET, subject: str = "") -> int:
    standing = (await ledger.standings([Ask(budget=budget, subject=subject, held=0, bound=0)]))[0]
    assert standing.reserved == 0
    return standing.spent


async def state_of(ledger: Ledger, which: Ghost) -> State:
    record = await ledger.find(which.call_id)
    assert record is not None
    return record.state


async def test_a_ghost_is_counted_and_listed(ghosts: Ghosts, ledger: Ledger) -> None:
    assert await ghosts.book(ghost())

    assert await spent(ledger) == 5_200_000
    assert await ghosts.list(PROVIDER, 0, 10) == [ghost()]
    assert await ghosts.total(PROVIDER, 0) == (1, 5_200_000)


async def test_a_ghost_is_counted_once_however_often_it_is_booked(
    ghosts: Ghosts, ledger: Ledger
) -> None:
    news = [await ghosts.book(ghost()) for _ in range(3)]

    assert news == [True, False, False]
    assert await spent(ledger) == 5_200_000
    assert await ghosts.total(PROVIDER, 0) == (1, 5_200_000)


async def test_replicas_that_book_it_at_once_count_it_once(ghosts: Ghosts, ledger: Ledger) -> None:
    news = await asyncio.gather(*(ghosts.book(ghost()) for _ in range(5)))

    assert sorted(news) == [False] * 4 + [True]
    assert await spent(ledger) == 5_200_000


async def test_a_ghost_keeps_the_amount_that_it_was_first_booked_with(
    ghosts: Ghosts, ledger: Ledger
) -> None:
    await ghosts.book(ghost())
    await ghosts.book(ghost(nano_usd=7))

    assert await spent(ledger) == 5_200_000
    assert await ghosts.list(PROVIDER, 0, 10) == [ghost()]


async def test_the_same_id_at_another_provider_is_another_ghost(
    ghosts: Ghosts, ledger: Ledger
) -> None:
    await ghosts.book(ghost())
    await ghosts.book(ghost(provider="other"))

    assert await spent(ledger) == 2 * 5_200_000
    assert await ghosts.total("other", 0) == (1, 5_200_000)


async def test_the_journal_says_whose_ghost_it_is(ghosts: Ghosts, ledger: Ledger) -> None:
    await ghosts.book(ghost())

    record = await ledger.find(ghost().call_id)
    assert record is not None
    assert record.state is State.SETTLED
    assert json.loads(record.data) == {
        "provider": PROVIDER,
        "team": None,
        "model": "zai-org-glm-5-1",
        "ghost": "row",
        "ghost_id": "r:chatcmpl-1#1",
    }
    assert json.loads(record.outcome)["nano_usd"] == 5_200_000
    assert ghost().call_id.startswith("ghost-venice-")
    assert len(ghost().call_id) == len("ghost-venice-") + 26


@pytest.mark.parametrize(
    ("unit", "expected"), [(USD, 5_200_000), (CALLS, 3), ("DIEM", 5_200_000), ("flows", 0)]
)
async def test_a_budget_counts_ghosts_in_its_own_unit(
    ledger: Ledger, connection: Connection, keys: Keys, unit: str, expected: int
) -> None:
    budget = replace(BUDGET, unit=unit)

    await Ghosts(ledger, connection, keys, lambda: budget).book(ghost(calls=3))

    assert await spent(ledger, budget) == expected


async def test_a_budget_by_user_counts_ghosts_as_nobodys(
    ledger: Ledger, connection: Connection, keys: Keys
) -> None:
    budget = replace(BUDGET, each="user")

    await Ghosts(ledger, connection, keys, lambda: budget).book(ghost())

    assert await spent(ledger, budget, "-") == 5_200_000


async def test_a_ghost_is_counted_also_beyond_an_enforced_limit(
    ledger: Ledger, connection: Connection, keys: Keys
) -> None:
    budget = replace(BUDGET, mode="enforce", limit=1_000)

    await Ghosts(ledger, connection, keys, lambda: budget).book(ghost())

    assert await spent(ledger, budget) == 5_200_000


async def test_money_that_was_given_back_lowers_the_budget(ghosts: Ghosts, ledger: Ledger) -> None:
    await ghosts.book(ghost())
    await ghosts.book(ghost("r:chatcmpl-1#2", kind="late", nano_usd=-200_000, calls=0))

    assert await spent(ledger) == 5_000_000
    assert await ghosts.total(PROVIDER, 0) == (1, 5_000_000)


async def test_lists_have_the_latest_first_and_no_more_than_asked_for(ghosts: Ghosts) -> None:
    for number in range(5):
        await ghosts.book(ghost(f"g{number}", at_ms=NOON_MS + number))

    found = await ghosts.list(PROVIDER, NOON_MS + 1, 3)

    assert [each.id for each in found] == ["g4", "g3", "g2"]
    assert await ghosts.total(PROVIDER, NOON_MS + 3) == (2, 2 * 5_200_000)
    assert await ghosts.list("other", 0, 3) == []


async def test_ghosts_are_forgotten_after_a_hundred_days(ghosts: Ghosts, clock: FakeClock) -> None:
    await ghosts.book(ghost("old"))
    clock.advance(KEPT_MS + 1)
    await ghosts.book(ghost("new", at_ms=clock.now_ms()))

    assert [each.id for each in await ghosts.list(PROVIDER, 0, 10)] == ["new"]


async def test_of_very_many_ghosts_the_latest_are_listed(
    ledger: Ledger, connection: Connection, keys: Keys
) -> None:
    ghosts = Ghosts(ledger, connection, keys, lambda: BUDGET, listed_max=2)
    for number in range(4):
        await ghosts.book(ghost(f"g{number}", at_ms=NOON_MS + number))

    assert [each.id for each in await ghosts.list(PROVIDER, 0, 10)] == ["g3", "g2"]
    assert await spent(ledger) == 4 * 5_200_000


async def test_a_ghost_that_a_call_explains_is_counted_no_longer(
    ghosts: Ghosts, ledger: Ledger
) -> None:
    await ghosts.book(ghost())

    assert await ghosts.take_back(PROVIDER, ghost().id)
    assert not await ghosts.take_back(PROVIDER, ghost().id)
    assert not await ghosts.book(ghost())
    assert await spent(ledger) == 0
    assert await ghosts.list(PROVIDER, 0, 10) == []
    assert await ghosts.total(PROVIDER, 0) == (0, 0)
    assert await state_of(ledger, ghost()) is State.RECEIPTED


async def test_what_is_no_ghost_cannot_be_taken_back(ghosts: Ghosts, ledger: Ledger) -> None:
    assert not await ghosts.take_back(PROVIDER, "unheard-of")
    assert await spent(ledger) == 0


async def test_a_ghost_that_the_ledger_has_forgotten_stays(
    memory_ledger: MemoryLedger, connection: Connection, keys: Keys
) -> None:
    ghosts = Ghosts(memory_ledger, connection, keys, lambda: BUDGET)
    await ghosts.book(ghost())
    memory_ledger._calls.clear()

    assert not await ghosts.take_back(PROVIDER, ghost().id)
    assert not await ghosts.book(ghost())
    assert await spent(memory_ledger) == 5_200_000
    assert await ghosts.total(PROVIDER, 0) == (1, 5_200_000)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", range(6))
async def test_a_booking_that_breaks_off_anywhere_is_counted_once(
    ledger: Ledger, connection: Connection, keys: Keys, step: int, *, after: bool
) -> None:
    steps = Steps()
    commands, broken = BreakingCommands(connection, steps), BreakingLedger(ledger, steps)
    ghosts = Ghosts(broken, commands, keys, lambda: BUDGET)
    steps.break_at(step, after=after)
    try:
        await ghosts.book(ghost())
    except LedgerUnavailable:
        was_cut = True
    else:
        was_cut = False
    steps.hold()

    await ghosts.book(ghost())

    assert was_cut == (step < 5)
    assert not await ghosts.book(ghost())
    assert await spent(ledger) == 5_200_000
    assert await ghosts.total(PROVIDER, 0) == (1, 5_200_000)


@pytest.mark.parametrize("step", range(4))
async def test_taking_back_survives_breaking_off(
    ledger: Ledger, connection: Connection, keys: Keys, step: int
) -> None:
    steps = Steps()
    commands, broken = BreakingCommands(connection, steps), BreakingLedger(ledger, steps)
    ghosts = Ghosts(broken, commands, keys, lambda: BUDGET)
    await ghosts.book(ghost())
    steps.break_at(step, after=True)
    with pytest.raises(LedgerUnavailable):
        await ghosts.take_back(PROVIDER, ghost().id)
    steps.hold()

    await ghosts.take_back(PROVIDER, ghost().id)

    assert await spent(ledger) == 0
    assert await ghosts.total(PROVIDER, 0) == (0, 0)


async def test_a_ghost_that_broke_off_is_booked_before_it_is_taken_back(
    ledger: Ledger, connection: Connection, keys: Keys
) -> None:
    steps = Steps()
    ghosts = Ghosts(BreakingLedger(ledger, steps), connection, keys, lambda: BUDGET)
    steps.break_at(0, after=True)
    with pytest.raises(LedgerUnavailable):
        await ghosts.book(ghost())
    steps.hold()

    assert await ghosts.take_back(PROVIDER, ghost().id)

    assert await spent(ledger) == 0
    assert await state_of(ledger, ghost()) is State.RECEIPTED


async def test_a_reservation_that_ran_out_meanwhile_is_settled_at_the_amount(
    ledger: Ledger, connection: Connection, keys: Keys
) -> None:
    steps = Steps()
    ghosts = Ghosts(BreakingLedger(ledger, steps), connection, keys, lambda: BUDGET)
    steps.break_at(0, after=True)
    given_back = ghost(nano_usd=-200_000)
    with pytest.raises(LedgerUnavailable):
        await ghosts.book(given_back)
    steps.hold()
    record = await ledger.find(given_back.call_id)
    assert record is not None
    await ledger.expire(record.reservation)

    assert await ghosts.book(given_back)

    assert await spent(ledger) == -200_000
    assert await state_of(ledger, given_back) is State.SETTLED


async def test_a_booking_that_broke_off_in_another_month_is_counted_in_that_one(
    ledger: Ledger, connection: Connection, keys: Keys, clock: FakeClock
) -> None:
    clock.advance(8 * DAY_MS - 13 * 3_600_000 - 1_000)
    steps = Steps()
    ghosts = Ghosts(BreakingLedger(ledger, steps), connection, keys, lambda: BUDGET)
    steps.break_at(0, after=True)
    with pytest.raises(LedgerUnavailable):
        await ghosts.book(ghost())
    steps.hold()
    clock.advance(2_000)

    await ghosts.book(ghost())

    assert await spent(ledger) == 0
    record = await ledger.find(ghost().call_id)
    assert record is not None
    assert record.charged == (5_200_000,)


async def test_what_broke_off_longer_ago_than_the_ledger_remembers_is_not_counted_again(
    memory_ledger: MemoryLedger, connection: Connection, keys: Keys, clock: FakeClock
) -> None:
    steps = Steps()
    ghosts = Ghosts(BreakingLedger(memory_ledger, steps), connection, keys, lambda: BUDGET)
    steps.break_at(2, after=True)
    with pytest.raises(LedgerUnavailable):
        await ghosts.book(ghost())
    steps.hold()
    clock.advance(3 * DAY_MS)
    memory_ledger._calls.clear()

    assert await ghosts.book(ghost())

    assert await spent(memory_ledger) == 5_200_000
    assert await ghosts.total(PROVIDER, 0) == (1, 5_200_000)


async def test_a_reservation_that_vanishes_is_asked_for_again(
    memory_ledger: MemoryLedger, connection: Connection, keys: Keys
) -> None:
    class Emptied(BreakingLedger):
        async def find(self, call_id: str) -> None:
            memory_ledger._calls.clear()

    ghosts = Ghosts(Emptied(memory_ledger, Steps()), connection, keys, lambda: BUDGET)

    with pytest.raises(LedgerUnavailable):
        await ghosts.book(ghost())
