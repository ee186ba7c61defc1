"""Whatever happens to calls and their receipts, in whatever order: budgets end at what was billed."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from policies.budgets import Budget
from policies.errors import IllegalTransition, LedgerUnavailable
from policies.ledger.interface import Due
from policies.reservations import Reservation, State
from policies.units import USD
from policies.windows import Calendar, FirstUse, Rolling
from proxy.receipts.receipt import Final, Pending, Result, SetAside, SlowDown, UnknownId
from tests.proxy.receipts.breaking import BreakingCommands, BreakingLedger, Steps
from tests.proxy.receipts.desks import (
    COUNT,
    DAY_MS,
    HELD,
    LIFE,
    MINUTE_MS,
    PROVIDER,
    World,
    world,
)
from tests.proxy.receipts.opened_world import opened_world

HOUR = Budget(name="hour", unit=USD, limit=10**12, window=Calendar("hour", "Asia/Kolkata"))
ROLLING = Budget(name="rolling", unit=USD, limit=10**12, window=Rolling(60 * MINUTE_MS))
FIRST = Budget(name="first", unit=USD, limit=10**12, window=FirstUse(45 * MINUTE_MS))
BUDGETS = (LIFE, HOUR, ROLLING, FIRST, COUNT)
#: The largest amount that is not absurd for so small a call.
BILLED_MAX = 10**9
ROUNDS_MAX = 200

amounts = st.integers(0, 5_000) | st.integers(0, BILLED_MAX)
answers: st.SearchStrategy[Result] = st.one_of(
    st.just(UnknownId()),
    st.just(Pending("not yet")),
    st.just(SetAside("odd")),
    st.builds(SlowDown, st.none() | st.integers(0, 60_000)),
    st.sampled_from([Final(nano_usd=-1), Final(nano_usd=BILLED_MAX + 1), Final(nano_usd=2**60)]),
)


@dataclass(frozen=True)
class Begin:
    """A call is reserved; its receipt will come after these other answers, or never."""

    before: list[Result]
    billed: int | None


@dataclass(frozen=True)
class Settle:
    which: int
    nano_usd: int
    certainty: str


@dataclass(frozen=True)
class Expire:
    which: int


@dataclass(frozen=True)
class Round:
    """So many desks do what is due; the first of them breaks off at this step."""

    desks: int
    breaks_at: int | None
    after: bool


@dataclass(frozen=True)
class Pass:
    milliseconds: int


numbers = st.integers(0, 9)
steps = st.one_of(
    st.builds(Begin, st.lists(answers, max_size=3), amounts),
    st.builds(Begin, st.lists(answers, max_size=3), amounts | st.none()),
    st.builds(
        Settle,
        numbers,
        # Not so much that what is absurd would be no longer.
        st.integers(0, 10_000_000),
        st.sampled_from(["exact", "at_least", "unknown", "unpriced"]),
    ),
    st.builds(Expire, numbers),
    st.builds(Round, st.sampled_from([1, 1, 2]), st.none() | st.integers(0, 15), st.booleans()),
    st.builds(Pass, st.sampled_from([1, MINUTE_MS, 20 * MINUTE_MS, 61 * MINUTE_MS, DAY_MS])),
)


@dataclass
class Story:
    """What happened so far."""

    here: World
    held: list[Reservation] = field(default_factory=list)
    billed: list[int | None] = field(default_factory=list)
    #: What each call came to before its receipt.
    metered: list[int] = field(default_factory=list)

    async def do(self, step: Begin | Settle | Expire | Round | Pass) -> None:
        match step:
            case Begin(before, billed):
                await self._begin(before, billed)
            case Settle(which, nano_usd, certainty) if self.held:
                await self._settle(which % len(self.held), nano_usd, certainty)
            case Expire(which) if self.held:
                await self._expire(which % len(self.held))
            case Round():
                await self._round(step)
            case Pass(milliseconds):
                self.here.clock.advance(milliseconds)
            case _:
                pass

    @property
    def ends(self) -> list[int]:
        """What each call comes to in the end."""
        pairs = zip(self.billed, self.metered, strict=True)
        return [metered if billed is None else billed for billed, metered in pairs]

    async def _begin(self, before: list[Result], billed: int | None) -> None:
        call_id = str(len(self.held))
        self.held.append(await self.here.reserve(call_id))
        self.billed.append(billed)
        self.metered.append(HELD)
        last = UnknownId() if billed is None else Final(nano_usd=billed)
        self.here.adapter.says(f"gen-{call_id}", *before, last)

    async def _settle(self, which: int, nano_usd: int, certainty: str) -> None:
        held, state = self.held[which], (await self.here.record(str(which))).state
        try:
            await self.here.settle(str(which), nano_usd, certainty=certainty, reservation=held)
            event(f"settled when {state}, as {certainty}")
            if state is not State.SETTLED:
                self.metered[which] = nano_usd
        except IllegalTransition:
            event("settled after the receipt")

    async def _expire(self, which: int) -> None:
        record = await self.here.record(str(which))
        if record.state is State.RESERVED:
            await self.here.ledger.note_generation(str(which), [f"gen-{which}"])
            due = Due(queue=PROVIDER, after_ms=3 * MINUTE_MS)
            await self.here.ledger.expire(self.held[which], due=due)

    async def _round(self, step: Round) -> None:
        broken = Steps()
        if step.breaks_at is not None:
            broken.break_at(step.breaks_at, after=step.after)
        first = self.here.desk(
            ledger=BreakingLedger(self.here.ledger, broken),
            commands=BreakingCommands(self.here.commands, broken),
        )
        others = [self.here.desk() for _ in range(step.desks - 1)]
        rounds = (self.here.round(desk) for desk in (first, *others))
        for fault in await asyncio.gather(*rounds, return_exceptions=True):
            if isinstance(fault, LedgerUnavailable):
                event("a round broke off")
            elif isinstance(fault, BaseException):
                raise fault

    async def end(self) -> None:
        """End every call, look for receipts until all have come, and give the others up."""
        for which in range(len(self.held)):
            await self._expire(which)
        never = {str(which) for which, billed in enumerate(self.billed) if billed is None}
        for _ in range(ROUNDS_MAX):
            if set(await self.here.due()) == never:
                break
            self.here.clock.advance(20 * MINUTE_MS)
            await self.here.round()
        while never and await self.here.due():
            self.here.clock.advance(self.here.settings.give_up_after_ms)
            await self.here.round()
        assert await self.here.due() == {}

    async def booked(self) -> dict[str, int]:
        """What each budget was charged, over all its windows, as the journal has it."""
        changed: Counter[str] = Counter()
        for entry in await self.here.ledger.journal(count_max=100_000):
            for movement in entry.movements:
                changed[movement.counter.split(":")[0]] += movement.spent_change
        return changed


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(script=st.lists(steps, min_size=15, max_size=50))
def test_every_budget_ends_at_the_sum_of_what_was_billed(
    script: list[Begin | Settle | Expire | Round | Pass], redis_url: str
) -> None:
    async def run() -> None:
        async with opened_world(redis_url) as opened:
            here = world(
                opened.ledger,
                opened.connection,
                opened.clock,
                *BUDGETS,
                give_up_after_ms=365 * DAY_MS,
            )
            story = Story(here)
            for step in script:
                await story.do(step)
            await story.end()

            total = sum(story.ends)
            life, *_, count = await here.standings()
            assert (life.spent, life.reserved) == (total, 0)
            assert (count.spent, count.reserved) == (len(story.held), 0)
            assert life.overrun == sum(max(0, end - HELD) for end in story.ends)
            booked = await story.booked()
            # A closed window of the calendar is corrected too.
            assert (booked["life"], booked["hour"]) == (total, total)
            assert await here.schedule.asides(PROVIDER) == {}
            for which, end in enumerate(story.ends):
                record = await here.record(str(which))
                is_billed = story.billed[which] is not None
                assert record.state is (State.RECEIPTED if is_billed else State.UNRECEIPTED)
                assert record.charged == (end, end, end, end, 1)
            assert len(here.watch.named("booked")) <= len(story.held)

    asyncio.run(run())
