"""How calls are concluded, case by case; properties of the amounts are in tests/properties."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from policies.budgets import Budget
from policies.learning import CALLS_MIN, Learning
from policies.pricing import Price, Tier
from policies.rates import Rates
from policies.reservations import Operation
from policies.units import TOKENS, USD, Amounts
from policies.usage import AtLeast, Exact, ReportedCost, Unknown, Usage, UsageLine
from policies.windows import Lifetime
from proxy.dialects.interface import Reading
from proxy.gateway.call import Passage, Quoted
from proxy.gateway.settle import Conclusion, Settler
from tests.doubles.calls import (
    INPUT_NANO,
    MODEL,
    OUTPUT_NANO,
    FakePrices,
    passage,
    price,
    quoted,
    ticket,
    with_demand,
)

USAGE = Usage(input_tokens=7, output_tokens=3)
COST = 7 * INPUT_NANO + 3 * OUTPUT_NANO
UNPRICED_BUDGETS = (
    Budget(name="a", unit=USD, limit=10**9, window=Lifetime(), when_unpriced_nano_usd=10**6),
    Budget(name="b", unit=USD, limit=10**9, window=Lifetime(), when_unpriced_nano_usd=3 * 10**6),
)


def exact(usage: Usage = USAGE, model: str | None = None) -> Exact:
    return Exact((UsageLine(model=model, usage=usage),))


def at_least(usage: Usage = USAGE) -> AtLeast:
    return AtLeast((UsageLine(usage=usage),))


def conclude(passed: Passage, reading: Reading, *known: Price) -> Conclusion:
    return Settler(FakePrices(*known), Learning()).answered(passed, reading)


def outcome(conclusion: Conclusion) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(conclusion.outcome)
    return found


def unpriced() -> Quoted:
    """A call of a model without a price, which two budgets let pass for what they say."""
    return quoted(*UNPRICED_BUDGETS, prices=[price("somebody/else")])


def test_an_answer_with_usage_is_settled_at_its_cost() -> None:
    found = conclude(passage(), Reading(metered=exact(), model=MODEL, finish="stop"))

    assert (found.operation, found.certainty) == (Operation.SETTLE, "exact")
    assert found.amounts == Amounts(nano_usd=COST, input_tokens=7, output_tokens=3)
    assert outcome(found) == {
        "status": 200,
        "certainty": "exact",
        "nano_usd": COST,
        "usage": [{"model": None, "input_tokens": 7, "output_tokens": 3}],
        "model": MODEL,
        "service_tier": None,
        "finish": "stop",
        "generation_ids": [],
    }


def test_the_outcome_tells_what_else_is_known() -> None:
    passed = passage(ticket(on_allowance=True), headers={"x-generation-id": "gen-1"})
    passed.body_ids.append("chatcmpl-1")
    passed.client_left = passed.cut = True
    reading = Reading(
        metered=at_least(), error="e" * 600, cost=ReportedCost(amounts={"USD": "0.1"})
    )

    found = outcome(conclude(passed, reading))

    assert found["generation_ids"] == ["gen-1", "chatcmpl-1"]
    assert found["reported_cost"] == {"USD": "0.1"}
    assert found["error"] == "e" * 500
    assert (found["client_left"], found["cut"], found["on_allowance"]) == (True, True, True)


def test_a_call_that_was_never_sent_is_released() -> None:
    found = Settler(FakePrices(), Learning()).unsent(passage(), "no route to host")

    assert (found.operation, found.certainty) == (Operation.RELEASE, "unbilled")
    assert found.amounts == Amounts(nano_usd=0, calls=0)
    assert outcome(found)["reason"] == "no route to host"


@pytest.mark.parametrize("status", [408, 499, 504, 520, 522, 524])
def test_whoever_gave_up_waiting_may_have_been_billed(status: int) -> None:
    call = quoted()

    found = Settler(FakePrices(), Learning()).refused(passage(ticket(call)), status, "late")

    assert call.quote is not None
    assert (found.operation, found.amounts) == (Operation.SETTLE, call.quote.bound)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 429, 500, 502, 503, 529])
def test_a_refusal_is_released(status: int) -> None:
    found = Settler(FakePrices(), Learning()).refused(passage(), status, "no")

    assert found.operation is Operation.RELEASE
    assert outcome(found)["status"] == status
    assert outcome(found)["error"] == "no"


def test_an_error_before_any_output_is_a_refusal_with_status_200() -> None:
    found = conclude(passage(), Reading(metered=Unknown(), error="overloaded"))

    assert found.operation is Operation.RELEASE
    assert outcome(found) == {"status": 200, "error": "overloaded", "generation_ids": []}


@pytest.mark.parametrize(
    ("reading", "cut"),
    [
        (Reading(metered=Unknown(), error="overloaded", produced_output=True), False),
        (Reading(metered=Unknown(), error="overloaded"), True),
        (Reading(metered=Unknown()), False),
        (Reading(metered=Unknown()), True),
    ],
    ids=["after output", "cut", "silent", "silent and cut"],
)
def test_whatever_may_have_been_worked_on_is_charged_as_reserved(
    reading: Reading, cut: bool
) -> None:
    passed = passage()
    passed.cut = cut

    found = conclude(passed, reading)

    call = passed.ticket.quoted
    assert (found.operation, found.certainty) == (Operation.SETTLE, "unknown")
    assert [found.amounts.of(ask.budget.unit) for ask in call.asks] == [a.held for a in call.asks]


def test_an_error_after_usage_does_not_release() -> None:
    found = conclude(passage(), Reading(metered=at_least(), error="it broke"))

    assert (found.operation, found.certainty) == (Operation.SETTLE, "at_least")


def test_a_cut_answer_costs_its_input_and_output_at_the_limit() -> None:
    found = conclude(passage(max_tokens=50), Reading(metered=at_least(), model=MODEL))

    assert found.amounts.output_tokens == 50
    assert found.amounts.nano_usd == 7 * INPUT_NANO + 50 * OUTPUT_NANO


def test_what_an_advisor_did_on_the_side_is_not_what_went_on() -> None:
    lines = (UsageLine(usage=USAGE), UsageLine(model="acme/nano", usage=USAGE))
    cheap = price("acme/nano", input_nano=1, output_nano=1)

    found = conclude(passage(max_tokens=50), Reading(metered=AtLeast(lines), model=MODEL), cheap)

    assert found.amounts.nano_usd == 7 * INPUT_NANO + 50 * OUTPUT_NANO + 10


def test_where_all_is_another_models_the_last_line_goes_on() -> None:
    lines = (UsageLine(model="acme/nano", usage=USAGE),)
    cheap = price("acme/nano", input_nano=1, output_nano=2)

    found = conclude(passage(max_tokens=50), Reading(metered=AtLeast(lines), model=MODEL), cheap)

    assert found.amounts.nano_usd == 7 + 50 * 2


# Prices…


def test_an_operators_price_holds_for_the_same_model_under_another_name() -> None:
    call = quoted(prices=[price(source="configuration")])
    table = price("acme/mini-2026-06-01", output_nano=99_000, source="table")
    settler = Settler(FakePrices(table), Learning(), lambda asked, answered: asked in answered)

    found = settler.answered(
        passage(ticket(call)), Reading(metered=exact(), model="acme/mini-2026-06-01")
    )

    assert found.amounts.nano_usd == COST


def test_another_model_by_another_list_is_charged_at_the_dearer_of_both_prices() -> None:
    call = quoted(prices=[price(source="configuration")])
    dear = price("acme/maxi", output_nano=99_000, source="table")
    cheap = price("acme/tiny", output_nano=1, input_nano=1, source="table")

    found = [
        conclude(passage(ticket(call)), Reading(metered=exact(), model=other.model), other)
        for other in (dear, cheap)
    ]

    assert [each.amounts.nano_usd for each in found] == [7 * INPUT_NANO + 3 * 99_000, COST]


def test_a_model_that_was_answered_with_has_its_own_price_on_the_same_list() -> None:
    dear = price("acme/maxi", output_nano=99_000)

    found = conclude(passage(), Reading(metered=exact(), model="acme/maxi"), dear)

    assert found.amounts.nano_usd == 7 * INPUT_NANO + 3 * 99_000


def test_a_model_that_nobody_prices_is_charged_as_the_one_that_was_asked_for() -> None:
    found = conclude(passage(), Reading(metered=exact(), model="nobody/knows"))

    assert (found.certainty, found.amounts.nano_usd) == ("exact", COST)


def test_a_tier_that_was_granted_has_its_own_price() -> None:
    rates = Rates.of(input=2_000_000, output=20_000_000)
    call = quoted(prices=[price(service_tiers={"priority": (Tier(rates=rates),)})])
    reading = Reading(metered=exact(), model=MODEL, service_tier="priority")

    assert conclude(passage(ticket(call)), reading).amounts.nano_usd == 2 * COST


def test_a_tier_without_a_price_is_charged_as_reserved_with_the_tokens_that_are_known() -> None:
    call = quoted()
    reading = Reading(metered=exact(), model=MODEL, service_tier="platinum")

    found = conclude(passage(ticket(call)), reading)

    assert call.quote is not None
    assert found.certainty == "unpriced"
    assert found.amounts == replace(call.quote.bound, input_tokens=7, output_tokens=3)


@pytest.mark.parametrize(
    ("asked", "factor"), [("priority", 3), ("flex", 1), ("auto", 1), (None, 1)]
)
def test_a_tier_that_was_asked_for_and_never_mentioned_again_may_have_been_granted(
    asked: str | None, factor: int
) -> None:
    tiers = {
        "priority": (Tier(rates=Rates.of(input=3_000_000, output=30_000_000)),),
        "flex": (Tier(rates=Rates.of(input=500_000, output=5_000_000)),),
    }
    call = quoted(prices=[price(service_tiers=tiers)], service_tier=asked)

    found = conclude(passage(ticket(call)), Reading(metered=exact(), model=MODEL))

    assert found.amounts.nano_usd == factor * COST


def test_another_model_without_the_tier_that_was_asked_for_is_unpriced() -> None:
    tiers = {"priority": (Tier(rates=Rates.of(input=1, output=1)),)}
    call = quoted(prices=[price(service_tiers=tiers)], service_tier="priority")

    found = conclude(
        passage(ticket(call)), Reading(metered=exact(), model="acme/maxi"), price("acme/maxi")
    )

    assert found.certainty == "unpriced"


def test_a_call_without_a_price_is_charged_the_most_that_a_budget_holds() -> None:
    found = conclude(passage(ticket(unpriced())), Reading(metered=exact(), model=MODEL))

    assert found.certainty == "unpriced"
    assert found.amounts == Amounts(nano_usd=3 * 10**6, input_tokens=7, output_tokens=3)


def test_a_call_without_a_price_has_one_when_the_model_that_answered_does() -> None:
    named = price("acme/mini-2026")

    found = conclude(
        passage(ticket(unpriced())), Reading(metered=exact(), model=named.model), named
    )

    assert (found.certainty, found.amounts.nano_usd) == ("exact", COST)


@pytest.mark.parametrize(("output_nano", "charged"), [(1, 3 * 10**6), (10**7, 3 * 10**7 + 7_000)])
def test_a_cut_answer_without_a_quote_is_charged_no_less_than_reserved(
    output_nano: int, charged: int
) -> None:
    named = price("acme/mini-2026", output_nano=output_nano)

    found = conclude(
        passage(ticket(unpriced())), Reading(metered=at_least(), model=named.model), named
    )

    assert found.amounts.nano_usd == charged


def test_no_list_says_what_a_region_costs() -> None:
    call = unpriced()
    came = call.routed.arrival
    came = replace(came, parsed=replace(came.parsed, notes=("inference_geo",)))
    call = replace(call, routed=replace(call.routed, arrival=came))
    named = price("acme/mini-2026")

    found = conclude(passage(ticket(call)), Reading(metered=exact(), model=named.model), named)

    assert (found.certainty, found.amounts.nano_usd) == ("unpriced", 3 * 10**6)


@pytest.mark.parametrize("lines", [1, 4_000])
def test_what_cannot_be_counted_is_charged_as_reserved(lines: int) -> None:
    usage = Usage(input_tokens=2**40, cache_read_tokens=2**40, output_tokens=2**40)
    reading = Reading(metered=Exact((UsageLine(usage=usage),) * lines), model=MODEL)
    cheap = price(input_nano=0, output_nano=0 if lines > 1 else 10**6)
    call = quoted(prices=[cheap])

    found = conclude(passage(ticket(call)), reading)

    assert call.quote is not None
    assert (found.certainty, found.amounts.nano_usd) == ("unpriced", call.quote.bound.nano_usd)
    assert found.amounts.of(TOKENS) < 2**53


def test_a_sum_of_lines_that_cannot_be_counted_is_charged_as_reserved() -> None:
    usage = Usage(output_tokens=2**40)
    call = quoted(prices=[price(output_nano=8_000)])  # $8.8 million a line: each can be counted.
    reading = Reading(metered=Exact((UsageLine(usage=usage),) * 2), model=MODEL)

    assert conclude(passage(ticket(call)), reading).certainty == "unpriced"


def test_a_budget_that_holds_the_bound_is_never_charged_what_is_merely_likely() -> None:
    learned = Learning()
    for _ in range(CALLS_MIN):
        learned.of("red", MODEL).observe(body_bytes=100, input_tokens=1, output_tokens=1)
    likely = Budget(name="likely", unit=TOKENS, limit=10**9, window=Lifetime(), quote="likely")
    bound = Budget(name="bound", unit=USD, limit=10**9, window=Lifetime())
    alone = quoted(likely, learning=learned)
    both = quoted(likely, bound, learning=learned)

    charged_alone = conclude(passage(ticket(alone)), Reading(metered=Unknown())).amounts
    charged = conclude(passage(ticket(both)), Reading(metered=Unknown())).amounts

    assert charged_alone.of(TOKENS) == alone.asks[0].held < alone.asks[0].bound
    assert charged.nano_usd == both.asks[1].held


def test_tools_that_the_provider_ran_cost_their_fees_besides() -> None:
    call = quoted(prices=[price(tool_fees={"web_search": 9_000, "code": 500})])
    reading = Reading(
        metered=exact(), model=MODEL, tool_calls=(("web_search", 2), ("code", 1), ("free", 7))
    )

    found = conclude(passage(ticket(call)), reading)

    assert found.amounts.nano_usd == COST + 2 * 9_000 + 500


# Learning…


@pytest.mark.parametrize(
    ("reading", "calls"),
    [
        (Reading(metered=exact(), model=MODEL), CALLS_MIN),
        (Reading(metered=at_least(), model=MODEL), None),
        (Reading(metered=Unknown()), None),
        (Reading(metered=exact(), model=MODEL, service_tier="platinum"), None),
    ],
    ids=["exact", "cut", "unknown", "unpriced"],
)
def test_only_from_exact_usage_is_learned(reading: Reading, calls: int | None) -> None:
    learned = Learning()
    settler = Settler(FakePrices(), learned)

    for _ in range(CALLS_MIN):
        settler.answered(passage(), reading)

    likely = learned.of("red", MODEL).likely(100)
    assert (likely.calls if likely is not None else None) == calls


def test_the_demand_is_what_is_learned_about() -> None:
    learned = Learning()
    call = with_demand(quoted(), body_bytes=7)

    for _ in range(CALLS_MIN):
        Settler(FakePrices(), learned).answered(
            passage(ticket(call)), Reading(metered=exact(), model=MODEL)
        )

    likely = learned.of("red", MODEL).likely(7)
    assert likely is not None
    assert likely.input_tokens >= 7
    assert likely.output_tokens >= 3
