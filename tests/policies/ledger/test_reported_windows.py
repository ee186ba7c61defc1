"""Windows that a provider keeps: what it reports is the limit, and our own calls count against it."""

from __future__ import annotations

import pytest

from policies.budgets import Budget
from policies.decisions import Admitted, Decision, Refused
from policies.ledger.interface import Admission, Ask
from policies.ledger.memory import MemoryLedger
from policies.ledger.redis_ledger import RedisLedger
from policies.money import EXACT_MAX
from policies.reservations import Reservation
from policies.units import USD, Amounts
from policies.windows import Reported
from tests.doubles.fake_clock import FakeClock

Ledger = MemoryLedger | RedisLedger
STALE_MS = 600_000


def wallet(*, refuse_unknown: bool = False, refuse_stale: bool = False) -> Budget:
    window = Reported(STALE_MS, refuse_unknown=refuse_unknown, refuse_stale=refuse_stale)
    return Budget(name="wallet", unit=USD, limit=EXACT_MAX, window=window)


WALLET = wallet()


async def reserve(ledger: Ledger, call_id: str, held: int, budget: Budget = WALLET) -> Decision:
    asks = [Ask(budget=budget, subject="", held=held, bound=held)]
    return await ledger.reserve(call_id, asks, data="{}", admission=Admission.DECIDE)


async def admitted(ledger: Ledger, call_id: str, held: int) -> Reservation:
    decision = await reserve(ledger, call_id, held)
    assert isinstance(decision, Admitted)
    return decision.reservation


async def report(
    ledger: Ledger, limit: int | None, *, closed: str = "", ago_ms: int = 0, budget: Budget = WALLET
) -> bool:
    began_ms = ledger.now_ms() - ago_ms
    return await ledger.report(budget, "", limit=limit, closed=closed, began_ms=began_ms)


async def test_calls_count_against_what_was_reported(ledger: Ledger) -> None:
    await report(ledger, 10)
    held = await admitted(ledger, "a", 6)
    refused = await reserve(ledger, "b", 5)

    assert isinstance(refused, Refused)
    assert (refused.standing.limit, refused.standing.reserved) == (10, 6)

    await ledger.settle(held, Amounts(nano_usd=2), outcome="{}")
    assert isinstance(await reserve(ledger, "c", 8), Admitted)


async def test_a_later_report_moves_the_limit_either_way(ledger: Ledger, clock: FakeClock) -> None:
    await report(ledger, 10)
    clock.advance(1)
    await report(ledger, 3)
    assert isinstance(await reserve(ledger, "a", 4), Refused)

    clock.advance(1)
    await report(ledger, 40)
    assert isinstance(await reserve(ledger, "b", 40), Admitted)


async def test_a_report_that_was_asked_for_earlier_changes_nothing(
    ledger: Ledger, clock: FakeClock
) -> None:
    clock.advance(1_000)
    assert await report(ledger, 3)
    assert not await report(ledger, 40, ago_ms=500)

    assert isinstance(await reserve(ledger, "a", 4), Refused)


@pytest.mark.parametrize("refuse", [False, True])
async def test_what_was_never_reported_is_admitted_or_refused_by_policy(
    ledger: Ledger, refuse: bool
) -> None:
    decision = await reserve(ledger, "a", 4, wallet(refuse_unknown=refuse))

    assert isinstance(decision, Refused if refuse else Admitted)


@pytest.mark.parametrize("refuse", [False, True])
async def test_a_stale_report_is_trusted_no_more(
    ledger: Ledger, clock: FakeClock, refuse: bool
) -> None:
    budget = wallet(refuse_stale=refuse)
    await report(ledger, 3, budget=budget)
    clock.advance(STALE_MS)
    assert isinstance(await reserve(ledger, "a", 4, budget), Refused)

    clock.advance(1)
    decision = await reserve(ledger, "b", 4, budget)
    assert isinstance(decision, Refused if refuse else Admitted)


async def test_a_closed_window_lets_nothing_through_not_even_what_is_free(ledger: Ledger) -> None:
    await report(ledger, 10, closed="suspended")
    refused = await reserve(ledger, "a", 0)

    assert isinstance(refused, Refused)
    assert refused.standing.closed


async def test_a_refusal_by_the_provider_closes_until_a_report_that_was_asked_for_later(
    ledger: Ledger, clock: FakeClock
) -> None:
    await report(ledger, 10)
    clock.advance(1_000)
    assert await ledger.close(WALLET, "", reason="402", for_ms=60_000)
    assert not await ledger.close(WALLET, "", reason="402", for_ms=60_000)
    assert isinstance(await reserve(ledger, "a", 1), Refused)

    assert not await report(ledger, 10, ago_ms=500)
    assert isinstance(await reserve(ledger, "b", 1), Refused)

    clock.advance(1)
    assert await report(ledger, 10)
    assert isinstance(await reserve(ledger, "c", 1), Admitted)


async def test_a_closure_ends_by_itself_when_no_report_comes(
    ledger: Ledger, clock: FakeClock
) -> None:
    await ledger.close(WALLET, "", reason="402", for_ms=60_000)
    clock.advance(60_000)

    assert isinstance(await reserve(ledger, "a", 1), Admitted)


async def test_a_call_that_is_recorded_after_the_fact_makes_no_overrun_of_a_report(
    ledger: Ledger,
) -> None:
    await report(ledger, 10)
    asks = [Ask(budget=WALLET, subject="", held=30, bound=30)]
    await ledger.reserve("a", asks, data="{}", admission=Admission.FORCE)

    (standing,) = await ledger.standings(asks)
    assert (standing.reserved, standing.overrun, standing.remaining) == (30, 0, 0)
