"""A ledger that lost something is given it back: never less than is archived, and nothing twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.budgets import Budget
from policies.decisions import Admitted, Duplicate, Refused
from policies.journal import RESTORE
from policies.ledger.connection import Connection
from policies.ledger.interface import Admission, Ask, CallRecord, CounterRecord, Due
from policies.ledger.keys import charge_of, place
from policies.ledger.memory import LEASE_MS, MemoryLedger
from policies.ledger.redis_ledger import RedisLedger
from policies.money import EXACT_MAX
from policies.reservations import Reservation, State
from policies.units import USD, Amounts
from policies.windows import Calendar, FirstUse, Reported, Rolling
from tests.doubles.fake_clock import NOON_MS, FakeClock

Ledger = MemoryLedger | RedisLedger
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
DAY = Budget(name="day", unit=USD, limit=100, window=Calendar("day"), each="user")
HOUR = Budget(name="hour", unit=USD, limit=100, window=Rolling(HOUR_MS))
FIRST = Budget(name="first", unit=USD, limit=100, window=FirstUse(HOUR_MS))
WALLET = Budget(name="wallet.p", unit=USD, limit=EXACT_MAX, window=Reported(HOUR_MS))


def ask(budget: Budget, held: int = 0, *, more: int = 0) -> Ask:
    subject = "alice" if budget.each else ""
    return Ask(budget=budget, subject=subject, held=held, bound=held + more)


def lost(
    *asks: Ask, state: State = State.RESERVED, at_ms: int = NOON_MS, **more: object
) -> CallRecord:
    """Return what the archive has of a call that came in then."""
    charges = []
    for each in asks:
        at = place(each.budget, each.subject, at_ms)
        slot = at_ms // at.bucket_ms if at.kind == "rolling" else 0
        slot = at_ms if at.kind == "first-use" else slot
        charges.append(
            charge_of(each.budget, each.subject, at, slot=slot, held=each.held, bound=each.bound)
        )
    plain = CallRecord(
        state=state,
        reservation=Reservation(call_id="a", at_ms=at_ms, charges=tuple(charges)),
        charged=(),
        data='{"model":"m"}',
        outcome="",
        generation_ids=(),
    )
    return replace(plain, **more)  # type: ignore[arg-type]  # Fields of the record, as tests name them.


def counter(budget: Budget, spent: int = 0, **more: object) -> CounterRecord:
    """Return what the archive has of a budget's counter."""
    at = place(budget, "alice" if budget.each else "", NOON_MS)
    length_ms = at.end_ms if at.kind == "fixed" else at.length_ms
    plain = CounterRecord(
        counter=at.counter,
        kind=at.kind,
        length_ms=length_ms,
        bucket_ms=at.bucket_ms,
        spent=spent,
        start_ms=NOON_MS if at.kind == "first-use" else 0,
    )
    return replace(plain, **more)  # type: ignore[arg-type]  # Fields of the record, as tests name them.


async def stands(ledger: Ledger, budget: Budget) -> tuple[int, int, int]:
    (standing,) = await ledger.standings([ask(budget)])
    return standing.spent, standing.reserved, standing.overrun


async def spend(ledger: Ledger, budget: Budget, amount: int, call_id: str = "other") -> None:
    decision = await ledger.reserve(
        call_id, [ask(budget, amount)], data="{}", admission=Admission.DECIDE
    )
    assert isinstance(decision, Admitted)
    await ledger.settle(decision.reservation, Amounts(nano_usd=amount), outcome="{}")


# Counters…


async def test_an_empty_counter_comes_back_with_its_subject_and_says_so(ledger: Ledger) -> None:
    restored = await ledger.restore_counter(counter(DAY, 80, overrun=5))

    assert (restored.spent_before, restored.spent, restored.overrun) == (0, 80, 5)
    assert restored.changed
    assert await stands(ledger, DAY) == (80, 0, 5)
    assert await ledger.subjects(DAY) == ["alice"]
    (entry,) = await ledger.journal()
    assert (entry.kind, entry.call_id) == (RESTORE, "")
    assert entry.data == '{"spent_before":0,"overrun_before":0}'
    (movement,) = entry.movements
    assert (movement.counter, movement.unit) == ("day:USD:alice:2026-11-23", USD)
    assert (movement.spent_change, movement.spent, movement.overrun) == (80, 80, 5)


async def test_a_counter_is_never_lowered_and_never_raised_twice(ledger: Ledger) -> None:
    await spend(ledger, DAY, 30)

    for spent, stood in ((80, 80), (80, 80), (10, 80)):
        restored = await ledger.restore_counter(counter(DAY, spent))
        assert restored.spent == stood

    assert [entry.kind for entry in await ledger.journal()] == ["admitted", "settle", RESTORE]


async def test_a_restored_budget_refuses_what_no_longer_fits(ledger: Ledger) -> None:
    await ledger.restore_counter(counter(DAY, 95))

    decision = await ledger.reserve("b", [ask(DAY, 6)], data="{}", admission=Admission.DECIDE)

    assert isinstance(decision, Refused)


async def test_a_rolling_window_comes_back_by_bucket_and_forgets_by_bucket(
    ledger: Ledger, clock: FakeClock
) -> None:
    """The ledger went on meanwhile: what it counted stays, and the older buckets leave first."""
    await spend(ledger, HOUR, 7)
    minute = NOON_MS // MINUTE_MS
    buckets = {minute - 90: 50, minute - 30: 20, minute - 10: 10, minute: 4}

    restored = await ledger.restore_counter(counter(HOUR, 999, buckets=buckets))

    assert (restored.spent_before, restored.spent) == (7, 37)
    clock.advance(31 * MINUTE_MS)
    assert await stands(ledger, HOUR) == (17, 0, 0)
    clock.advance(20 * MINUTE_MS)
    assert await stands(ledger, HOUR) == (7, 0, 0)


async def test_a_first_use_window_comes_back_with_its_beginning(
    ledger: Ledger, clock: FakeClock
) -> None:
    clock.advance(HOUR_MS // 2)

    await ledger.restore_counter(counter(FIRST, 40))

    assert await stands(ledger, FIRST) == (40, 0, 0)
    clock.advance(HOUR_MS // 2)
    assert await stands(ledger, FIRST) == (0, 0, 0)


async def test_a_first_use_window_that_began_as_another_was_forgotten_counts_for_both(
    ledger: Ledger, clock: FakeClock
) -> None:
    clock.advance(HOUR_MS // 2)
    await spend(ledger, FIRST, 7)

    await ledger.restore_counter(counter(FIRST, 47))

    assert await stands(ledger, FIRST) == (47, 0, 0)
    clock.advance(HOUR_MS - 1)
    assert await stands(ledger, FIRST) == (47, 0, 0)


async def test_a_first_use_window_that_was_over_when_the_next_began_stays_over(
    ledger: Ledger, clock: FakeClock
) -> None:
    clock.advance(HOUR_MS)
    await spend(ledger, FIRST, 7)

    assert not (await ledger.restore_counter(counter(FIRST, 40, overrun=9))).changed
    assert await stands(ledger, FIRST) == (7, 0, 0)


async def test_a_later_first_use_window_takes_the_place_of_an_old_copys(
    ledger: Ledger, clock: FakeClock
) -> None:
    await spend(ledger, FIRST, 90)
    clock.advance(2 * HOUR_MS)

    await ledger.restore_counter(counter(FIRST, 5, start_ms=NOON_MS + HOUR_MS + 1))

    assert await stands(ledger, FIRST) == (5, 0, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "reported"},
        {"spent": -1},
        {"overrun": -1},
        {"spent": EXACT_MAX + 1},
        {"buckets": {1: -1}},
        {"kind": "rolling", "bucket_ms": 0},
        {"kind": "first-use", "start_ms": 0},
    ],
)
def test_a_counter_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="day:USD:alice"):
        counter(DAY, **wrong)  # type: ignore[arg-type]  # What is wrong, by field.


async def test_counters_and_subjects_go_when_they_would_have_gone(
    redis_ledger: RedisLedger, connection: Connection
) -> None:
    keys = redis_ledger.keys
    names = {}
    for budget in (DAY, HOUR, FIRST):
        record = counter(budget, 4)
        await redis_ledger.restore_counter(record)
        await spend(redis_ledger, budget, 1, f"call-{budget.name}")
        for name in (keys.counter(record.counter), keys.subjects(record.counter)):
            names[name] = await connection.execute("PEXPIRETIME", name)

    assert all(expires > NOON_MS for expires in names.values())


# Calls…


async def test_a_call_in_flight_is_held_again_and_settled_as_ever(
    ledger: Ledger, clock: FakeClock
) -> None:
    record = lost(ask(DAY, 4), ask(HOUR, 4, more=90), ask(FIRST, 4))

    assert await ledger.restore_call(record)

    assert await ledger.find("a") == record
    for budget in (DAY, HOUR, FIRST):
        assert await stands(ledger, budget) == (0, 4, 0)
    assert await ledger.subjects(DAY) == ["alice"]
    likely = replace(HOUR, quote="likely")
    decision = await ledger.reserve(
        "b", [ask(likely, 1, more=9)], data="{}", admission=Admission.DECIDE
    )
    assert isinstance(decision, Refused)
    clock.advance(MINUTE_MS)
    await ledger.settle(record.reservation, Amounts(nano_usd=3), outcome="{}")
    for budget in (DAY, HOUR, FIRST):
        assert await stands(ledger, budget) == (3, 0, 0)


async def test_what_was_held_again_is_journalled_once(ledger: Ledger) -> None:
    record = lost(ask(DAY, 4), ask(FIRST, 4))

    assert [await ledger.restore_call(record) for _ in range(3)] == [True, False, False]

    (entry,) = await ledger.journal()
    assert (entry.kind, entry.call_id, entry.data) == (RESTORE, "a", '{"state":"reserved"}')
    assert [(m.spent_change, m.reserved_change, m.reserved) for m in entry.movements] == [
        (0, 4, 4),
        (0, 4, 4),
    ]


async def test_a_restored_lease_begins_anew_and_runs_out(ledger: Ledger, clock: FakeClock) -> None:
    await ledger.restore_call(lost(ask(DAY, 4)))
    assert await ledger.extend(["a"]) == 1
    assert await ledger.overdue(10) == []

    clock.advance(LEASE_MS)

    assert await ledger.overdue(10) == ["a"]


async def test_a_call_that_its_worker_booked_meanwhile_stays_as_it_is(ledger: Ledger) -> None:
    record = lost(ask(DAY, 4))
    await ledger.reserve("a", [ask(DAY, 4)], data="{}", admission=Admission.FORCE)
    await ledger.settle(record.reservation, Amounts(nano_usd=3), outcome="{}")

    assert not await ledger.restore_call(record)
    assert await stands(ledger, DAY) == (3, 0, 0)


async def test_an_ended_call_waits_for_its_receipt_again_and_is_booked_by_its_counters(
    ledger: Ledger, clock: FakeClock
) -> None:
    record = lost(
        ask(DAY, 4), state=State.SETTLED, charged=(3,), outcome='{"s":1}', ended_ms=NOON_MS
    )
    await ledger.restore_counter(counter(DAY, 3))

    assert await ledger.restore_call(record, due=Due(queue="p", after_ms=5))

    assert await ledger.find("a") == record
    assert await stands(ledger, DAY) == (3, 0, 0)
    assert await waiting(ledger) == {"a": clock.now_ms() + 5}
    assert await ledger.overdue(10) == []
    await ledger.receipt(record.reservation, Amounts(nano_usd=9), outcome="{}", queue="p")
    assert await stands(ledger, DAY) == (9, 0, 5)
    assert await waiting(ledger) == {}


async def waiting(ledger: Ledger) -> dict[str, int]:
    """Return when each call's receipt is to be looked for."""
    if isinstance(ledger, MemoryLedger):
        return {call_id: at_ms for (_, call_id), at_ms in ledger.due.items()}
    key = ledger.keys.receipts("p", "due")
    flat = await ledger._commands.execute("ZRANGE", key, 0, -1, "WITHSCORES")
    return {flat[i].decode(): int(float(flat[i + 1])) for i in range(0, len(flat), 2)}


async def test_a_reserved_call_waits_for_no_receipt_yet(ledger: Ledger) -> None:
    await ledger.restore_call(lost(ask(DAY, 4)), due=Due(queue="p", after_ms=5))

    assert await waiting(ledger) == {}


async def test_an_id_that_was_used_is_not_used_again(ledger: Ledger) -> None:
    await ledger.restore_call(lost(ask(DAY, 4), state=State.RELEASED, charged=(0,)))

    decision = await ledger.reserve("a", [ask(DAY, 4)], data="{}", admission=Admission.DECIDE)

    assert decision == Duplicate(state=State.RELEASED)


async def test_a_call_of_an_old_copy_moves_on_with_its_money(ledger: Ledger) -> None:
    decision = await ledger.reserve(
        "a", [ask(DAY, 4), ask(HOUR, 4)], data="{}", admission=Admission.DECIDE
    )
    assert isinstance(decision, Admitted)
    await ledger.note_generation("a", ["gen-1"])
    record = CallRecord(
        state=State.RECEIPTED,
        reservation=decision.reservation,
        charged=(6, 3),
        data="{}",
        outcome='{"s":1}',
        receipt='{"r":1}',
        ended_ms=NOON_MS + 5,
        generation_ids=(),
    )

    assert [await ledger.restore_call(record) for _ in range(2)] == [True, False]

    assert await ledger.find("a") == replace(record, generation_ids=("gen-1",))
    assert await stands(ledger, DAY) == (6, 0, 2)
    assert await stands(ledger, HOUR) == (3, 0, 0)
    assert await ledger.overdue(10) == []
    entry = (await ledger.journal())[-1]
    assert (entry.kind, entry.data) == (RESTORE, '{"state":"receipted","was":"reserved"}')
    assert [(m.spent_change, m.reserved_change) for m in entry.movements] == [(6, -4), (3, -4)]


async def test_a_call_that_had_ended_in_an_old_copy_gives_back_no_reservation_again(
    ledger: Ledger,
) -> None:
    await ledger.reserve("other", [ask(DAY, 9)], data="{}", admission=Admission.DECIDE)
    await spend(ledger, DAY, 3, "a")
    record = await ledger.find("a")
    assert record is not None

    await ledger.restore_call(
        replace(record, state=State.RECEIPTED, charged=(2,), receipt='{"r":1}')
    )

    assert await stands(ledger, DAY) == (2, 9, 0)


async def test_a_call_on_other_counters_than_the_archives_stays_as_it_is(ledger: Ledger) -> None:
    await ledger.reserve("a", [ask(DAY, 4)], data="{}", admission=Admission.DECIDE)
    yesterday = lost(ask(DAY, 4), state=State.SETTLED, charged=(3,), at_ms=NOON_MS - DAY_MS)
    more = lost(ask(DAY, 4), ask(HOUR, 4), state=State.SETTLED, charged=(3, 3))

    assert not await ledger.restore_call(yesterday)
    assert not await ledger.restore_call(more)
    assert await stands(ledger, DAY) == (0, 4, 0)


async def test_a_call_counts_in_the_first_use_window_that_took_its_own_ones_place(
    ledger: Ledger, clock: FakeClock
) -> None:
    clock.advance(HOUR_MS // 2)
    await spend(ledger, FIRST, 7)

    record = lost(ask(FIRST, 4))
    await ledger.restore_call(record)
    assert await stands(ledger, FIRST) == (7, 4, 0)

    await ledger.settle(record.reservation, Amounts(nano_usd=3), outcome="{}")
    assert await stands(ledger, FIRST) == (10, 0, 0)


async def test_a_call_of_a_first_use_window_that_is_over_holds_nothing(
    ledger: Ledger, clock: FakeClock
) -> None:
    clock.advance(HOUR_MS)
    await spend(ledger, FIRST, 7)

    record = lost(ask(FIRST, 4))
    assert await ledger.restore_call(record)
    assert await stands(ledger, FIRST) == (7, 0, 0)

    moved = await ledger.settle(record.reservation, Amounts(nano_usd=3), outcome="{}")
    assert (moved.prior_period, await stands(ledger, FIRST)) == (1, (7, 0, 0))


async def test_a_call_on_a_providers_window_counts_until_the_next_report(ledger: Ledger) -> None:
    await ledger.restore_call(lost(ask(WALLET, 4)))

    await ledger.report(WALLET, "", limit=6, closed="", began_ms=NOON_MS)

    decision = await ledger.reserve("b", [ask(WALLET, 3)], data="{}", admission=Admission.DECIDE)
    assert isinstance(decision, Refused)


async def test_money_whose_counter_is_gone_is_booked_on_none(ledger: Ledger) -> None:
    record = lost(ask(DAY, 4), ask(HOUR, 4), ask(FIRST, 4), state=State.SETTLED, charged=(3, 3, 3))
    await ledger.restore_call(record)

    moved = await ledger.receipt(record.reservation, Amounts(nano_usd=1), outcome="{}")

    assert moved.prior_period == 3
    for budget in (DAY, HOUR, FIRST):
        assert await stands(ledger, budget) == (0, 0, 0)


@pytest.mark.parametrize(
    ("state", "charged"),
    [(State.RESERVED, (3,)), (State.SETTLED, ()), (State.SETTLED, (3, 3))],
)
async def test_a_record_that_does_not_say_what_was_charged_is_refused(
    ledger: Ledger, state: State, charged: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="call a is"):
        await ledger.restore_call(lost(ask(DAY, 4), state=state, charged=charged))

    assert await ledger.find("a") is None
