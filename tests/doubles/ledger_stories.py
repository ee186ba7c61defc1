"""What calls do on a ledger, as hypothesis has it: under any budgets, in any order, at any time."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from policies.budgets import Budget
from policies.decisions import Admitted
from policies.errors import IllegalTransition
from policies.ledger.interface import Admission, Ask, Ledger
from policies.money import EXACT_MAX
from policies.reservations import Reservation
from policies.units import CALLS, TOKENS, USD, Amounts
from policies.windows import Calendar, FirstUse, Lifetime, Reported, Rolling
from proxy.archive.backtest.records import Recorded
from tests.doubles.archived_rows import recorded_of
from tests.doubles.fake_clock import FakeClock

MINUTE_MS = 60_000
WALLET = Budget(name="wallet", unit=USD, limit=EXACT_MAX, window=Reported(5 * MINUTE_MS))
small = st.integers(0, 25)


@st.composite
def budgets(draw: st.DrawFn) -> list[Budget]:
    windows = st.sampled_from(
        [
            Calendar("hour", "Asia/Kolkata"),
            Calendar("day"),
            Lifetime(),
            Rolling(10 * MINUTE_MS),
            FirstUse(7 * MINUTE_MS),
        ]
    )
    drawn = draw(
        st.lists(
            st.builds(
                Budget,
                name=st.sampled_from(["a", "b", "c", "d", "e"]),
                unit=st.sampled_from([USD, TOKENS, CALLS]),
                limit=st.integers(0, 90),
                window=windows,
                mode=st.sampled_from(["enforce", "enforce", "warn", "shadow"]),
                quote=st.sampled_from(["bound", "likely"]),
                overrun_max=st.integers(0, 20),
            ),
            min_size=1,
            max_size=4,
            unique_by=lambda budget: budget.name,
        )
    )
    return [*drawn, WALLET]


class Story:
    """A ledger, and what hypothesis has happen to it."""

    def __init__(
        self, data: DataObject, of: list[Budget], ledger: Ledger, clock: FakeClock
    ) -> None:
        self.data, self.budgets = data, of
        self.ledger, self.clock = ledger, clock
        self.calls: list[Reservation] = []
        self.made = 0
        #: What the calls of a story have in front of their numbers.
        self.prefix = "call"

    async def step(self) -> None:
        acts = [
            self.reserve,
            self.reserve,
            self.reserve,
            self.time_passes,
            self.report,
            self.policy,
        ]
        if self.calls:
            acts += [self.settle, self.receipt, self.release, self.expire, self.give_up]
        try:
            await self.data.draw(st.sampled_from(acts))()
        except IllegalTransition:
            return

    async def reserve(self) -> None:
        held, more = self.data.draw(small), self.data.draw(small)
        chosen = self.data.draw(st.lists(st.sampled_from(self.budgets), unique_by=id, min_size=1))
        granted = self.data.draw(st.sampled_from([0, 0, 30]))
        asks = [
            Ask(
                # A grant is nothing but a limit that is higher for a while.
                budget=replace(budget, limit=min(EXACT_MAX, budget.limit + granted)),
                subject="",
                held=held,
                bound=held + (more if budget.quote == "likely" else 0),
            )
            for budget in chosen
        ]
        admission = self.data.draw(
            st.sampled_from([Admission.DECIDE, Admission.DECIDE, *Admission])
        )
        self.made += 1
        decision = await self.ledger.reserve(
            f"{self.prefix}-{self.made}", asks, data="{}", admission=admission
        )
        if isinstance(decision, Admitted):
            self.calls.append(decision.reservation)

    def _call(self) -> Reservation:
        return self.data.draw(st.sampled_from(self.calls))

    async def settle(self) -> None:
        amounts = Amounts(nano_usd=self.data.draw(small), input_tokens=self.data.draw(small))
        await self.ledger.settle(self._call(), amounts, outcome="{}")

    async def receipt(self) -> None:
        amounts = Amounts(nano_usd=self.data.draw(small), input_tokens=self.data.draw(small))
        keep = self.data.draw(st.sampled_from([(), (TOKENS,)]))
        await self.ledger.receipt(self._call(), amounts, outcome="{}", keep=keep)

    async def release(self) -> None:
        await self.ledger.release(self._call(), outcome="{}")

    async def expire(self) -> None:
        await self.ledger.expire(self._call())

    async def give_up(self) -> None:
        await self.ledger.give_up(self._call(), outcome="{}")

    async def time_passes(self) -> None:
        self.clock.advance(self.data.draw(st.sampled_from([1, 9_999, MINUTE_MS, 31 * MINUTE_MS])))

    async def report(self) -> None:
        closed = self.data.draw(st.sampled_from(["", "", "402"]))
        limit = self.data.draw(st.none() | st.integers(0, 100))
        began_ms = self.clock.now_ms()
        await self.ledger.report(WALLET, "", limit=limit, closed=closed, began_ms=began_ms)

    async def policy(self) -> None:
        """Another policy comes into force: other limits, the same windows."""
        self.budgets = [
            budget
            if budget is WALLET
            else replace(budget, limit=self.data.draw(st.integers(0, 90)))
            for budget in self.budgets
        ]

    async def entries(self) -> list[Recorded]:
        return recorded_of(await self.ledger.journal(count_max=10_000))
