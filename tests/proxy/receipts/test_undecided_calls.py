"""The oldest call that is in flight or waits for its receipt, whatever order they wait in."""

from __future__ import annotations

import asyncio

import pytest

from policies.errors import LedgerUnavailable
from policies.ledger.connection import Connection
from policies.ledger.interface import Admission, Due
from policies.ledger.keys import Keys
from policies.ledger.redis_ledger import RedisLedger
from policies.reservations import Reservation
from policies.units import Amounts
from proxy.receipts.ghosts import GHOST
from proxy.receipts.undecided_calls import UndecidedCalls
from tests.doubles.fake_clock import NOON_MS, FakeClock
from tests.proxy.receipts.breaking import BreakingCommands, Steps

DUE = Due(queue="agi", after_ms=180_000)


@pytest.fixture
def undecided(connection: Connection, organization: str) -> UndecidedCalls:
    return UndecidedCalls(connection, Keys(organization), ["agi", "agi-sub"])


async def reserve(ledger: RedisLedger, call_id: str) -> Reservation:
    await ledger.reserve(call_id, [], data="{}", admission=Admission.DECIDE)
    record = await ledger.find(call_id)
    assert record is not None
    return record.reservation


async def settle(ledger: RedisLedger, call_id: str, due: Due | None = DUE) -> Reservation:
    reservation = await reserve(ledger, call_id)
    await ledger.settle(reservation, Amounts(), outcome="{}", due=due)
    return reservation


async def test_without_calls_there_is_none(undecided: UndecidedCalls) -> None:
    assert await undecided.oldest_ms() is None


async def test_a_call_in_flight_is_undecided(
    undecided: UndecidedCalls, redis_ledger: RedisLedger, clock: FakeClock
) -> None:
    await reserve(redis_ledger, "call_1")
    clock.advance(10_000)

    assert await undecided.oldest_ms() == NOON_MS


async def test_a_call_is_undecided_until_its_receipt(
    undecided: UndecidedCalls, redis_ledger: RedisLedger
) -> None:
    reservation = await settle(redis_ledger, "call_1")
    assert await undecided.oldest_ms() == NOON_MS

    await redis_ledger.receipt(reservation, Amounts(), outcome="{}", queue="agi")

    assert await undecided.oldest_ms() is None


async def test_a_call_is_decided_when_its_receipt_is_given_up(
    undecided: UndecidedCalls, redis_ledger: RedisLedger
) -> None:
    reservation = await settle(redis_ledger, "call_1")

    await redis_ledger.give_up(reservation, outcome="{}", queue="agi")

    assert await undecided.oldest_ms() is None


async def test_a_call_that_waits_for_no_receipt_is_decided(
    undecided: UndecidedCalls, redis_ledger: RedisLedger
) -> None:
    await settle(redis_ledger, "call_1", due=None)

    assert await undecided.oldest_ms() is None


async def test_the_oldest_call_counts_whenever_it_is_looked_up(
    undecided: UndecidedCalls, redis_ledger: RedisLedger, clock: FakeClock
) -> None:
    await settle(redis_ledger, "call_z", Due(queue="agi-sub", after_ms=9_000_000))
    clock.advance(60_000)
    await settle(redis_ledger, "call_a", Due(queue="agi", after_ms=1))
    await reserve(redis_ledger, "call_b")

    assert await undecided.oldest_ms() == NOON_MS


async def test_calls_that_wait_for_other_providers_do_not_count(
    undecided: UndecidedCalls, redis_ledger: RedisLedger
) -> None:
    await settle(redis_ledger, "call_1", Due(queue="venice", after_ms=1))

    assert await undecided.oldest_ms() is None


async def test_a_call_without_a_record_and_a_ghost_do_not_count(
    undecided: UndecidedCalls,
    redis_ledger: RedisLedger,
    connection: Connection,
    organization: str,
) -> None:
    await connection.execute("ZADD", Keys(organization).receipts("agi", "due"), 1, "call_gone")
    await reserve(redis_ledger, f"{GHOST}agi-1")

    assert await undecided.oldest_ms() is None


async def test_of_very_many_calls_none_is_missed(
    undecided: UndecidedCalls,
    redis_ledger: RedisLedger,
    connection: Connection,
    organization: str,
    clock: FakeClock,
) -> None:
    keys = Keys(organization)
    due = keys.receipts("agi", "due")
    await asyncio.gather(
        *(connection.execute("ZADD", due, n, f"call_{n}") for n in range(3_000)),
        *(
            connection.execute("HSET", keys.call(f"call_{n}"), "at", NOON_MS + (n * 7) % 3_000)
            for n in range(1, 3_000)
        ),
    )

    assert await undecided.oldest_ms() == NOON_MS + 1


@pytest.mark.parametrize("step", range(4))
async def test_what_cannot_be_asked_is_no_answer(
    redis_ledger: RedisLedger, connection: Connection, organization: str, step: int
) -> None:
    await settle(redis_ledger, "call_1")
    steps = Steps()
    commands = BreakingCommands(connection, steps)
    steps.break_at(step, after=False)

    with pytest.raises(LedgerUnavailable):
        await UndecidedCalls(commands, Keys(organization), ["agi", "agi-sub"]).oldest_ms()
