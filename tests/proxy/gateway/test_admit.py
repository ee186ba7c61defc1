"""The gate: who passes, who is told what, and what becomes of a call while the ledger is away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import pytest

from policies.budgets import Budget, Caller
from policies.decisions import Decision
from policies.errors import LedgerUntouched
from policies.learning import CALLS_MIN, Learning
from policies.ledger.interface import Admission, Ask
from policies.ledger.memory import MemoryLedger
from policies.reservations import State
from policies.units import CALLS, OUTPUT_TOKENS, USD, Amounts
from policies.windows import Calendar, FirstUse, Lifetime, Rolling
from proxy.dialects.interface import ErrorKind
from proxy.gateway.admit import Gate
from proxy.gateway.allowance import Allowance
from proxy.gateway.call import Quoted, Refusal, Ticket
from proxy.gateway.quote import Quoter
from tests.doubles.calls import (
    MODEL,
    OUTPUT_NANO,
    FakePrices,
    arrival,
    price,
    quoted,
    reservation_of,
)
from tests.doubles.fake_clock import FakeClock
from tests.doubles.flaky_ledger import FlakyLedger

DAY = Budget(name="day", unit=USD, limit=10**9, window=Calendar("day"))
OUTPUT = Budget(name="output", unit=OUTPUT_TOKENS, limit=1_000, window=Calendar("day"))


class Rig:
    """A gate, and what it works with."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.ledger = FlakyLedger(MemoryLedger(clock))
        self.allowance = Allowance()
        self.let_go: list[tuple[Ticket, str]] = []
        requote = Quoter(FakePrices(price()), Learning()).with_quote
        self.gate = Gate(self.ledger, self.allowance, requote, self._unused, clock)

    async def _unused(self, ticket: Ticket, reason: str) -> None:
        self.let_go.append((ticket, reason))

    async def admitted(self, call: Quoted) -> Ticket:
        found = await self.gate.admit(call)
        assert not isinstance(found, Refusal), found
        return found[0]

    async def refused(self, call: Quoted) -> Refusal:
        found = await self.gate.admit(call)
        assert isinstance(found, Refusal)
        return found

    async def spend(self, budget: Budget, amount: int, call_id: str = "earlier") -> None:
        """Let an earlier call have spent something."""
        asks = [Ask(budget=budget, subject="", held=amount, bound=amount)]
        await self.ledger.behind.reserve(call_id, asks, data="{}", admission=Admission.FORCE)
        amounts = Amounts(nano_usd=amount, output_tokens=amount, calls=amount)
        held = await self.ledger.behind.find(call_id)
        assert held is not None
        await self.ledger.behind.settle(held.reservation, amounts, outcome="{}")

    async def reserved(self, budget: Budget) -> int:
        asks = [Ask(budget=budget, subject="", held=0, bound=0)]
        (standing,) = await self.ledger.behind.standings(asks)
        return standing.reserved

    async def kinds(self) -> list[str]:
        return [entry.kind for entry in await self.ledger.behind.journal()]


@pytest.fixture
def rig(clock: FakeClock) -> Rig:
    return Rig(clock)


async def test_a_call_with_room_gets_a_ticket_that_names_its_tightest_budget(rig: Rig) -> None:
    wide = replace(DAY, name="wide", limit=10**12)

    ticket = await rig.admitted(quoted(wide, DAY))

    assert not ticket.on_allowance
    assert ticket.tightest is not None
    assert (ticket.tightest.budget, ticket.tightest.reserved) == ("day", quoted(DAY).asks[0].held)
    assert [charge.budget for charge in ticket.reservation.charges] == ["wide", "day"]


async def test_a_call_that_no_budget_counts_passes(rig: Rig) -> None:
    call = replace(quoted(), asks=())

    assert (await rig.admitted(call)).tightest is None


@pytest.mark.parametrize(("mode", "tightest"), [("warn", "nothing"), ("shadow", "day")])
async def test_a_budget_of_nothing_is_the_tightest_unless_it_is_a_shadow(
    rig: Rig, mode: Literal["warn", "shadow"], tightest: str
) -> None:
    nothing = replace(DAY, name="nothing", limit=0, mode=mode)

    ticket = await rig.admitted(quoted(DAY, nothing))

    assert ticket.tightest is not None
    assert (ticket.tightest.budget, ticket.would_refuse) == (tightest, ("nothing",))


async def test_the_version_of_the_keys_comes_with_the_ticket(rig: Rig) -> None:
    behind = rig.ledger.behind
    assert isinstance(behind, MemoryLedger)
    behind.keys_version = 7

    found = await rig.gate.admit(quoted(DAY))

    assert not isinstance(found, Refusal)
    assert found[1] == 7


# Refusals…


async def test_a_refusal_names_the_budget_and_everything_about_it(rig: Rig) -> None:
    await rig.spend(DAY, 10**9 - 5)
    call = quoted(DAY)

    refusal = await rig.refused(call)

    assert (refusal.status, refusal.kind) == (402, ErrorKind.BUDGET_EXCEEDED)
    assert refusal.retry_after_s is None
    assert refusal.message == (
        "Budget 'day' has no room for this call: $0.999999995 spent and $0 reserved of $1, the call "
        f"may need $0.000{call.asks[0].held // 1_000}; the budget resets at 2026-11-24T00:00:00Z. "
        "Refused by Bursar; nothing was sent to the provider."
    )
    assert refusal.headers == (
        ("x-bursar-decision", "refused"),
        ("x-bursar-budget", "day"),
        ("x-bursar-limit", "1 USD"),
        ("x-bursar-spent", "0.999999995 USD"),
        ("x-bursar-reserved", "0 USD"),
        ("x-bursar-resets-at", "2026-11-24T00:00:00Z"),
    )
    assert refusal.standing is not None
    assert await rig.kinds() == ["admitted", "settle", "refused"]


async def test_a_refusal_names_the_subject_whose_counter_is_short(rig: Rig) -> None:
    each = replace(DAY, each="user", limit=1)
    came = arrival(caller=Caller(key_id="key_1", team="red", user="alice"))

    refusal = await rig.refused(quoted(each, came=came))

    assert "Budget 'day' for 'alice' has no room" in refusal.message


async def test_a_lifetime_budget_has_no_reset(rig: Rig) -> None:
    refusal = await rig.refused(quoted(replace(DAY, limit=1, window=Lifetime())))

    assert "the budget has no reset." in refusal.message
    assert "x-bursar-resets-at" not in dict(refusal.headers)
    assert refusal.status == 402


async def test_a_first_use_window_resets_when_it_ends(rig: Rig) -> None:
    refusal = await rig.refused(quoted(replace(DAY, limit=1, window=FirstUse(5 * 3_600_000))))

    assert "resets at 2026-11-23T18:00:00Z" in refusal.message


@pytest.mark.parametrize(
    ("length_ms", "status", "wait_s"), [(60_000, 429, 61), (61_000, 402, None)]
)
async def test_a_rate_asks_to_wait_and_a_longer_window_to_stop(
    rig: Rig, length_ms: int, status: int, wait_s: int | None
) -> None:
    rate = Budget(name="rate", unit=CALLS, limit=1, window=Rolling(length_ms))
    await rig.spend(rate, 1)

    refusal = await rig.refused(quoted(rate))

    assert (refusal.status, refusal.retry_after_s) == (status, wait_s)


async def test_a_rate_that_never_has_room_for_the_call_is_no_reason_to_wait(rig: Rig) -> None:
    rate = Budget(name="rate", unit=OUTPUT_TOKENS, limit=5, window=Rolling(60_000))

    refusal = await rig.refused(quoted(rate))

    assert (refusal.status, refusal.retry_after_s) == (402, None)


async def test_an_id_that_was_used_is_refused(rig: Rig) -> None:
    await rig.ledger.release(reservation_of("call_a", ()), outcome="{}")

    refusal = await rig.refused(quoted(DAY))

    assert (refusal.status, refusal.kind) == (409, ErrorKind.INTERNAL)
    assert "is released already" in refusal.message


# Clamping…


CLAMPS = replace(OUTPUT, when_short="clamp", clamp_floor=10)


async def test_a_call_is_clamped_to_what_is_left(rig: Rig) -> None:
    await rig.spend(CLAMPS, 960)

    ticket = await rig.admitted(quoted(CLAMPS, max_tokens=100))

    assert ticket.quoted.quote is not None
    assert ticket.quoted.quote.output_limit == 40
    assert ticket.quoted.body_changed
    assert b'"max_tokens":40' in ticket.quoted.body
    assert await rig.reserved(CLAMPS) == 40
    assert await rig.kinds() == ["admitted", "settle", "admitted"]


async def test_a_call_that_fits_is_not_clamped(rig: Rig) -> None:
    ticket = await rig.admitted(quoted(CLAMPS, max_tokens=100))

    assert not ticket.quoted.body_changed
    assert rig.ledger.asked == ["reserve"]


async def test_a_call_is_never_clamped_below_the_floor(rig: Rig) -> None:
    await rig.spend(CLAMPS, 991)

    refusal = await rig.refused(quoted(CLAMPS, max_tokens=100))

    assert refusal.kind is ErrorKind.BUDGET_EXCEEDED
    assert await rig.kinds() == ["admitted", "settle", "refused"]


async def test_the_floor_is_that_of_budgets_that_clamp(rig: Rig) -> None:
    """The other one has a floor as well, by default and for nothing."""
    await rig.spend(CLAMPS, 960)

    ticket = await rig.admitted(quoted(CLAMPS, DAY, max_tokens=100))

    assert ticket.quoted.quote is not None
    assert ticket.quoted.quote.output_limit == 40


async def test_a_budget_that_refuses_is_not_narrowed_down_for_by_one_that_clamps(rig: Rig) -> None:
    refuses = replace(DAY, name="refuses", limit=50)

    refusal = await rig.refused(quoted(CLAMPS, refuses, max_tokens=100))

    assert refusal.standing is not None
    assert refusal.standing.budget == "refuses"


@pytest.mark.parametrize("mode", ["warn", "shadow"])
async def test_what_only_watches_does_not_narrow_a_clamp(rig: Rig, mode: str) -> None:
    watching = replace(DAY, limit=1, mode="warn" if mode == "warn" else "shadow")
    await rig.spend(CLAMPS, 960)

    ticket = await rig.admitted(quoted(CLAMPS, watching, max_tokens=100))

    assert ticket.would_refuse == ("day",)
    assert await rig.reserved(CLAMPS) == 40


async def test_the_tightest_of_several_budgets_decides_on_a_clamp(rig: Rig) -> None:
    # The input is at most 82 bytes of body, and 30 tokens of output fit besides.
    limit = quoted(DAY, max_tokens=100).asks[0].held - 70 * OUTPUT_NANO
    tight = replace(DAY, limit=limit, when_short="clamp", clamp_floor=1)
    await rig.spend(CLAMPS, 960)

    ticket = await rig.admitted(quoted(CLAMPS, tight, max_tokens=100))

    assert ticket.quoted.quote is not None
    assert ticket.quoted.quote.output_limit == 30


async def test_a_clamp_does_not_help_a_budget_that_the_output_does_not_fill(rig: Rig) -> None:
    calls = Budget(name="calls", unit=CALLS, limit=0, window=Lifetime())

    refusal = await rig.refused(quoted(calls, CLAMPS, max_tokens=100))

    assert refusal.standing is not None
    assert refusal.standing.budget == "calls"


async def test_room_that_another_call_took_meanwhile_is_not_given_twice(clock: FakeClock) -> None:
    rig = Rig(clock)
    rig.ledger = _Faster(MemoryLedger(clock))
    rig.gate._ledger = rig.ledger
    await rig.spend(CLAMPS, 960)

    refusal = await rig.refused(quoted(CLAMPS, max_tokens=100))

    assert refusal.kind is ErrorKind.BUDGET_EXCEEDED
    assert await rig.reserved(CLAMPS) == 30


class _Faster(FlakyLedger):
    """A ledger at which another call arrives between the first try and the second."""

    async def reserve(
        self, call_id: str, asks: Sequence[Ask], *, data: str, admission: Admission
    ) -> Decision:
        found = await super().reserve(call_id, asks, data=data, admission=admission)
        if admission is Admission.TRY:
            other = [Ask(budget=CLAMPS, subject="", held=30, bound=30)]
            await super().reserve("other", other, data="{}", admission=Admission.DECIDE)
        return found


async def test_a_call_without_a_price_is_not_clamped(rig: Rig) -> None:
    budget = replace(DAY, limit=5, when_short="clamp", when_unpriced_nano_usd=10)

    refusal = await rig.refused(quoted(budget, prices=[price("somebody/else")]))

    assert refusal.kind is ErrorKind.BUDGET_EXCEEDED
    assert rig.ledger.asked == ["reserve"]


# Without the ledger…


LENIENT = replace(DAY, when_ledger_down_nano_usd=10**9)


async def test_without_the_ledger_a_call_is_refused_unless_every_budget_says_otherwise(
    rig: Rig,
) -> None:
    rig.ledger.away = True

    refusal = await rig.refused(quoted(LENIENT, OUTPUT))

    assert (refusal.status, refusal.kind) == (503, ErrorKind.LEDGER_UNAVAILABLE)
    assert "when_ledger_down" in refusal.message
    assert rig.allowance.used_nano_usd == 0


async def test_without_the_ledger_a_call_passes_on_the_allowance_as_far_as_that_goes(
    rig: Rig,
) -> None:
    rig.ledger.away = True
    call = quoted(LENIENT)
    bound = call.asks[0].bound
    budget = replace(LENIENT, when_ledger_down_nano_usd=2 * bound)

    tickets = [await rig.admitted(quoted(budget, call_id=f"call_{n}")) for n in range(2)]
    await rig.refused(quoted(budget, call_id="call_3"))

    assert all(ticket.on_allowance for ticket in tickets)
    assert tickets[0].reservation == reservation_of("call_0", quoted(budget).asks)
    assert rig.allowance.used_nano_usd == 2 * bound


async def test_an_allowance_is_taken_at_the_bound_though_a_budget_holds_what_is_likely(
    rig: Rig,
) -> None:
    learned = Learning()
    for _ in range(CALLS_MIN):
        learned.of("red", MODEL).observe(body_bytes=100, input_tokens=1, output_tokens=1)
    call = quoted(replace(LENIENT, quote="likely"), learning=learned)
    rig.ledger.away = True

    await rig.admitted(call)

    assert call.asks[0].held < call.asks[0].bound == rig.allowance.used_nano_usd


async def test_a_call_without_a_price_or_a_budget_has_no_allowance(rig: Rig) -> None:
    rig.ledger.away = True
    unpriced = replace(LENIENT, when_unpriced_nano_usd=10)

    await rig.refused(quoted(unpriced, prices=[price("somebody/else")]))
    await rig.refused(replace(quoted(), asks=()))


async def test_what_may_be_held_for_a_refused_call_is_let_go(rig: Rig) -> None:
    rig.ledger.fail("reserve", after=True)

    await rig.refused(quoted(DAY))

    ((ticket, reason),) = rig.let_go
    assert ticket.on_allowance  # Where the ledger placed it is looked up, not guessed.
    assert ticket.reservation.call_id == "call_a"
    assert "did not answer" in reason
    record = await rig.ledger.behind.find("call_a")
    assert record is not None
    assert record.state is State.RESERVED


async def test_what_may_be_held_for_a_clamped_call_is_let_go(rig: Rig) -> None:
    await rig.spend(CLAMPS, 960)
    rig.ledger.fail("reserve", fault=None)

    await rig.refused(quoted(CLAMPS, max_tokens=100))

    assert len(rig.let_go) == 1


@pytest.mark.parametrize("away", [True, False], ids=["not connected", "does not serve"])
async def test_where_nothing_took_place_nothing_is_let_go(rig: Rig, away: bool) -> None:
    rig.ledger.away = away
    rig.ledger.fail("reserve", fault=LedgerUntouched("Redis cannot serve now: OOM"))

    await rig.refused(quoted(DAY))

    assert rig.let_go == []


async def test_a_call_on_the_allowance_is_sent_and_therefore_not_let_go(rig: Rig) -> None:
    rig.ledger.fail("reserve", after=True)

    assert (await rig.admitted(quoted(LENIENT))).on_allowance

    assert rig.let_go == []
