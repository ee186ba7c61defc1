"""A ledger that loses everything, or all since a copy, and is restored, goes on as if nothing had been lost.

An in-memory ledger that loses nothing is told the same; what is compared is what it counts.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from policies.budgets import Budget
from policies.decisions import Admitted, Refused
from policies.errors import IllegalTransition
from policies.journal import Entry
from policies.ledger.address import Address, parse_url
from policies.ledger.connection import Connection
from policies.ledger.interface import Admission, Ask
from policies.ledger.memory import MemoryLedger
from policies.ledger.redis_ledger import RedisLedger
from policies.reservations import Reservation
from policies.units import CALLS, TOKENS, USD, Amounts
from policies.windows import Calendar, FirstUse, Lifetime, Rolling
from proxy.tasks import Tasks
from tests.doubles.clocked_scripts import clock_key, clocked_scripts
from tests.doubles.fake_clock import FakeClock
from tests.doubles.restorer import Restorer

MINUTE_MS = 60_000
BUDGETS = (
    Budget(name="hour", unit=USD, limit=60, window=Calendar("hour", "Asia/Kolkata")),
    Budget(name="life", unit=USD, limit=400, window=Lifetime(), each="user"),
    Budget(name="rolling", unit=TOKENS, limit=50, window=Rolling(10 * MINUTE_MS)),
    Budget(name="first", unit=CALLS, limit=6, window=FirstUse(7 * MINUTE_MS)),
    Budget(
        name="likely",
        unit=USD,
        limit=40,
        window=Rolling(20 * MINUTE_MS),
        quote="likely",
        overrun_max=15,
    ),
    Budget(name="shadow", unit=USD, limit=10, window=FirstUse(11 * MINUTE_MS), mode="shadow"),
)
_numbers = itertools.count()
amounts = st.integers(min_value=0, max_value=25)
Ledger = MemoryLedger | RedisLedger


class LosesItsMemory:
    """A ledger in memory that can be emptied, copied, and put back to the copy."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.ledger = MemoryLedger(clock)
        self._copy = MemoryLedger(clock)

    async def empty(self) -> None:
        self.ledger = MemoryLedger(self._clock)

    async def copy(self) -> None:
        self._copy = self._cloned(self.ledger)

    async def put_back(self) -> None:
        self.ledger = self._cloned(self._copy)

    def _cloned(self, ledger: MemoryLedger) -> MemoryLedger:
        return copy.deepcopy(ledger, {id(self._clock): self._clock})


class LosesItsKeys:
    """A ledger in Redis whose keys can be removed, copied, and put back."""

    def __init__(self, connection: Connection, clock: FakeClock) -> None:
        organization = f"restored-{next(_numbers)}"
        self._connection = connection
        self._clock_key = clock_key(organization)
        self.ledger = RedisLedger(
            connection, organization, clock, scripts=clocked_scripts(organization)
        )
        self._copy: dict[bytes, tuple[bytes, int]] = {}

    async def set_time(self, now_ms: int) -> None:
        await self._connection.execute("SET", self._clock_key, now_ms)

    async def _keys(self) -> list[bytes]:
        found = await self._connection.execute("KEYS", f"{self.ledger.keys.prefix}:*")
        return [key for key in found if key != self._clock_key.encode()]

    async def empty(self) -> None:
        for key in await self._keys():
            await self._connection.execute("DEL", key)

    async def copy(self) -> None:
        self._copy = {}
        for key in await self._keys():
            left_ms = await self._connection.execute("PTTL", key)
            dumped = await self._connection.execute("DUMP", key)
            self._copy[key] = (dumped, max(0, left_ms))

    async def put_back(self) -> None:
        await self.empty()
        for key, (dumped, left_ms) in self._copy.items():
            await self._connection.execute("RESTORE", key, left_ms, dumped)


class Restored(RuleBasedStateMachine):
    """Drives both ledgers with the same operations; one of them loses what it has, and is restored."""

    redis_url = ""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = FakeClock()
        self.tasks = Tasks()
        self.oracle = MemoryLedger(self.clock)
        self.calls: list[Reservation] = []
        #: All entries that the ledger ever wrote: a copy does not take them out of the archive.
        self.archived: list[Entry] = []
        self._read_after = "-"
        #: A copy was put back: the overrun of money that has left its window is not corrected any more.
        self.was_put_back = False
        if self.redis_url:
            self.connection = self._run(self._connect())
            self.lossy: LosesItsMemory | LosesItsKeys = LosesItsKeys(self.connection, self.clock)
        else:
            self.lossy = LosesItsMemory(self.clock)
        self._advance(0)
        self._run(self.lossy.copy())

    async def _connect(self) -> Connection:
        async def resolve() -> Address:
            return parse_url(self.redis_url).addresses[0]

        made = Connection(resolve, timeout_s=5, spawn=self.tasks.spawn, clock=self.clock)
        await made.open()
        return made

    def teardown(self) -> None:
        if self.redis_url:
            self._run(self.connection.close())
        self._run(self.tasks.close())
        self.loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def _advance(self, milliseconds: int) -> None:
        self.clock.advance(milliseconds)
        if isinstance(self.lossy, LosesItsKeys):
            self._run(self.lossy.set_time(self.clock.now_ms()))

    def _both(self, operation: Callable[[Ledger], Awaitable[Any]]) -> Any:
        async def outcome(ledger: Ledger) -> Any:
            try:
                return await operation(ledger)
            except IllegalTransition as error:
                return str(error)

        actual = self._run(outcome(self.lossy.ledger))
        expected = self._run(outcome(self.oracle))
        assert type(actual) is type(expected)
        return expected

    def _archive(self) -> None:
        """Take over what the ledger journalled since the last time."""
        entries = self._run(self.lossy.ledger.journal(after=self._read_after, count_max=10_000))
        self.archived += entries
        if entries:
            self._read_after = entries[-1].id

    # What happens to calls…

    @rule(
        which=st.sets(st.sampled_from(range(len(BUDGETS))), min_size=1),
        held=amounts,
        more=amounts,
        subject=st.sampled_from(["a", "b"]),
        forced=st.booleans(),
    )
    def reserve(self, which: set[int], held: int, more: int, subject: str, forced: bool) -> None:
        asks = [
            Ask(
                budget=BUDGETS[at],
                subject=subject if BUDGETS[at].each else "",
                held=held,
                bound=held + more if BUDGETS[at].quote == "likely" else held,
            )
            for at in sorted(which)
        ]
        call_id = f"call-{len(self.calls)}"
        admission = Admission.FORCE if forced else Admission.DECIDE
        decision = self._both(
            lambda ledger: ledger.reserve(call_id, asks, data="{}", admission=admission)
        )
        assert isinstance(decision, Admitted | Refused)
        if isinstance(decision, Admitted):
            self.calls.append(decision.reservation)

    def _call(self, data: st.DataObject) -> Reservation:
        return data.draw(st.sampled_from(self.calls))

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), nano=amounts, tokens=amounts)
    def settle(self, data: st.DataObject, nano: int, tokens: int) -> None:
        call = self._call(data)
        actual = Amounts(nano_usd=nano, input_tokens=tokens, output_tokens=1)
        self._both(lambda ledger: ledger.settle(call, actual, outcome='{"s":1}'))

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), nano=amounts, tokens=amounts)
    def receipt(self, data: st.DataObject, nano: int, tokens: int) -> None:
        call = self._call(data)
        actual = Amounts(nano_usd=nano, input_tokens=tokens, output_tokens=1)
        self._both(lambda ledger: ledger.receipt(call, actual, outcome='{"r":1}'))

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), operation=st.sampled_from(["release", "expire", "give_up"]))
    def end(self, data: st.DataObject, operation: str) -> None:
        call = self._call(data)
        if operation == "release":
            self._both(lambda ledger: ledger.release(call, outcome="{}"))
        elif operation == "expire":
            self._both(lambda ledger: ledger.expire(call))
        else:
            self._both(lambda ledger: ledger.give_up(call, outcome="{}"))

    @rule(milliseconds=st.sampled_from([1, 9_999, MINUTE_MS, 5 * MINUTE_MS, 31 * MINUTE_MS]))
    def time_passes(self, milliseconds: int) -> None:
        self._advance(milliseconds)

    # What happens to the ledger…

    @rule()
    def is_copied(self) -> None:
        self._archive()
        self._run(self.lossy.copy())

    @rule(old_copy=st.booleans())
    def loses_and_is_restored(self, old_copy: bool) -> None:
        self._archive()
        self._run(self.lossy.put_back() if old_copy else self.lossy.empty())
        self.was_put_back |= old_copy
        self._restore()

    def _restore(self) -> None:
        restorer = Restorer(self.archived)
        self._run(restorer.restore(self.lossy.ledger))
        assert self._run(restorer.restore(self.lossy.ledger)) == 0
        # What was archived of it stays; the journal goes on behind.
        entries = self._run(self.lossy.ledger.journal(count_max=10_000))
        self._read_after = entries[-1].id if entries else "-"

    # What must be true…

    @invariant()
    def both_count_the_same(self) -> None:
        asks = [
            Ask(budget=budget, subject=subject, held=0, bound=0)
            for budget in BUDGETS
            for subject in (["a", "b"] if budget.each else [""])
        ]
        expected = self._run(self.oracle.standings(asks))
        for has, should in zip(self._run(self.lossy.ledger.standings(asks)), expected, strict=True):
            assert (has.spent, has.reserved) == (should.spent, should.reserved)
            assert (has.start_ms, has.end_ms) == (should.start_ms, should.end_ms)
            if self.was_put_back:
                assert has.overrun >= should.overrun
            else:
                assert has.overrun == should.overrun

    @invariant()
    def both_know_the_same_calls(self) -> None:
        for call in self.calls:
            has = self._run(self.lossy.ledger.find(call.call_id))
            should = self._run(self.oracle.find(call.call_id))
            assert (has.state, has.reservation) == (should.state, should.reservation)
            assert (has.data, has.outcome, has.receipt) == (
                should.data,
                should.outcome,
                should.receipt,
            )
            assert has.ended_ms == should.ended_ms


def check(redis_url: str, examples: int) -> None:
    Restored.redis_url = redis_url
    case = Restored.TestCase
    case.settings = settings(
        max_examples=examples,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    case().runTest()


def test_a_ledger_in_redis_goes_on_as_if_it_had_lost_nothing(redis_url: str) -> None:
    check(redis_url, 30)


def test_the_oracle_goes_on_as_if_it_had_lost_nothing() -> None:
    check("", 80)
