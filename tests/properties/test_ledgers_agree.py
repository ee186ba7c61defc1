"""The in-memory oracle and Redis never differ, whatever is done to both; and the invariants hold on both."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from policies.budgets import Budget
from policies.decisions import Admitted
from policies.errors import IllegalTransition, UnknownCall
from policies.ledger.address import Address, parse_url
from policies.ledger.connection import Connection
from policies.ledger.interface import Admission, Ask, Due, Tally
from policies.ledger.memory import MemoryLedger
from policies.ledger.redis_ledger import RedisLedger
from policies.money import EXACT_MAX
from policies.reservations import Reservation
from policies.units import CALLS, TOKENS, USD, Amounts
from policies.windows import Calendar, FirstUse, Lifetime, Reported, Rolling
from proxy.tasks import Tasks
from tests.doubles.clocked_scripts import clock_key, clocked_scripts
from tests.doubles.fake_clock import FakeClock

MINUTE_MS = 60_000
BUDGETS = (
    Budget(name="hour", unit=USD, limit=60, window=Calendar("hour", "Asia/Kolkata")),
    Budget(name="life", unit=USD, limit=400, window=Lifetime()),
    Budget(name="rolling", unit=TOKENS, limit=50, window=Rolling(10 * MINUTE_MS)),
    Budget(name="first", unit=CALLS, limit=6, window=FirstUse(7 * MINUTE_MS)),
    Budget(
        name="likely",
        unit=USD,
        limit=40,
        window=Rolling(20 * MINUTE_MS),
        quote="likely",
        overrun_max=15,
        each="user",
    ),
    Budget(
        name="wallet",
        unit=USD,
        limit=EXACT_MAX,
        window=Reported(5 * MINUTE_MS, refuse_stale=True),
    ),
    Budget(name="shadow", unit=USD, limit=10, window=Calendar("day"), mode="shadow"),
)
_numbers = itertools.count()
WALLET = next(budget for budget in BUDGETS if budget.name == "wallet")
amounts = st.integers(min_value=0, max_value=25)
dues = st.sampled_from([None, Due(queue="p", after_ms=0), Due(queue="p", after_ms=MINUTE_MS)])


class LedgersAgree(RuleBasedStateMachine):
    """Drives both ledgers with the same operations and compares every answer."""

    redis_url = ""
    #: Whether only what happened is counted, so that amounts keep within their limits.
    money_is_sound = True

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = FakeClock()
        organization = f"agree-{next(_numbers)}"
        self.tasks = Tasks()
        self.connection = self.loop.run_until_complete(self._connect())
        self.memory = MemoryLedger(self.clock)
        self.redis = RedisLedger(
            self.connection, organization, self.clock, scripts=clocked_scripts(organization)
        )
        self.clock_key = clock_key(organization)
        self.calls: list[Reservation] = []
        self._advance(0)

    async def _connect(self) -> Connection:
        async def resolve() -> Address:
            return parse_url(self.redis_url).addresses[0]

        made = Connection(resolve, timeout_s=5, spawn=self.tasks.spawn, clock=self.clock)
        await made.open()
        return made

    def teardown(self) -> None:
        self.loop.run_until_complete(self.connection.close())
        self.loop.run_until_complete(self.tasks.close())
        self.loop.close()

    def _advance(self, milliseconds: int) -> None:
        self.clock.advance(milliseconds)

        async def set_time() -> None:
            await self.connection.execute("SET", self.clock_key, self.clock.now_ms())

        self.loop.run_until_complete(set_time())

    def _both(self, operation: Callable[[MemoryLedger | RedisLedger], Awaitable[Any]]) -> Any:
        async def outcome(ledger: MemoryLedger | RedisLedger) -> Any:
            try:
                return await operation(ledger)
            except (IllegalTransition, UnknownCall) as error:
                return type(error), str(error)

        expected = self.loop.run_until_complete(outcome(self.memory))
        actual = self.loop.run_until_complete(outcome(self.redis))
        assert actual == expected
        return actual

    @rule(
        which=st.sets(st.sampled_from(range(len(BUDGETS))), min_size=1),
        held=amounts,
        more=amounts,
        subject=st.sampled_from(["a", "b"]),
        admission=st.sampled_from([Admission.DECIDE, Admission.DECIDE, *Admission]),
        repeat=st.booleans(),
    )
    def reserve(
        self,
        which: set[int],
        held: int,
        more: int,
        subject: str,
        admission: Admission,
        repeat: bool,
    ) -> None:
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
        decision = None
        for _ in range(2 if repeat else 1):
            decision = self._both(
                lambda ledger: ledger.reserve(call_id, asks, data="{}", admission=admission)
            )
        if isinstance(decision, Admitted):
            self.calls.append(decision.reservation)

    def _call(self, data: st.DataObject) -> Reservation:
        return data.draw(st.sampled_from(self.calls))

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), nano=amounts, tokens=amounts, due=dues)
    def settle(self, data: st.DataObject, nano: int, tokens: int, due: Due | None) -> None:
        call = self._call(data)
        actual = Amounts(nano_usd=nano, input_tokens=tokens, output_tokens=1)
        self._both(lambda ledger: ledger.settle(call, actual, outcome='{"s":1}', due=due))

    @precondition(lambda self: self.calls)
    @rule(
        data=st.data(),
        nano=amounts,
        tokens=amounts,
        keep=st.sampled_from([(), (TOKENS,), (TOKENS, CALLS)]),
    )
    def receipt(self, data: st.DataObject, nano: int, tokens: int, keep: tuple[str, ...]) -> None:
        call = self._call(data)
        actual = Amounts(nano_usd=nano, input_tokens=tokens, output_tokens=1)
        tally = Tally(provider="p", name="sums", counts=(("calls", 1), ("billed", nano)))
        self._both(
            lambda ledger: ledger.receipt(call, actual, outcome='{"r":1}', queue="p", tally=tally)
        )

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        call = self._call(data)
        self._both(lambda ledger: ledger.release(call, outcome="{}"))

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        call = self._call(data)
        tally = Tally(provider="p", name="sums", counts=(("given_up", 1),))
        self._both(lambda ledger: ledger.give_up(call, outcome="{}", queue="p", tally=tally))

    @rule(
        limit=st.none() | st.integers(min_value=0, max_value=120),
        closed=st.sampled_from(["", "", "suspended"]),
        ago_ms=st.sampled_from([0, 1, 2 * MINUTE_MS]),
    )
    def report(self, limit: int | None, closed: str, ago_ms: int) -> None:
        began_ms = self.clock.now_ms() - ago_ms
        self._both(
            lambda ledger: ledger.report(WALLET, "", limit=limit, closed=closed, began_ms=began_ms)
        )

    @rule(for_ms=st.sampled_from([1, MINUTE_MS]))
    def close(self, for_ms: int) -> None:
        self._both(lambda ledger: ledger.close(WALLET, "", reason="402", for_ms=for_ms))

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def extend(self, data: st.DataObject) -> None:
        call_id = self._call(data).call_id
        self._both(lambda ledger: ledger.extend([call_id, "stranger"]))

    @rule()
    def sweep(self) -> None:
        for call_id in self._both(lambda ledger: ledger.overdue(100)):
            self._expire(call_id)

    def _expire(self, call_id: str) -> None:
        record = self._both(lambda ledger: ledger.find(call_id))
        due = Due(queue="p", after_ms=MINUTE_MS)
        self._both(lambda ledger: ledger.expire(record.reservation, due=due))

    @rule(milliseconds=st.sampled_from([1, 9_999, MINUTE_MS, 5 * MINUTE_MS, 31 * MINUTE_MS]))
    def time_passes(self, milliseconds: int) -> None:
        self._advance(milliseconds)

    @invariant()
    def every_counter_stands_alike(self) -> None:
        asks = [
            Ask(budget=budget, subject=subject, held=0, bound=0)
            for budget in BUDGETS
            for subject in (["a", "b"] if budget.each else [""])
        ]
        for standing in self._both(lambda ledger: ledger.standings(asks)):
            if not self.money_is_sound:
                continue
            assert standing.reserved >= 0
            assert standing.spent >= 0
            if standing.mode == "enforce" and standing.window.startswith(("hour", "life", "first")):
                total = standing.spent + standing.reserved
                assert total <= standing.limit + standing.overrun

    @invariant()
    def the_same_calls_wait_for_receipts(self) -> None:
        keys = self.redis.keys
        execute = self.connection.execute
        waiting = self.loop.run_until_complete(
            execute("ZRANGE", keys.receipts("p", "due"), 0, -1, "WITHSCORES")
        )
        times = [int(float(score)) for score in waiting[1::2]]
        assert dict(zip([name.decode() for name in waiting[::2]], times, strict=True)) == {
            call_id: at_ms for (_, call_id), at_ms in self.memory.due.items()
        }
        sums = self.loop.run_until_complete(execute("HGETALL", keys.receipts("p", "sums")))
        found = {
            name.decode(): int(count) for name, count in zip(sums[::2], sums[1::2], strict=True)
        }
        assert found == self.memory.sums.get(("p", "sums"), {})

    @invariant()
    def the_journals_are_alike(self) -> None:
        memory = self.loop.run_until_complete(self.memory.journal(count_max=10_000))
        redis = self.loop.run_until_complete(self.redis.journal(count_max=10_000))
        assert [replace(entry, id="") for entry in redis] == [
            replace(entry, id="") for entry in memory
        ]
        for entry in redis:
            if entry.kind in ("admitted", "refused"):
                assert [check.counter for check in entry.checks] == [
                    movement.counter for movement in entry.movements
                ]


def test_the_ledgers_never_differ(redis_url: str) -> None:
    LedgersAgree.redis_url = redis_url
    case = LedgersAgree.TestCase
    case.settings = settings(
        max_examples=60,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    case().runTest()
