"""What a ledger does: one suite, on the in-memory oracle and on the real Redis."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from policies.budgets import Budget
from policies.decisions import Admitted, Decision, Duplicate, Refused
from policies.errors import IllegalTransition, UnknownCall
from policies.ledger.interface import Admission, Ask
from policies.ledger.memory import LEASE_MS, MemoryLedger
from policies.ledger.redis_ledger import RedisLedger
from policies.reservations import Reservation, State
from policies.units import CALLS, USD, Amounts
from policies.windows import Calendar, FirstUse, Lifetime, Rolling
from tests.doubles.fake_clock import FakeClock

Ledger = MemoryLedger | RedisLedger
HOUR_MS = 3_600_000

MONTH = Budget(name="month", unit=USD, limit=100, window=Calendar("month"))
DAY = Budget(name="day", unit=USD, limit=10, window=Calendar("day"))


def ask(budget: Budget, held: int, *, bound: int | None = None, subject: str = "") -> Ask:
    return Ask(budget=budget, subject=subject, held=held, bound=held if bound is None else bound)


async def reserve(
    ledger: Ledger, call_id: str, *asks: Ask, admission: Admission = Admission.DECIDE
) -> Decision:
    return await ledger.reserve(call_id, asks, data='{"model":"m"}', admission=admission)


async def admitted(ledger: Ledger, call_id: str, *asks: Ask) -> Reservation:
    decision = await reserve(ledger, call_id, *asks)
    assert isinstance(decision, Admitted)
    return decision.reservation


async def spent_and_reserved(ledger: Ledger, budget: Budget, subject: str = "") -> tuple[int, int]:
    (standing,) = await ledger.standings([ask(budget, 0, subject=subject)])
    return standing.spent, standing.reserved


def usd(nano: int) -> Amounts:
    return Amounts(nano_usd=nano)


async def test_a_reservation_is_held_on_every_budget(ledger: Ledger) -> None:
    decision = await reserve(ledger, "a", ask(MONTH, 4), ask(DAY, 4))

    assert isinstance(decision, Admitted)
    assert [s.reserved for s in decision.standings] == [4, 4]
    assert [s.remaining for s in decision.standings] == [96, 6]


async def test_a_call_that_one_budget_refuses_is_held_on_none(ledger: Ledger) -> None:
    decision = await reserve(ledger, "a", ask(MONTH, 11), ask(DAY, 11))

    assert isinstance(decision, Refused)
    assert (decision.standing.budget, decision.asked) == ("day", 11)
    assert await spent_and_reserved(ledger, MONTH) == (0, 0)


async def test_a_budget_admits_to_its_last_unit_and_not_beyond(ledger: Ledger) -> None:
    await admitted(ledger, "a", ask(DAY, 10))

    assert isinstance(await reserve(ledger, "b", ask(DAY, 1)), Refused)


async def test_a_call_that_asks_for_nothing_passes_a_budget_that_is_used_up(ledger: Ledger) -> None:
    await admitted(ledger, "a", ask(DAY, 10))

    assert isinstance(await reserve(ledger, "free", ask(DAY, 0)), Admitted)


async def test_a_settlement_replaces_the_reservation(ledger: Ledger) -> None:
    reservation = await admitted(ledger, "a", ask(MONTH, 4), ask(DAY, 4))

    moved = await ledger.settle(reservation, usd(3), outcome="{}")

    assert (moved.state, moved.changed) == (State.SETTLED, True)
    assert await spent_and_reserved(ledger, MONTH) == (3, 0)
    assert await spent_and_reserved(ledger, DAY) == (3, 0)


async def test_a_repeated_settlement_changes_nothing(ledger: Ledger) -> None:
    reservation = await admitted(ledger, "a", ask(DAY, 4))
    await ledger.settle(reservation, usd(3), outcome="{}")

    moved = await ledger.settle(reservation, usd(9), outcome="{}")

    assert not moved.changed
    assert await spent_and_reserved(ledger, DAY) == (3, 0)


async def test_a_settlement_above_the_reservation_is_an_overrun(ledger: Ledger) -> None:
    reservation = await admitted(ledger, "a", ask(DAY, 4))

    await ledger.settle(reservation, usd(12), outcome="{}")

    (standing,) = await ledger.standings([ask(DAY, 0)])
    assert (standing.spent, standing.overrun, standing.remaining) == (12, 8, 0)


async def test_each_unit_is_settled_by_its_own_amount(ledger: Ledger) -> None:
    calls = Budget(name="calls", unit=CALLS, limit=5, window=Lifetime())
    flows = Budget(name="flows", unit="flows", limit=50, window=Lifetime())
    reservation = await admitted(ledger, "a", ask(calls, 1), ask(flows, 20))

    await ledger.settle(reservation, Amounts(nano_usd=9, credits={"flows": 7}), outcome="{}")

    assert await spent_and_reserved(ledger, calls) == (1, 0)
    assert await spent_and_reserved(ledger, flows) == (7, 0)


async def test_a_released_call_costs_nothing(ledger: Ledger) -> None:
    reservation = await admitted(ledger, "a", ask(DAY, 4))

    assert (await ledger.release(reservation, outcome="{}")).state is State.RELEASED
    assert await spent_and_reserved(ledger, DAY) == (0, 0)


async def test_a_lost_answer_is_asked_for_again_without_holding_twice(ledger: Ledger) -> None:
    first = await admitted(ledger, "a", ask(DAY, 4))

    again = await admitted(ledger, "a", ask(DAY, 4))

    assert again.charges == first.charges
    assert await spent_and_reserved(ledger, DAY) == (0, 4)


async def test_an_id_that_is_over_is_never_used_again(ledger: Ledger) -> None:
    reservation = await admitted(ledger, "a", ask(DAY, 4))
    await ledger.settle(reservation, usd(1), outcome="{}")

    assert await reserve(ledger, "a", ask(DAY, 4)) == Duplicate(state=State.SETTLED)


async def test_a_release_that_overtakes_its_reservation_leaves_a_mark(ledger: Ledger) -> None:
    await ledger.release(Reservation(call_id="a", at_ms=0, charges=()), outcome="{}")

    assert await reserve(ledger, "a", ask(DAY, 4)) == Duplicate(state=State.RELEASED)
    assert await spent_and_reserved(ledger, DAY) == (0, 0)


async def test_a_lease_that_runs_out_charges_the_call_as_reserved(
    ledger: Ledger, clock: FakeClock
) -> None:
    await admitted(ledger, "a", ask(DAY, 4))
    assert await ledger.overdue(10) == []

    clock.advance(LEASE_MS)
    assert await ledger.overdue(10) == ["a"]
    record = await ledger.find("a")
    assert record is not None
    await ledger.expire(record.reservation)

    assert await spent_and_reserved(ledger, DAY) == (4, 0)
    assert await ledger.overdue(10) == []


async def test_an_extended_lease_begins_anew(ledger: Ledger, clock: FakeClock) -> None:
    await admitted(ledger, "a", ask(DAY, 4))
    clock.advance(LEASE_MS - 1)

    assert await ledger.extend(["a", "never-heard-of"]) == 1

    clock.advance(LEASE_MS - 1)
    assert await ledger.overdue(10) == []


async def test_an_expired_call_is_settled_to_the_truth_when_it_ends_after_all(
    ledger: Ledger,
) -> None:
    reservation = await admitted(ledger, "a", ask(DAY, 4))
    await ledger.expire(reservation)

    await ledger.settle(reservation, usd(1), outcome="{}")

    assert await spent_and_reserved(ledger, DAY) == (1, 0)


async def test_a_receipt_corrects_a_settled_call_and_an_expired_one(ledger: Ledger) -> None:
    settled = await admitted(ledger, "a", ask(DAY, 4))
    await ledger.settle(settled, usd(3), outcome="{}")
    expired = await admitted(ledger, "b", ask(DAY, 2))
    await ledger.expire(expired)

    await ledger.receipt(settled, usd(5), outcome="{}")
    await ledger.receipt(expired, usd(1), outcome="{}")

    (standing,) = await ledger.standings([ask(DAY, 0)])
    assert (standing.spent, standing.overrun) == (6, 1)


async def test_no_receipt_leaves_the_metered_amount_until_one_comes(ledger: Ledger) -> None:
    reservation = await admitted(ledger, "a", ask(DAY, 4))
    await ledger.settle(reservation, usd(3), outcome="{}")

    assert (await ledger.give_up(reservation, outcome="{}")).state is State.UNRECEIPTED
    assert await spent_and_reserved(ledger, DAY) == (3, 0)

    await ledger.receipt(reservation, usd(2), outcome="{}")
    assert await spent_and_reserved(ledger, DAY) == (2, 0)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("release", "settle"),
        ("release", "expire"),
        ("release", "receipt"),
        ("release", "give_up"),
        ("settle", "release"),
        ("settle", "expire"),
        ("expire", "release"),
        ("receipt", "settle"),
        ("receipt", "give_up"),
        ("none", "receipt"),
        ("none", "give_up"),
    ],
)
async def test_what_is_not_in_the_table_raises_and_changes_nothing(
    ledger: Ledger, before: str, after: str
) -> None:
    reservation = await admitted(ledger, "a", ask(DAY, 4))
    if before == "receipt":
        await ledger.settle(reservation, usd(3), outcome="{}")
    await _operate(ledger, before, reservation)
    stood = await spent_and_reserved(ledger, DAY)

    with pytest.raises(IllegalTransition, match="nothing was changed"):
        await _operate(ledger, after, reservation)

    assert await spent_and_reserved(ledger, DAY) == stood


async def _operate(ledger: Ledger, operation: str, reservation: Reservation) -> None:
    match operation:
        case "settle":
            await ledger.settle(reservation, usd(3), outcome="{}")
        case "receipt":
            await ledger.receipt(reservation, usd(3), outcome="{}")
        case "release":
            await ledger.release(reservation, outcome="{}")
        case "expire":
            await ledger.expire(reservation)
        case "give_up":
            await ledger.give_up(reservation, outcome="{}")
        case _:
            assert operation == "none"


async def test_a_call_that_the_ledger_does_not_know_is_said_to_be_unknown(ledger: Ledger) -> None:
    stranger = Reservation(call_id="stranger", at_ms=0, charges=())

    for operation in ("settle", "expire", "receipt", "give_up"):
        with pytest.raises(UnknownCall, match="stranger"):
            await _operate(ledger, operation, stranger)
    assert await ledger.find("stranger") is None


# Windows…


async def test_a_new_calendar_window_begins_at_zero(ledger: Ledger, clock: FakeClock) -> None:
    reservation = await admitted(ledger, "a", ask(DAY, 10))
    await ledger.settle(reservation, usd(10), outcome="{}")

    clock.advance(12 * HOUR_MS)

    assert await spent_and_reserved(ledger, DAY) == (0, 0)
    assert isinstance(await reserve(ledger, "b", ask(DAY, 10)), Admitted)


async def test_a_call_is_settled_in_the_window_that_it_was_reserved_in(
    ledger: Ledger, clock: FakeClock
) -> None:
    reservation = await admitted(ledger, "a", ask(DAY, 10))
    clock.advance(12 * HOUR_MS)

    await ledger.settle(reservation, usd(7), outcome="{}")

    assert await spent_and_reserved(ledger, DAY) == (0, 0)
    clock.advance(-12 * HOUR_MS)
    assert await spent_and_reserved(ledger, DAY) == (7, 0)


async def test_a_rolling_window_forgets_bucket_by_bucket(ledger: Ledger, clock: FakeClock) -> None:
    hour = Budget(name="hour", unit=USD, limit=10, window=Rolling(HOUR_MS))
    for number in range(2):
        reservation = await admitted(ledger, f"r{number}", ask(hour, 5))
        await ledger.settle(reservation, usd(5), outcome="{}")
        clock.advance(HOUR_MS // 2)
    refused = await reserve(ledger, "x", ask(hour, 5))

    # A minute's bucket leaves when all of it is an hour old.
    clock.advance(60_000)

    assert isinstance(refused, Refused)
    assert refused.retry_at_ms == clock.now_ms()
    assert await spent_and_reserved(ledger, hour) == (5, 0)
    assert isinstance(await reserve(ledger, "y", ask(hour, 5)), Admitted)


async def test_a_settlement_that_has_left_its_rolling_window_counts_no_more(
    ledger: Ledger, clock: FakeClock
) -> None:
    hour = Budget(name="hour", unit=USD, limit=10, window=Rolling(HOUR_MS))
    reservation = await admitted(ledger, "a", ask(hour, 5))
    clock.advance(3 * HOUR_MS)
    assert await spent_and_reserved(ledger, hour) == (0, 5)

    moved = await ledger.settle(reservation, usd(4), outcome="{}")

    assert moved.prior_period == 1
    assert await spent_and_reserved(ledger, hour) == (0, 0)


async def test_a_first_use_window_begins_with_a_call_and_again_after_its_end(
    ledger: Ledger, clock: FakeClock
) -> None:
    five_hours = Budget(name="five", unit=USD, limit=10, window=FirstUse(5 * HOUR_MS))
    first = await admitted(ledger, "a", ask(five_hours, 6))
    (standing,) = await ledger.standings([ask(five_hours, 0)])
    assert standing.end_ms == clock.now_ms() + 5 * HOUR_MS

    clock.advance(5 * HOUR_MS)
    assert await spent_and_reserved(ledger, five_hours) == (0, 0)
    await admitted(ledger, "b", ask(five_hours, 10))
    moved = await ledger.settle(first, usd(6), outcome="{}")

    assert moved.prior_period == 1
    assert await spent_and_reserved(ledger, five_hours) == (0, 10)


# Modes and quotes…


@pytest.mark.parametrize("mode", ["warn", "shadow"])
async def test_a_budget_that_does_not_enforce_admits_and_says_that_it_would_not(
    ledger: Ledger, mode: str
) -> None:
    lenient = replace(DAY, mode="warn" if mode == "warn" else "shadow")

    decision = await reserve(ledger, "a", ask(lenient, 11))

    assert isinstance(decision, Admitted)
    assert decision.would_refuse == ("day",)
    assert await spent_and_reserved(ledger, lenient) == (0, 11)
    entries = await ledger.journal()
    assert [(entry.kind, entry.call_id) for entry in entries] == [
        ("admitted", "a"),
        ("would_refuse", "a"),
    ]
    assert json.loads(entries[1].data) == {"budgets": ["day"]}


async def test_likely_quotes_leave_room_and_their_bounds_stay_within_the_overrun(
    ledger: Ledger,
) -> None:
    likely = replace(DAY, quote="likely", overrun_max=5)
    await admitted(ledger, "a", ask(likely, 2, bound=8))

    # Likely 4 of 10 are held, but the bounds would come to 16, above 10 + 5.
    assert isinstance(await reserve(ledger, "b", ask(likely, 2, bound=8)), Refused)
    assert isinstance(await reserve(ledger, "c", ask(likely, 2, bound=7)), Admitted)


async def test_bounds_are_given_back_when_calls_end(ledger: Ledger) -> None:
    likely = replace(DAY, quote="likely", overrun_max=5)
    reservation = await admitted(ledger, "a", ask(likely, 2, bound=15))
    await ledger.settle(reservation, usd(1), outcome="{}")

    assert isinstance(await reserve(ledger, "b", ask(likely, 2, bound=14)), Admitted)


async def test_a_forced_reservation_records_what_is_above_the_limit(ledger: Ledger) -> None:
    await reserve(ledger, "a", ask(DAY, 13), admission=Admission.FORCE)

    (standing,) = await ledger.standings([ask(DAY, 0)])
    assert (standing.reserved, standing.overrun) == (13, 3)


async def test_each_subject_has_a_counter_of_its_own(ledger: Ledger) -> None:
    each = replace(DAY, each="user")
    await admitted(ledger, "a", ask(each, 10, subject="alice"))
    await admitted(ledger, "b", ask(each, 10, subject="bob: the / one"))

    assert await ledger.subjects(each) == ["alice", "bob: the / one"]
    assert isinstance(await reserve(ledger, "c", ask(each, 1, subject="alice")), Refused)


# The journal…


async def test_every_decision_and_movement_is_journalled_with_how_the_counter_stood(
    ledger: Ledger,
) -> None:
    reservation = await admitted(ledger, "a", ask(DAY, 4))
    await reserve(ledger, "b", ask(DAY, 7))
    await ledger.settle(reservation, usd(3), outcome='{"usage":1}')
    await ledger.settle(reservation, usd(3), outcome='{"usage":1}')

    entries = await ledger.journal()

    assert [(entry.kind, entry.call_id) for entry in entries] == [
        ("admitted", "a"),
        ("refused", "b"),
        ("settle", "a"),
    ]
    (movement,) = entries[2].movements
    assert (movement.spent_change, movement.reserved_change) == (3, -4)
    assert (movement.spent, movement.reserved) == (3, 0)
    assert json.loads(entries[2].data) == {"usage": 1}
    assert [entry.kind for entry in await ledger.journal(after=entries[1].id)] == ["settle"]


async def test_a_try_that_is_refused_leaves_no_entry(ledger: Ledger) -> None:
    assert isinstance(await reserve(ledger, "a", ask(DAY, 11), admission=Admission.TRY), Refused)

    assert await ledger.journal() == []


async def test_a_change_that_all_replicas_report_is_journalled_once(ledger: Ledger) -> None:
    first = await ledger.journal_once("prices", "m", "v1", kind="price_changed", data="{}")
    again = await ledger.journal_once("prices", "m", "v1", kind="price_changed", data="{}")
    news = await ledger.journal_once("prices", "m", "v2", kind="price_changed", data="{}")

    assert (first, again, news) == (True, False, True)
    assert len(await ledger.journal()) == 2


async def test_generation_ids_are_kept_with_a_call_that_is_there(ledger: Ledger) -> None:
    await admitted(ledger, "a", ask(DAY, 4))
    await ledger.note_generation("a", ["gen-1", "req-1"])
    await ledger.note_generation("stranger", ["gen-2"])

    record = await ledger.find("a")

    assert record is not None
    assert record.generation_ids == ("gen-1", "req-1")
    assert await ledger.find("stranger") is None
