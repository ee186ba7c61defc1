"""However polls, calls and receipts interleave, our calls never go past what a provider reported.

Two things are insisted on. Whatever is admitted: what was counted of ours since the provider was asked
and what is reserved fit into what it said was left. And where nobody else uses the account, no more
is admitted than the provider has, though some of its bills are late.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from policies.decisions import Admitted
from policies.errors import IllegalTransition
from policies.ledger.counter import Counter
from policies.ledger.memory import MemoryLedger
from policies.reservations import Reservation
from tests.doubles.fake_clock import FakeClock
from tests.proxy.wallets.documents import NANO, PAYG, SUBSCRIPTION, detail, payg_balance, window
from tests.proxy.wallets.rig import BALANCE, DETAIL, MemoryStore, Rig, spent

CAP = 100
EVERY_MS = 60_000
LAG_MS = 90_000
# Of a window that others have used before; a share of it is kept.
_FLOWS_MAX = 10 * CAP
SECONDS = st.integers(min_value=0, max_value=20)
COSTS = st.integers(min_value=1, max_value=40)
WHICH = st.integers(min_value=0, max_value=9)
WORKER = st.integers(min_value=0, max_value=2)


@dataclass(slots=True)
class _Call:
    reservation: Reservation
    held: int
    cost: int
    #: When the provider was done with it; it may take its bill in later.
    done_at_ms: int | None = None
    is_settled: bool = False


class World:
    """An account with a provider that counts right, and three replicas in front of it."""

    def __init__(self, *, lags: bool, keep: int, alone: bool = False) -> None:
        self.alone = alone
        self.clock = FakeClock()
        self.unit = "USD" if lags else "flows"
        self.quota = "balance" if lags else "5_hour"
        more: dict[str, Any] = {"keep": f"{keep}%"} if keep else {}
        api_key = PAYG if lags else SUBSCRIPTION
        self.rig = Rig(
            self.clock,
            MemoryLedger(self.clock),
            MemoryStore(self.clock),
            api_key=api_key,
            balance_lag_ms=LAG_MS,
            stale_after="100d",
            **more,
        )
        self.lags = lags
        self.keep = keep
        self.gates = [self.rig.worker() for _ in range(3)]
        self.polls = [self.rig.poller() for _ in range(3)]
        self.calls: list[_Call] = []
        #: What others used, or gave back.
        self.others = 0
        #: What was left by the last report, and what was counted of ours when it was made.
        self.reported = CAP
        self.counted = 0
        self.admitted = 0
        self.rig.account.answers = {DETAIL: self.detail, BALANCE: self.balance}

    @property
    def remaining(self) -> int:
        """What is left by the provider's own count, with all bills that have reached it."""
        now_ms = self.clock.now_ms()
        late_ms = LAG_MS if self.lags else 0
        used = sum(
            call.cost
            for call in self.calls
            if call.done_at_ms is not None and call.done_at_ms + late_ms <= now_ms
        )
        return CAP - self.others - used

    def detail(self) -> dict[str, Any]:
        if self.lags:
            return detail()
        left = self.report()
        fields = {"max_flows": _FLOWS_MAX, "used_flows": None, "remaining_flows": left}
        return detail(quota_5_hour=window(**fields), quota_7_day=None, quota_monthly=None)

    def balance(self) -> dict[str, Any]:
        return payg_balance(total_credits=self.report())

    def report(self) -> int:
        left = max(0, self.remaining)
        self.asked = left, self.counter.spent // NANO
        return left

    @property
    def counter(self) -> Counter:
        """The quota's counter, in the oracle's own books."""
        assert isinstance(self.rig.ledger, MemoryLedger)
        counters = self.rig.ledger._counters.items()
        found = (c for name, c in counters if name.startswith(f"wallet.acme.{self.quota}:"))
        return next(found, Counter())

    async def do(self, operation: tuple[Any, ...]) -> None:
        name, *arguments = operation
        await getattr(self, name)(*arguments)
        await self.check()

    async def check(self) -> None:
        """Insist that nothing that could be admitted now would be too much."""
        standing = await self.rig.standing(self.quota, self.gates[0])
        if standing.closed:
            return
        admissible = (standing.limit - standing.spent - standing.reserved) // NANO
        since = (standing.spent + standing.reserved) // NANO - self.counted
        assert admissible <= max(0, self.reported - self.kept - since), standing
        if self.alone:
            used = sum(call.held if call.done_at_ms is None else call.cost for call in self.calls)
            assert admissible <= max(0, CAP - used), (standing, used)

    @property
    def kept(self) -> int:
        return -(-_FLOWS_MAX * self.keep // 100)

    async def wait(self, seconds: int) -> None:
        self.clock.advance(seconds * 1_000)

    async def refresh(self, worker: int) -> None:
        await self.gates[worker].refresh()

    async def call(self, worker: int, held: int, cost: int) -> None:
        decision = await self.rig.call(held * NANO, self.unit, self.gates[worker])
        if not isinstance(decision, Admitted):
            return
        self.admitted += 1
        self.calls.append(_Call(decision.reservation, held, min(cost, held)))

    async def finish(self, which: int) -> None:
        """The provider is done with a call and counts it; the answer has not come to its end yet."""
        running = [call for call in self.calls if call.done_at_ms is None]
        if running:
            running[which % len(running)].done_at_ms = self.clock.now_ms()

    async def settle(self, which: int) -> None:
        done = [c for c in self.calls if c.done_at_ms is not None and not c.is_settled]
        if done:
            call = done[which % len(done)]
            call.is_settled = True
            amounts = spent(call.cost * NANO, self.unit)
            await self.rig.ledger.settle(call.reservation, amounts, outcome="{}")

    async def expire(self, which: int) -> None:
        """A worker died: its call is charged as reserved, and settled late or never."""
        running = [call for call in self.calls if not call.is_settled]
        if running:
            try:
                await self.rig.ledger.expire(running[which % len(running)].reservation)
            except IllegalTransition:
                return

    async def refuse(self, worker: int) -> None:
        await self.gates[worker].upstream_refused("acme", "quota")

    async def poll(self, replica: int, meanwhile: list[tuple[Any, ...]]) -> None:
        self.clock.advance(EVERY_MS)
        waiting = iter(meanwhile)
        before = self.counter.reported.began_ms

        async def happen() -> None:
            for operation in waiting:
                await self.do(operation)

        self.rig.account.meanwhile = happen
        await self.polls[replica].poll_if_due("acme")
        self.rig.account.meanwhile = None
        # The ledger takes no report that was asked for before a refusal.
        if self.counter.reported.began_ms != before:
            self.reported, self.counted = self.asked

    async def others_use(self, amount: int) -> None:
        """Other keys of the account spend, or a window is reset by hand."""
        self.others += amount


simple = st.one_of(
    st.tuples(st.just("wait"), SECONDS),
    st.tuples(st.just("refresh"), WORKER),
    st.tuples(st.just("call"), WORKER, COSTS, COSTS),
    st.tuples(st.just("call"), WORKER, COSTS, COSTS),
    st.tuples(st.just("finish"), WHICH),
    st.tuples(st.just("finish"), WHICH),
    st.tuples(st.just("settle"), WHICH),
    st.tuples(st.just("settle"), WHICH),
    st.tuples(st.just("refuse"), WORKER),
)
polls = st.tuples(st.just("poll"), WORKER, st.lists(simple, max_size=6))
outside = st.tuples(st.just("others_use"), st.integers(min_value=-60, max_value=60))
# Nobody knows what a call of a dead worker comes to until it has its receipt: it is charged as
# reserved, and what is reported may not have it yet. That is why only one of the two has it.
dead = st.tuples(st.just("expire"), WHICH)


async def run(world: World, operations: list[tuple[Any, ...]]) -> int:
    """Do everything in order, with a first report before; return how many calls were admitted."""
    await world.poll(0, [])
    for gate in world.gates:
        await gate.refresh()
    for operation in operations:
        await world.do(operation)
    return world.admitted


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(simple, polls, outside, dead), max_size=60), st.sampled_from([0, 5]))
def test_no_call_is_admitted_past_what_was_reported(
    operations: list[tuple[Any, ...]], keep: int
) -> None:
    asyncio.run(run(World(lags=False, keep=keep), operations))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(simple, polls), max_size=60), st.booleans())
def test_an_account_that_only_we_use_is_never_overdrawn(
    operations: list[tuple[Any, ...]], lags: bool
) -> None:
    world = World(lags=lags, keep=0, alone=True)

    asyncio.run(run(world, operations))

    assert sum(call.cost for call in world.calls) <= CAP


def test_calls_pass_up_to_the_last_one_that_fits() -> None:
    world = World(lags=False, keep=0)
    calls = [("call", worker, 10, 10) for worker in itertools.islice(itertools.cycle(range(3)), 12)]
    ends = [(end, 0) for _ in range(10) for end in ("finish", "settle")]
    later: list[tuple[Any, ...]] = [
        ("poll", 1, []),
        ("others_use", -30),
        ("poll", 2, []),
    ]

    assert asyncio.run(run(world, [*calls, *ends, *later, *calls])) == 13
