"""Calls that wait for their receipt: noted with the call's end, forgotten with its receipt, once."""

from __future__ import annotations

import pytest

from policies.budgets import Budget
from policies.decisions import Admitted
from policies.errors import IllegalTransition
from policies.ledger.interface import Admission, Ask, Due, Tally
from policies.ledger.memory import MemoryLedger
from policies.ledger.redis_ledger import RedisLedger
from policies.reservations import Reservation, State
from policies.units import USD, Amounts
from policies.windows import Calendar
from tests.doubles.fake_clock import FakeClock

Ledger = MemoryLedger | RedisLedger
DAY_MS = 86_400_000
DAY = Budget(name="day", unit=USD, limit=10, window=Calendar("day"))
TALLY = Tally(provider="p", name="sums", counts=(("calls", 1), ("billed", 7)))


async def settled(ledger: Ledger, call_id: str = "a", nano_usd: int = 5) -> Reservation:
    asks = [Ask(budget=DAY, subject="", held=8, bound=8)]
    decision = await ledger.reserve(call_id, asks, data="{}", admission=Admission.DECIDE)
    assert isinstance(decision, Admitted)
    due = Due(queue="p", after_ms=180_000)
    amounts = Amounts(nano_usd=nano_usd)
    await ledger.settle(decision.reservation, amounts, outcome='{"settled":1}', due=due)
    return decision.reservation


async def waiting(ledger: Ledger) -> dict[str, int]:
    """Return when each call's receipt is to be looked for."""
    if isinstance(ledger, MemoryLedger):
        return {call_id: at_ms for (_, call_id), at_ms in ledger.due.items()}
    key = ledger.keys.receipts("p", "due")
    flat = await ledger._commands.execute("ZRANGE", key, 0, -1, "WITHSCORES")
    return {flat[i].decode(): int(float(flat[i + 1])) for i in range(0, len(flat), 2)}


async def sums(ledger: Ledger) -> dict[str, int]:
    """Return what was added up."""
    if isinstance(ledger, MemoryLedger):
        return ledger.sums.get(("p", "sums"), {})
    flat = await ledger._commands.execute("HGETALL", ledger.keys.receipts("p", "sums"))
    return {flat[i].decode(): int(flat[i + 1]) for i in range(0, len(flat), 2)}


async def spent(ledger: Ledger) -> tuple[int, int]:
    (standing,) = await ledger.standings([Ask(budget=DAY, subject="", held=0, bound=0)])
    return standing.spent, standing.overrun


async def test_a_settled_call_waits_for_its_receipt(ledger: Ledger, clock: FakeClock) -> None:
    reservation = await settled(ledger)
    at_ms = clock.now_ms()
    clock.advance(60_000)
    await ledger.settle(
        reservation, Amounts(nano_usd=5), outcome="{}", due=Due(queue="p", after_ms=1)
    )

    assert await waiting(ledger) == {"a": at_ms + 180_000}


async def test_a_receipt_corrects_the_charge_once_and_is_kept_beside_the_settlement(
    ledger: Ledger, clock: FakeClock
) -> None:
    reservation = await settled(ledger)
    ended_ms = clock.now_ms()
    clock.advance(300_000)
    for _ in range(3):
        await ledger.receipt(
            reservation, Amounts(nano_usd=7), outcome='{"billed":7}', queue="p", tally=TALLY
        )

    record = await ledger.find("a")
    assert record is not None
    assert (record.outcome, record.receipt) == ('{"settled":1}', '{"billed":7}')
    assert (record.state, record.charged, record.ended_ms) == (State.RECEIPTED, (7,), ended_ms)
    assert await waiting(ledger) == {}
    assert await sums(ledger) == {"calls": 1, "billed": 7}
    assert await spent(ledger) == (7, 0)


async def test_a_receipt_above_the_reservation_is_an_overrun_and_the_budget_refuses(
    ledger: Ledger,
) -> None:
    reservation = await settled(ledger)
    await ledger.receipt(reservation, Amounts(nano_usd=13), outcome="{}", queue="p")
    asks = [Ask(budget=DAY, subject="", held=1, bound=1)]
    decision = await ledger.reserve("b", asks, data="{}", admission=Admission.DECIDE)

    assert await spent(ledger) == (13, 5)
    assert not isinstance(decision, Admitted)


async def test_a_receipt_after_the_window_is_a_prior_period_adjustment(
    ledger: Ledger, clock: FakeClock
) -> None:
    reservation = await settled(ledger)
    clock.advance(DAY_MS)
    moved = await ledger.receipt(reservation, Amounts(nano_usd=7), outcome="{}", queue="p")

    assert moved.prior_period == 1
    assert await spent(ledger) == (0, 0)
    entry = (await ledger.journal())[-1]
    (movement,) = entry.movements
    assert (movement.prior_period, movement.spent_change, movement.spent) == (True, 2, 7)


async def test_a_call_without_a_receipt_keeps_its_charge_and_a_late_one_is_the_truth(
    ledger: Ledger,
) -> None:
    reservation = await settled(ledger)
    tally = Tally(provider="p", name="sums", counts=(("given_up", 1),))
    for _ in range(2):
        await ledger.give_up(reservation, outcome='{"never":"x"}', queue="p", tally=tally)
    assert await waiting(ledger) == {}
    assert await spent(ledger) == (5, 0)

    await ledger.receipt(reservation, Amounts(nano_usd=7), outcome="{}", queue="p", tally=TALLY)
    assert await spent(ledger) == (7, 0)
    assert await sums(ledger) == {"given_up": 1, "calls": 1, "billed": 7}


async def test_a_call_that_cannot_have_a_receipt_waits_no_longer(ledger: Ledger) -> None:
    asks = [Ask(budget=DAY, subject="", held=8, bound=8)]
    decision = await ledger.reserve("a", asks, data="{}", admission=Admission.DECIDE)
    assert isinstance(decision, Admitted)
    await ledger.release(decision.reservation, outcome="{}")

    with pytest.raises(IllegalTransition):
        await ledger.receipt(decision.reservation, Amounts(), outcome="{}", queue="p", tally=TALLY)
    assert await waiting(ledger) == {}
    assert await sums(ledger) == {}
