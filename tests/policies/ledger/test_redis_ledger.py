"""What is the Redis ledger's alone: its scripts, its clock, windows that pass; the rest is test_ledger.py's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from policies.budgets import Budget
from policies.clock import SystemClock
from policies.decisions import Admitted
from policies.errors import LedgerRefused, LedgerUnavailable
from policies.ledger.connection import Connection
from policies.ledger.interface import Admission, Ask
from policies.ledger.redis_ledger import WINDOW_TRIES_MAX, RedisLedger
from policies.units import USD, Amounts
from policies.windows import Calendar
from tests.doubles.fake_clock import NOON_MS, FakeClock

DAY = Budget(name="day", unit=USD, limit=100, window=Calendar("day"))
ASKS = [Ask(budget=DAY, subject="", held=5, bound=5)]
DAY_MS = 86_400_000


class Scripted:
    """A Redis that gives the answers that a test prepared, in order."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.commands: list[tuple[bytes | str | int, ...]] = []

    def execute(self, *command: bytes | str | int) -> Awaitable[Any]:
        self.commands.append(command)
        return self._execute()

    async def _execute(self) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def passed(now_ms: int) -> list[Any]:
    return [b"passed", now_ms, 0, b"", 0, 0, 0, 0]


def admitted(now_ms: int) -> list[Any]:
    return [b"admitted", now_ms, 7, b"", 0, 5, 0, 0]


async def reserve(ledger: RedisLedger) -> Any:
    return await ledger.reserve("call_a", ASKS, data="{}", admission=Admission.DECIDE)


# The clock…


async def test_windows_are_those_of_redis_clock(clock: FakeClock) -> None:
    """Ours is a day slow: the first try asks for yesterday's window, the second for today's."""
    redis = Scripted(passed(NOON_MS + DAY_MS), admitted(NOON_MS + DAY_MS))
    ledger = RedisLedger(redis, "acme", clock)

    decision = await reserve(ledger)

    assert isinstance(decision, Admitted)
    assert decision.reservation.charges[0].counter == "day:USD::2026-11-24"
    assert decision.keys_version == 7
    assert ledger.now_ms() == NOON_MS + DAY_MS
    clock.advance(5)
    assert ledger.now_ms() == NOON_MS + DAY_MS + 5


async def test_a_window_that_always_passes_is_a_fault(clock: FakeClock) -> None:
    redis = Scripted(*[passed(NOON_MS)] * WINDOW_TRIES_MAX)

    with pytest.raises(LedgerUnavailable, match="passed while it was reserved"):
        await reserve(RedisLedger(redis, "acme", clock))


async def test_the_clock_is_learned_before_the_first_call(clock: FakeClock) -> None:
    ledger = RedisLedger(Scripted([b"1795438860", b"250999"]), "acme", clock)

    await ledger.synchronise()

    assert ledger.now_ms() == 1_795_438_860_250


async def test_a_real_server_tells_the_time(connection: Connection, organization: str) -> None:
    ledger = RedisLedger(connection, organization, FakeClock(0))

    await ledger.synchronise()

    assert abs(ledger.now_ms() - SystemClock().now_ms()) < 5_000


async def test_midnight_is_redis_midnight(connection: Connection, organization: str) -> None:
    """By the real scripts: a proxy whose clock is days off counts in the right window all the same."""
    ledger = RedisLedger(connection, organization, FakeClock(0))

    decision = await reserve(ledger)

    assert isinstance(decision, Admitted)
    today = DAY.window.span(SystemClock().now_ms()) if isinstance(DAY.window, Calendar) else None
    assert today is not None
    assert decision.reservation.charges[0].counter == f"day:USD::{today.id}"


# The scripts…


async def test_a_script_that_was_flushed_is_sent_whole(
    connection: Connection, organization: str
) -> None:
    ledger = RedisLedger(connection, organization, SystemClock())
    await ledger.synchronise()
    await connection.execute("SCRIPT", "FLUSH")

    decision = await reserve(ledger)

    assert isinstance(decision, Admitted)
    await connection.execute("SCRIPT", "FLUSH")
    await ledger.settle(decision.reservation, Amounts(nano_usd=3), outcome="{}")
    assert [s.spent for s in await ledger.standings(ASKS)] == [3]


async def test_calls_that_find_the_scripts_flushed_all_at_once_are_all_admitted(
    connection: Connection, organization: str
) -> None:
    ledger = RedisLedger(connection, organization, SystemClock())
    await ledger.synchronise()
    await connection.execute("SCRIPT", "FLUSH")

    decisions = await asyncio.gather(
        *(
            ledger.reserve(f"call_{number}", ASKS, data="{}", admission=Admission.DECIDE)
            for number in range(20)
        )
    )

    assert all(isinstance(each, Admitted) for each in decisions)
    assert [s.reserved for s in await ledger.standings(ASKS)] == [100]


async def test_any_other_refusal_is_passed_on(clock: FakeClock) -> None:
    redis = Scripted(LedgerRefused("WRONGTYPE Operation"))

    with pytest.raises(LedgerRefused, match="WRONGTYPE"):
        await reserve(RedisLedger(redis, "acme", clock))

    assert len(redis.commands) == 1


async def test_standings_of_nothing_cost_no_round_trip(clock: FakeClock) -> None:
    redis = Scripted()

    assert await RedisLedger(redis, "acme", clock).standings([]) == ()
    assert redis.commands == []


async def test_amounts_are_exact_up_to_the_greatest(
    connection: Connection, organization: str
) -> None:
    """Lua counts in doubles; the greatest amount and the one below it must stay two."""
    most = 2**53 - 1
    budget = Budget(name="most", unit=USD, limit=most, window=DAY.window)
    ledger = RedisLedger(connection, organization, SystemClock())
    await ledger.synchronise()
    for call_id, held in (("call_a", most - 1), ("call_b", 2), ("call_c", 1)):
        asks = [Ask(budget=budget, subject="", held=held, bound=held)]
        await ledger.reserve(call_id, asks, data="{}", admission=Admission.DECIDE)

    (standing,) = await ledger.standings([Ask(budget=budget, subject="", held=0, bound=0)])
    assert standing.reserved == most
    assert [entry.kind for entry in await ledger.journal()] == ["admitted", "refused", "admitted"]
