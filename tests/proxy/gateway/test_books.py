"""Ends of calls reach the ledger exactly once, whatever fails on the way, and wherever it fails."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from io import FileIO
from pathlib import Path

import pytest

from policies.budgets import Budget
from policies.decisions import Admitted, Moved
from policies.errors import IllegalTransition, LedgerRefused, LedgerUnavailable
from policies.ledger.interface import Admission, Ask, Due
from policies.ledger.memory import MemoryLedger
from policies.ledger.redis_ledger import RedisLedger
from policies.reservations import Operation, Reservation, State
from policies.units import CALLS, USD, Amounts
from policies.windows import Calendar, FirstUse, Lifetime, Rolling
from proxy.gateway.allowance import Allowance
from proxy.gateway.books import Books, book, replay
from proxy.gateway.call import Ticket
from proxy.gateway.settle import Conclusion
from proxy.gateway.write_ahead import Unbooked, WriteAhead
from tests.doubles.calls import quoted, reservation_of, ticket
from tests.doubles.fake_clock import FakeClock
from tests.doubles.flaky_ledger import FlakyLedger
from tests.doubles.recorders import Recorder

DAY_MS = 86_400_000
DAY = Budget(
    name="day", unit=USD, limit=10**9, window=Calendar("day"), when_ledger_down_nano_usd=10**9
)
COUNT = Budget(name="count", unit=CALLS, limit=10, window=Lifetime())
ROLLING = Budget(name="rolling", unit=USD, limit=10**9, window=Rolling(3_600_000))
FIRST = Budget(name="first", unit=USD, limit=10**9, window=FirstUse(3_600_000))
BUDGETS = (DAY, COUNT, ROLLING, FIRST)

SPENT = Conclusion(
    operation=Operation.SETTLE,
    amounts=Amounts(nano_usd=700),
    outcome='{"certainty":"exact"}',
    certainty="exact",
)
FREE = Conclusion(
    operation=Operation.RELEASE,
    amounts=Amounts(nano_usd=0, calls=0),
    outcome='{"reason":"never sent"}',
    certainty="unbilled",
)
Ledger = MemoryLedger | RedisLedger


@pytest.fixture
def flaky(ledger: Ledger) -> FlakyLedger:
    return FlakyLedger(ledger)


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[WriteAhead]:
    made = WriteAhead(tmp_path)
    yield made
    made.close()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def books(flaky: FlakyLedger, waiting: WriteAhead, recorder: Recorder) -> Books:
    return Books(flaky, waiting, Allowance(), recorder)


async def admitted(ledger: Ledger, *budgets: Budget, call_id: str = "call_a") -> Ticket:
    made = ticket(quoted(*(budgets or BUDGETS), call_id=call_id))
    call = made.quoted
    decision = await ledger.reserve(call_id, call.asks, data=call.data, admission=Admission.DECIDE)
    assert isinstance(decision, Admitted)
    return replace(made, reservation=decision.reservation)


def unbooked(made: Ticket, conclusion: Conclusion) -> Unbooked:
    return Unbooked(
        reservation=made.reservation,
        operation=conclusion.operation,
        amounts=conclusion.amounts,
        outcome=conclusion.outcome,
        data=made.quoted.data,
        on_allowance=made.on_allowance,
    )


async def replay_all(flaky: FlakyLedger, waiting: WriteAhead, made: Ticket) -> int:
    """Replay as the application does: again and again, until nothing waits."""
    for _ in range(20):
        try:
            return await replay(flaky, waiting, lambda _: made.quoted.asks)
        except LedgerUnavailable:
            continue
    raise AssertionError("it never ended")


async def stands(ledger: Ledger, *budgets: Budget) -> list[tuple[int, int]]:
    """What each budget has spent, and holds."""
    asks = [Ask(budget=each, subject="", held=0, bound=0) for each in budgets or BUDGETS]
    return [(s.spent, s.reserved) for s in await ledger.standings(asks)]


async def kinds(ledger: Ledger) -> list[str]:
    return [entry.kind for entry in await ledger.journal()]


ONCE = [(700, 0), (1, 0), (700, 0), (700, 0)]
NEVER = [(0, 0)] * 4
POINTS = [
    (operation, after)
    for operation in ("settle", "release", "find", "reserve")
    for after in (False, True)
]


@pytest.mark.parametrize(
    ("conclusion", "state", "charged"), [(SPENT, "settled", ONCE), (FREE, "released", NEVER)]
)
async def test_an_end_is_booked_at_once(
    books: Books,
    ledger: Ledger,
    recorder: Recorder,
    conclusion: Conclusion,
    state: str,
    charged: list[tuple[int, int]],
) -> None:
    assert await books.book(await admitted(ledger), conclusion)

    assert recorder.events == [("booked", state)]
    assert await stands(ledger) == charged


@pytest.mark.parametrize("conclusion", [SPENT, FREE], ids=["spent", "free"])
@pytest.mark.parametrize(
    "points", [*itertools.combinations(POINTS, 1), *itertools.combinations(POINTS, 2)], ids=str
)
async def test_an_end_is_booked_once_wherever_the_ledger_goes_away(
    books: Books,
    flaky: FlakyLedger,
    ledger: Ledger,
    waiting: WriteAhead,
    conclusion: Conclusion,
    points: tuple[tuple[str, bool], ...],
) -> None:
    made = await admitted(ledger)
    for operation, after in points:
        flaky.fail(operation, after=after)

    await books.book(made, conclusion)
    await replay_all(flaky, waiting, made)

    assert not waiting
    assert await stands(ledger) == (ONCE if conclusion is SPENT else NEVER)
    assert await kinds(ledger) == ["admitted", conclusion.operation.value]


@pytest.mark.parametrize(
    "points", [*itertools.combinations(POINTS, 1), *itertools.combinations(POINTS, 2)], ids=str
)
async def test_what_the_ledger_never_saw_is_booked_once(
    books: Books,
    flaky: FlakyLedger,
    ledger: Ledger,
    waiting: WriteAhead,
    points: tuple[tuple[str, bool], ...],
) -> None:
    """The ledger was restored from a copy that is older than the call."""
    made = ticket(quoted(*BUDGETS))
    for operation, after in points:
        flaky.fail(operation, after=after)

    await books.book(made, SPENT)
    await replay_all(flaky, waiting, made)

    assert await stands(ledger) == ONCE
    assert await kinds(ledger) == ["admitted", "settle"]


async def test_an_end_that_waits_is_seen_as_such(
    books: Books, flaky: FlakyLedger, ledger: Ledger, waiting: WriteAhead, recorder: Recorder
) -> None:
    made = await admitted(ledger)
    flaky.away = True

    assert not await books.book(made, SPENT)

    assert recorder.events == [("put_off", "settle")]
    assert waiting.waiting() == (unbooked(made, SPENT),)


@pytest.fixture
def full_disk() -> Iterator[FileIO]:
    with Path("/dev/full").open("ab", buffering=0) as full:
        yield full


async def test_what_a_full_disk_does_not_take_is_booked_from_memory(
    books: Books,
    flaky: FlakyLedger,
    ledger: Ledger,
    waiting: WriteAhead,
    recorder: Recorder,
    full_disk: FileIO,
) -> None:
    made = await admitted(ledger)
    flaky.away = True
    disk, waiting._file = waiting._file, full_disk

    await books.book(made, SPENT)

    assert recorder.names == ["lost"]
    waiting._file, flaky.away = disk, False
    await replay_all(flaky, waiting, made)
    assert await stands(ledger) == ONCE


async def test_a_replay_that_is_interrupted_goes_on_where_it_was(
    flaky: FlakyLedger, ledger: Ledger, waiting: WriteAhead
) -> None:
    for number in range(3):
        made = await admitted(ledger, DAY, call_id=f"call_{number}")
        waiting.append(unbooked(made, SPENT))
    flaky.fail("find")
    with pytest.raises(LedgerUnavailable):
        await replay(flaky, waiting, lambda _: ())
    assert len(waiting) == 3

    assert await replay(flaky, waiting, lambda _: ()) == 3

    assert await stands(ledger, DAY) == [(2_100, 0)]


async def test_an_entry_that_the_ledger_refuses_does_not_hold_up_the_others(
    flaky: FlakyLedger, ledger: Ledger, waiting: WriteAhead
) -> None:
    for number in range(3):
        made = await admitted(ledger, DAY, call_id=f"call_{number}")
        waiting.append(unbooked(made, SPENT))
    flaky.fail("settle", fault=LedgerRefused("ERR the counters of the call's record"))

    assert await replay(flaky, waiting, lambda _: ()) == 2

    assert [entry.reservation.call_id for entry in waiting.waiting()] == ["call_0"]
    assert await replay(flaky, waiting, lambda _: ()) == 1
    assert await stands(ledger, DAY) == [(2_100, 0)]


async def test_two_workers_that_replay_the_same_file_book_it_once(
    ledger: Ledger, waiting: WriteAhead
) -> None:
    entry = unbooked(await admitted(ledger), SPENT)

    for _ in range(2):
        waiting.append(entry)
        assert await replay(ledger, waiting, lambda _: ()) == 1

    assert await stands(ledger) == ONCE


# What happened to the call meanwhile…


async def test_a_free_call_whose_lease_ran_out_is_settled_at_nothing(
    books: Books, ledger: Ledger, recorder: Recorder
) -> None:
    made = await admitted(ledger)
    await ledger.expire(made.reservation)

    await books.book(made, FREE)

    assert await stands(ledger) == NEVER
    assert recorder.events == [("booked", "settled")]


async def test_a_call_whose_lease_ran_out_is_settled_at_what_it_cost(
    books: Books, ledger: Ledger
) -> None:
    made = await admitted(ledger)
    await ledger.expire(made.reservation)

    await books.book(made, SPENT)

    assert await stands(ledger) == ONCE


async def test_a_receipt_stands_against_whatever_comes_later(
    books: Books, ledger: Ledger, recorder: Recorder
) -> None:
    made = await admitted(ledger)
    await ledger.expire(made.reservation)
    await ledger.receipt(made.reservation, Amounts(nano_usd=900), outcome="{}")

    await books.book(made, SPENT)
    await books.book(made, FREE)

    assert recorder.events == [("booked", "receipted")] * 2
    assert await stands(ledger) == [(900, 0), (1, 0), (900, 0), (900, 0)]


async def test_a_receipt_that_comes_between_expiry_and_release_stands(ledger: Ledger) -> None:
    made = await admitted(ledger)
    await ledger.expire(made.reservation)

    found = await book(_ReceiptsFirst(ledger), unbooked(made, FREE), made.quoted.asks)

    assert (found.state, found.changed) == (State.RECEIPTED, False)


class _ReceiptsFirst(FlakyLedger):
    """A ledger that gets the receipt just before a settlement."""

    async def settle(
        self, reservation: Reservation, amounts: Amounts, *, outcome: str, due: Due | None = None
    ) -> Moved:
        await self.behind.receipt(reservation, Amounts(nano_usd=9), outcome="{}")
        raise IllegalTransition(reservation.call_id, State.RECEIPTED, Operation.SETTLE)


async def test_a_settled_call_is_not_released(books: Books, ledger: Ledger) -> None:
    made = await admitted(ledger)
    await books.book(made, SPENT)

    await books.book(made, FREE)

    assert await stands(ledger) == ONCE


async def test_a_released_call_is_not_settled(books: Books, ledger: Ledger) -> None:
    made = await admitted(ledger)
    await books.book(made, FREE)

    await books.book(made, SPENT)

    assert await stands(ledger) == NEVER


async def test_an_entry_that_was_booked_and_receipted_before_a_crash_does_not_block_the_others(
    ledger: Ledger, waiting: WriteAhead
) -> None:
    """The worker died between booking an entry and forgetting it, and receipts came meanwhile."""
    first = await admitted(ledger, call_id="call_1")
    for on_allowance in (False, True):
        entry = replace(unbooked(first, SPENT), on_allowance=on_allowance)
        waiting.append(entry)
        await book(ledger, entry, first.quoted.asks)
    await ledger.receipt(first.reservation, Amounts(nano_usd=500), outcome="{}")
    second = await admitted(ledger, call_id="call_2")
    waiting.append(unbooked(second, SPENT))

    assert await replay(ledger, waiting, lambda _: ()) == 2

    assert await stands(ledger, DAY) == [(1_200, 0)]


# Without the ledger…


async def test_a_call_on_an_allowance_is_booked_behind_what_already_waits(
    books: Books, flaky: FlakyLedger, ledger: Ledger, waiting: WriteAhead
) -> None:
    made = ticket(quoted(DAY), on_allowance=True)

    assert not await books.book(made, SPENT)

    assert flaky.asked == []
    assert len(waiting) == 1
    await replay_all(flaky, waiting, made)
    assert await stands(ledger, DAY) == [(700, 0)]


async def test_a_call_on_an_allowance_that_costs_nothing_holds_nothing(
    books: Books, flaky: FlakyLedger, ledger: Ledger, waiting: WriteAhead
) -> None:
    made = ticket(quoted(DAY), on_allowance=True)

    await books.book(made, FREE)
    await replay_all(flaky, waiting, made)

    assert await stands(ledger, DAY) == [(0, 0)]


@pytest.mark.parametrize(("conclusion", "spent"), [(SPENT, 700), (FREE, 0)], ids=["spent", "free"])
@pytest.mark.parametrize("expired", [False, True], ids=["reserved", "expired"])
async def test_a_reservation_whose_answer_was_lost_is_found_where_the_ledger_placed_it(
    books: Books,
    flaky: FlakyLedger,
    ledger: Ledger,
    waiting: WriteAhead,
    *,
    conclusion: Conclusion,
    spent: int,
    expired: bool,
) -> None:
    """Our clock was a day off: the counters that we would name are other ones than those held on."""
    held = await admitted(ledger, DAY)
    if expired:
        await ledger.expire(held.reservation)
    elsewhere = reservation_of("call_a", held.quoted.asks, held.reservation.at_ms + DAY_MS)
    made = replace(held, reservation=elsewhere, on_allowance=True)

    await books.book(made, conclusion)
    await replay_all(flaky, waiting, made)
    await book(ledger, unbooked(made, conclusion), made.quoted.asks)

    assert await stands(ledger, DAY) == [(spent, 0)]


async def test_what_was_reserved_again_after_midnight_is_settled_there(
    books: Books, flaky: FlakyLedger, ledger: Ledger, waiting: WriteAhead, clock: FakeClock
) -> None:
    """The call's record was lost; its second reservation took place, and then the ledger went."""
    made = ticket(quoted(DAY))
    clock.advance(DAY_MS)
    flaky.fail("reserve", after=True)

    await books.book(made, SPENT)
    await replay_all(flaky, waiting, made)

    assert await stands(ledger, DAY) == [(700, 0)]
    clock.advance(-DAY_MS)
    assert await stands(ledger, DAY) == [(0, 0)]


async def test_the_allowance_is_corrected_by_what_a_call_came_to(
    flaky: FlakyLedger, waiting: WriteAhead, recorder: Recorder
) -> None:
    allowance = Allowance()
    books = Books(flaky, waiting, allowance, recorder)
    made = ticket(quoted(DAY), on_allowance=True)
    allowance.take("call_a", [DAY], 10**6)

    await books.book(made, SPENT)

    assert allowance.used_nano_usd == 700


async def test_a_call_whose_budgets_are_gone_is_recorded_all_the_same(
    books: Books, flaky: FlakyLedger, ledger: Ledger, waiting: WriteAhead
) -> None:
    made = ticket(quoted(DAY), on_allowance=True)
    await books.book(made, SPENT)

    await replay(flaky, waiting, lambda _: ())

    record = await ledger.find("call_a")
    assert record is not None
    assert (record.state, record.outcome) == (State.SETTLED, SPENT.outcome)
