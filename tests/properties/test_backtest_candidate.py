"""Another policy is applied to past calls exactly as a ledger would have applied it to them then."""

from __future__ import annotations

import asyncio

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from policies.budgets import Budget, Caller, Scope
from policies.errors import IllegalTransition
from policies.ledger.memory import MemoryLedger
from policies.reservations import Reservation
from policies.rulebook import Rulebook
from policies.units import CALLS, TOKENS, USD, Amounts
from policies.windows import Calendar, FirstUse, Lifetime, Rolling
from proxy.archive.backtest.candidate import Candidate
from proxy.archive.backtest.records import Recorded
from tests.doubles.archived_rows import recorded_of
from tests.doubles.fake_clock import FakeClock
from tests.doubles.past_calls import PastCall, outcome, rulebook_of

MINUTE_MS = 60_000
small = st.integers(0, 25)
callers = st.builds(
    Caller,
    key_id=st.sampled_from(["k1", "k2"]),
    team=st.sampled_from(["red", "blue"]),
    user=st.sampled_from([None, "ann", "bob"]),
)
budgets = st.lists(
    st.builds(
        Budget,
        name=st.sampled_from(["a", "b", "c", "d"]),
        scope=st.builds(Scope, team=st.sampled_from([None, "red"])),
        each=st.sampled_from([None, None, "user", "key"]),
        unit=st.sampled_from([USD, USD, TOKENS, CALLS]),
        limit=st.integers(0, 70),
        window=st.sampled_from(
            [
                Calendar("hour", "Asia/Kolkata"),
                Lifetime(),
                Rolling(10 * MINUTE_MS),
                FirstUse(7 * MINUTE_MS),
            ]
        ),
        mode=st.sampled_from(["enforce", "enforce", "enforce", "shadow"]),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda budget: budget.name,
)


class TwoWorlds:
    """The same calls on a ledger with the policy that was in force, and on one with the candidate."""

    def __init__(self, data: DataObject, then: Rulebook, now: Rulebook) -> None:
        self.data, self.then, self.now = data, then, now
        self.clock = FakeClock()
        self.past, self.other = MemoryLedger(self.clock), MemoryLedger(self.clock)
        self.passed: list[tuple[Reservation, Reservation | None, int]] = []
        self.refused_now: list[tuple[str, bool]] = []
        self.admitted_now = 0
        self.made = 0

    async def step(self) -> None:
        acts = [self.call, self.call, self.call, self.time_passes]
        if self.passed:
            acts += [self.settle, self.settle, self.receipt, self.release, self.expire]
        await self.data.draw(st.sampled_from(acts))()

    async def call(self) -> None:
        self.made += 1
        nano_usd, tokens = self.data.draw(small), self.data.draw(small)
        call = PastCall(f"call-{self.made}", self.data.draw(callers), nano_usd, nano_usd, tokens, 1)
        then = await call.reserve(self.past, self.then)
        now = await call.reserve(self.other, self.now)
        if now is None:
            self.refused_now.append((call.id, then is not None))
        if then is not None:
            self.passed.append((then, now, nano_usd))
        elif now is not None:
            self.admitted_now += 1
            amounts = Amounts(nano_usd=nano_usd, input_tokens=tokens, output_tokens=1)
            await self.other.settle(now, amounts, outcome="{}")

    def _drawn(self) -> tuple[Reservation, Reservation | None, Amounts]:
        then, now, _ = self.data.draw(st.sampled_from(self.passed))
        amounts = Amounts(
            nano_usd=self.data.draw(small), input_tokens=self.data.draw(small), output_tokens=2
        )
        return then, now, amounts

    async def settle(self) -> None:
        then, now, amounts = self._drawn()
        try:
            await self.past.settle(then, amounts, outcome=outcome(amounts))
        except IllegalTransition:
            return
        if now is not None:
            await self.other.settle(now, amounts, outcome="{}")

    async def receipt(self) -> None:
        then, now, amounts = self._drawn()
        said = f'{{"nano_usd":{amounts.nano_usd}}}'
        try:
            await self.past.receipt(then, amounts, outcome=said, keep=(TOKENS,))
        except IllegalTransition:
            return
        if now is not None:
            await self.other.receipt(now, amounts, outcome="{}", keep=(TOKENS,))

    async def release(self) -> None:
        then, now, _ = self._drawn()
        try:
            await self.past.release(then, outcome="{}")
        except IllegalTransition:
            return
        if now is not None:
            await self.other.release(now, outcome="{}")

    async def expire(self) -> None:
        then, now, _ = self._drawn()
        try:
            await self.past.expire(then)
        except IllegalTransition:
            return
        if now is not None:
            await self.other.expire(now)

    async def time_passes(self) -> None:
        self.clock.advance(self.data.draw(st.sampled_from([1, 9_999, MINUTE_MS, 31 * MINUTE_MS])))

    async def entries(self) -> list[Recorded]:
        return recorded_of(await self.past.journal(count_max=10_000))


async def lived(data: DataObject, then: Rulebook, now: Rulebook) -> tuple[TwoWorlds, Candidate]:
    worlds = TwoWorlds(data, then, now)
    for _ in range(data.draw(st.integers(10, 60))):
        await worlds.step()
    candidate = Candidate(now)
    for entry in await worlds.entries():
        candidate.take(entry)
    return worlds, candidate


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), budgets, budgets)
def test_it_decides_as_a_ledger_with_that_policy_would_have(
    data: DataObject, then: list[Budget], now: list[Budget]
) -> None:
    worlds, candidate = asyncio.run(lived(data, rulebook_of(then), rulebook_of(now)))

    found = candidate.found
    assert found.calls == worlds.made
    assert found.refused == len(worlds.refused_now)
    assert found.newly_refused == sum(passed for _, passed in worlds.refused_now)
    assert found.newly_admitted == worlds.admitted_now
    assert sum(line.refused for line in found.lines.values()) == found.refused
    firsts = [line.first_call for line in found.lines.values() if line.refused]
    assert {call_id for call_id, _ in worlds.refused_now[:1]} <= set(firsts)
    for name, counter in worlds.other._counters.items():
        again = candidate._balances.counters[name]
        stands = (counter.spent, counter.reserved, counter.overrun, counter.excess)
        assert (again.spent, again.reserved, again.overrun, again.excess) == stands
    event(f"newly refused: {min(found.newly_refused, 2)}, admitted: {min(found.newly_admitted, 2)}")


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), budgets)
def test_the_policy_that_was_in_force_changes_nothing(data: DataObject, then: list[Budget]) -> None:
    rulebook = rulebook_of(then)

    _, candidate = asyncio.run(lived(data, rulebook, rulebook))

    found = candidate.found
    assert (found.newly_refused, found.newly_admitted, found.held_back_nano_usd) == (0, 0, 0)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), budgets, budgets)
def test_what_is_held_back_is_what_the_refused_calls_were_charged(
    data: DataObject, then: list[Budget], now: list[Budget]
) -> None:
    life = Budget(name="life", unit=USD, limit=10**9, window=Lifetime())
    worlds, candidate = asyncio.run(lived(data, rulebook_of([*then, life]), rulebook_of(now)))

    async def charged() -> int:
        total = 0
        refused = {call_id for call_id, passed in worlds.refused_now if passed}
        for reservation, _, nano_usd in worlds.passed:
            if reservation.call_id in refused:
                record = await worlds.past.find(reservation.call_id)
                assert record is not None
                # The counter of `life` is the last.
                total += record.charged[-1] if record.charged else nano_usd
        return total

    assert candidate.found.held_back_nano_usd == asyncio.run(charged())
