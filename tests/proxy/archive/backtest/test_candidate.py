"""Another policy over past calls: each assumption in one story. (All of it: tests/properties.)"""

from __future__ import annotations

import json
from collections.abc import Sequence

from policies.budgets import Budget, Caller, Scope
from policies.grants import Grant
from policies.ledger.interface import Admission, Ask
from policies.ledger.memory import MemoryLedger
from policies.money import EXACT_MAX
from policies.reservations import Reservation
from policies.rulebook import Rulebook, Team
from policies.units import USD, Amounts
from policies.windows import Lifetime, Reported
from proxy.archive.backtest.candidate import ASSUMPTIONS, Candidate, Outlook
from tests.doubles.archived_rows import recorded_of
from tests.doubles.fake_clock import FakeClock
from tests.doubles.past_calls import PastCall, outcome, rulebook_of

WIDE = rulebook_of([Budget(name="wide", unit=USD, limit=1_000, window=Lifetime())])
ANN = Caller(key_id="k", team="red", user="ann")


def small(limit: int, **more: object) -> Rulebook:
    fields = {"name": "small", "unit": USD, "limit": limit, "window": Lifetime(), **more}
    return rulebook_of([Budget(**fields)])  # type: ignore[arg-type]  # Fields by name.


class Past:
    """A ledger under a policy, and what its journal says."""

    def __init__(self, rulebook: Rulebook = WIDE) -> None:
        self.clock = FakeClock()
        self.ledger = MemoryLedger(self.clock)
        self.rulebook = rulebook
        self.made = 0

    async def call(self, nano_usd: int, caller: Caller = ANN) -> Reservation | None:
        self.made += 1
        call = PastCall(f"call-{self.made}", caller, nano_usd, nano_usd, 1, 1)
        return await call.reserve(self.ledger, self.rulebook)

    async def settled(self, nano_usd: int, charged: int) -> None:
        call = await self.call(nano_usd)
        assert call is not None
        amounts = Amounts(nano_usd=charged)
        await self.ledger.settle(call, amounts, outcome=outcome(amounts))

    async def under(self, rulebook: Rulebook, *, report_from_ms: int = 0) -> Outlook:
        candidate = Candidate(rulebook, report_from_ms=report_from_ms)
        for entry in recorded_of(await self.ledger.journal(count_max=1_000)):
            candidate.take(entry)
        return candidate.found


async def test_a_call_that_is_refused_now_frees_what_it_was_charged() -> None:
    past = Past()
    await past.settled(50, 10)
    await past.settled(50, 20)

    found = await past.under(small(45))

    line = found.line("small", "red")
    assert (found.newly_refused, found.held_back_nano_usd) == (2, 30)
    assert (line.refused, line.held_back_nano_usd, line.first_call) == (2, 30, "call-1")


async def test_one_that_is_still_in_flight_is_held_back_at_its_quote() -> None:
    past = Past()
    await past.call(50)

    assert (await past.under(small(45))).held_back_nano_usd == 50


async def test_a_call_that_was_refused_and_passes_now_is_charged_its_quote() -> None:
    past = Past(small(10))
    for _ in range(3):
        await past.call(11)

    found = await past.under(small(25))

    assert (found.newly_admitted, found.admitted_nano_usd, found.refused) == (2, 22, 1)
    assert found.line("small", "red").newly_admitted == 2


async def test_what_only_watches_is_noticed() -> None:
    past = Past()
    await past.call(50)

    found = await past.under(small(45, mode="shadow"))

    assert (found.refused, found.line("small", "red").noticed) == (0, 1)


async def test_rules_that_are_no_budgets_refuse_too() -> None:
    past = Past()
    await past.call(1)
    await past.call(1, Caller(key_id="k", team="blue", user="eve"))
    team = Team(name="red", models=("large*",))
    members = Team(name="blue", members=frozenset({"bob"}))

    barred = await past.under(Rulebook(teams={"red": team, "blue": members}))
    gone = await past.under(Rulebook())

    assert {line.cause for line in barred.lines.values()} == {"model", "member"}
    assert {line.cause for line in gone.lines.values()} == {"team"}
    assert (barred.newly_refused, gone.newly_refused) == (2, 2)


async def test_a_call_without_a_price_is_refused_by_a_budget_that_says_nothing_of_such() -> None:
    past = Past()
    ask = Ask(budget=WIDE.budgets["wide"], subject="", held=7, bound=7)
    said = json.dumps({"team": "red", "key": "k", "provider": "venice", "model": "new"})
    await past.ledger.reserve("call-1", [ask], data=said, admission=Admission.DECIDE)

    refused = await past.under(small(45))
    held = await past.under(small(45, when_unpriced_nano_usd=40))

    assert refused.line("small", "red", "price").refused == 1
    assert held.refused == 0


async def test_what_a_providers_quota_refused_stays_refused() -> None:
    wallet = Budget(
        name="w", unit=USD, limit=EXACT_MAX, window=Reported(60_000, True, True)
    )  # Its two rules.
    past = Past()
    call = PastCall("call-1", ANN, 5, 5, 1, 1)
    asks = [*call.asks(WIDE), Ask(budget=wallet, subject="", held=5, bound=5)]
    await past.ledger.reserve("call-1", asks, data=call.data, admission=Admission.DECIDE)

    found = await past.under(small(45))

    assert (found.refused, found.newly_refused, found.newly_admitted) == (1, 0, 0)
    assert found.line("w", "red", "wallet").refused == 1


async def test_a_call_that_passed_without_the_ledger_passes() -> None:
    past = Past()
    call = PastCall("call-1", ANN, 50, 50, 1, 1)
    await past.ledger.reserve("call-1", call.asks(WIDE), data=call.data, admission=Admission.FORCE)

    found = await past.under(small(45))

    assert (found.forced, found.refused, found.admitted) == (1, 0, 1)


async def test_a_grant_raises_the_limit_while_it_lasts() -> None:
    past = Past()
    now_ms = past.clock.now_ms()
    grant = Grant(
        id="g",
        budget="small",
        unit=USD,
        amount=10,
        made_ms=now_ms,
        expires_ms=now_ms + 60_000,
        reason="why",
        actor="ann",
    )
    await past.ledger.note("grant_made", json.dumps(grant.journalled("cli")))
    await past.ledger.note("grant_made", '{"odd": 1}')
    await past.call(50)
    past.clock.advance(60_000)
    await past.call(5)

    found = await past.under(small(45))

    assert (found.admitted, found.refused) == (1, 1)


async def test_ghosts_are_nobodys_calls() -> None:
    past = Past()
    ask = Ask(budget=WIDE.budgets["wide"], subject="", held=7, bound=7)
    said = json.dumps({"ghost": "row", "provider": "venice", "team": None})
    await past.ledger.reserve("ghost-1", [ask], data=said, admission=Admission.FORCE)

    assert (await past.under(small(1))).calls == 0


async def test_calls_before_the_time_that_is_asked_for_count_and_are_not_told() -> None:
    past = Past()
    await past.settled(30, 30)
    past.clock.advance(1)
    since_ms = past.clock.now_ms()
    await past.call(30)

    found = await past.under(small(45), report_from_ms=since_ms)

    assert (found.calls, found.refused) == (1, 1)


async def test_the_end_of_a_call_that_came_in_long_before_is_counted_apart() -> None:
    past = Past()
    await past.settled(30, 30)
    candidate = Candidate(small(45))
    for entry in recorded_of(await past.ledger.journal())[1:]:
        candidate.take(entry)

    assert candidate.found.unknown == 1


async def test_a_budget_of_another_team_counts_no_calls_of_this_one() -> None:
    past = Past()
    await past.call(50)

    found = await past.under(small(1, scope=Scope(team="blue")))

    assert (found.refused, found.lines) == (0, {})


def test_what_is_assumed_is_said() -> None:
    said: Sequence[str] = ASSUMPTIONS
    assert all(each.endswith(".") for each in said)
