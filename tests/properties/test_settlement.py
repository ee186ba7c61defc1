"""What calls are charged: what is known exactly, and never less than may have been spent where it is not."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from policies.budgets import Budget
from policies.learning import Learning
from policies.pricing import Price, Unpriced
from policies.reservations import Operation
from policies.units import CALLS, INPUT_TOKENS, OUTPUT_TOKENS, TOKENS, USD, Amounts
from policies.usage import AtLeast, Exact, Metered, Unknown, Usage, UsageLine
from policies.windows import Lifetime
from proxy.dialects.interface import Reading
from proxy.gateway.call import Quoted
from proxy.gateway.quote import Quoter
from proxy.gateway.settle import AMBIGUOUS_STATUSES, Conclusion, Settler
from tests.doubles.calls import MODEL, FakePrices, passage, routed, ticket
from tests.properties.price_strategies import SERVICE_TIERS, demands, prices, usages

BUDGETS = (
    Budget(name="usd", unit=USD, limit=10**12, window=Lifetime()),
    Budget(name="likely", unit=USD, limit=10**12, window=Lifetime(), quote="likely"),
    Budget(name="tokens", unit=TOKENS, limit=10**12, window=Lifetime()),
    Budget(name="input", unit=INPUT_TOKENS, limit=10**12, window=Lifetime(), quote="likely"),
    Budget(name="output", unit=OUTPUT_TOKENS, limit=10**12, window=Lifetime()),
    Budget(name="calls", unit=CALLS, limit=10**12, window=Lifetime()),
    Budget(name="diem", unit="DIEM", limit=10**12, window=Lifetime(), quote="likely"),
)
OTHER = "acme/advisor"
tiers = st.none() | SERVICE_TIERS
#: A call, a price and a usage take milliseconds to make up.
enough = settings(max_examples=50)


def learning(*, output_tokens: int) -> Learning:
    """A team whose calls come to little so far, so that `likely` holds less than the bound."""
    learned = Learning()
    for _ in range(40):
        learned.of("red", MODEL).observe(
            body_bytes=1_000, input_tokens=100, output_tokens=output_tokens
        )
    return learned


@st.composite
def quoted_calls(draw: DrawFn) -> Quoted:
    """Any call that gets a quote, against any of the budgets."""
    price = replace(draw(prices()), max_output_tokens=draw(st.sampled_from((1, 4_096, 128_000))))
    budgets = draw(st.lists(st.sampled_from(BUDGETS), min_size=1, unique_by=lambda b: b.name))
    demand = replace(draw(demands()), hidden_input=(), server_tools=())
    if demand.service_tier not in (None, "auto", *price.service_tiers):
        demand = replace(demand, service_tier=None)
    call = routed(*budgets)
    came = replace(call.arrival, parsed=replace(call.arrival.parsed, demand=demand))
    quoter = Quoter(FakePrices(price), learning(output_tokens=draw(st.integers(1, 50))))
    found = quoter.quote(replace(call, arrival=came))
    if demand.audio:
        # A list without a price for audio refuses what may be audio.
        assume(isinstance(found, Quoted))
    assert isinstance(found, Quoted)
    assert found.quote is not None
    return found


def settle(call: Quoted, reading: Reading, *known: Price) -> Conclusion:
    return Settler(FakePrices(*known), Learning()).answered(passage(ticket(call)), reading)


def metered(call: Quoted, metered: Metered, tier: str | None = None) -> Conclusion:
    return settle(call, Reading(metered=metered, model=MODEL, service_tier=tier))


def line(usage: Usage, model: str | None = None) -> UsageLine:
    return UsageLine(model=model, usage=usage)


def cost(price: Price, usage: Usage, tier: str | None) -> Amounts | Unpriced:
    return price.amounts(usage, tier)


def price_of(call: Quoted) -> Price:
    assert call.quote is not None
    return call.quote.price


def covers(call: Quoted, charged: Amounts) -> bool:
    """Whether no budget is charged less than it holds."""
    return all(charged.of(ask.budget.unit) >= ask.held for ask in call.asks)


@enough
@given(quoted_calls(), usages(), tiers)
def test_exact_usage_is_charged_at_its_cost_to_the_nano(
    call: Quoted, usage: Usage, tier: str | None
) -> None:
    expected = cost(price_of(call), usage, tier)
    asked = call.routed.arrival.parsed.demand.service_tier

    found = metered(call, Exact((line(usage),)), tier)

    if isinstance(expected, Unpriced):
        assert found.certainty == "unpriced"
        money = [ask for ask in call.asks if ask.budget.unit == USD]
        assert all(found.amounts.nano_usd >= ask.held for ask in money)
    elif tier is None and asked is not None:
        assert found.amounts.nano_usd >= expected.nano_usd
    else:
        assert (found.certainty, found.amounts) == ("exact", expected)


@enough
@given(quoted_calls(), usages(), tiers)
def test_a_cut_answer_is_charged_no_less_than_known_and_than_output_at_the_bound(
    call: Quoted, usage: Usage, tier: str | None
) -> None:
    assert call.quote is not None
    whole = usage.with_output_at_least(call.quote.bound.output_tokens)
    known, bound = (cost(price_of(call), each, tier) for each in (usage, whole))

    found = metered(call, AtLeast((line(usage),)), tier)

    assert found.operation is Operation.SETTLE
    if isinstance(known, Unpriced) or isinstance(bound, Unpriced):
        assert found.certainty == "unpriced"
        return
    assert found.amounts.output_tokens >= call.quote.bound.output_tokens
    assert found.amounts.nano_usd >= bound.nano_usd


@enough
@given(quoted_calls(), st.booleans(), st.none() | st.just("it broke"))
def test_what_is_unknown_is_charged_as_reserved(
    call: Quoted, produced: bool, error: str | None
) -> None:
    assert call.quote is not None
    reading = Reading(metered=Unknown(), produced_output=produced, error=error)

    found = Settler(FakePrices(), Learning()).unanswered(passage(ticket(call)), "no answer")
    also = settle(call, replace(reading, error=None))

    for conclusion in (found, also):
        assert conclusion.certainty == "unknown"
        assert covers(call, conclusion.amounts)
    kinds = {ask.budget.quote for ask in call.asks}
    if len(kinds) == 1:
        held = {ask.budget.unit: ask.held for ask in call.asks}
        assert {unit: found.amounts.of(unit) for unit in held} == held


@enough
@given(quoted_calls(), usages())
def test_a_granted_tier_without_a_price_is_charged_as_reserved_with_its_tokens(
    call: Quoted, usage: Usage
) -> None:
    found = metered(call, Exact((line(usage),)), "platinum")

    assert found.certainty == "unpriced"
    assert found.amounts.input_tokens == usage.total_input_tokens
    money = [ask for ask in call.asks if ask.budget.unit == USD]
    assert all(found.amounts.nano_usd >= ask.held for ask in money)


@enough
@given(
    quoted_calls(), st.lists(st.tuples(st.booleans(), usages()), min_size=1, max_size=4), prices()
)
def test_iterations_are_charged_each_at_its_models_price(
    call: Quoted, iterations: list[tuple[bool, Usage]], other: Price
) -> None:
    own, advisor = price_of(call), replace(other, model=OTHER)
    call = _asking_for_no_tier(call)
    lines = tuple(line(usage, OTHER if aside else None) for aside, usage in iterations)
    parts = [cost(advisor if aside else own, usage, None) for aside, usage in iterations]

    found = settle(call, Reading(metered=Exact(lines), model=MODEL), advisor)

    amounts = [part for part in parts if isinstance(part, Amounts)]
    # Audio that a list does not price makes the call one without a price.
    assume(len(amounts) == len(parts))
    assert found.amounts.nano_usd == sum(part.nano_usd for part in amounts)
    assert found.amounts.output_tokens == sum(part.output_tokens for part in amounts)
    for name in set(own.credits_per_usd) | set(advisor.credits_per_usd):
        expected = sum(part.credits.get(name, 0) for part in amounts)
        assert found.amounts.of(name) == expected


@enough
@given(quoted_calls(), usages(), prices(), st.booleans())
def test_another_model_costs_what_its_list_says_and_by_another_list_the_dearer_of_both(
    call: Quoted, usage: Usage, other: Price, same: bool
) -> None:
    call = _asking_for_no_tier(call)
    dated = replace(other, model=f"{MODEL}-2026-01-01", source="properties" if same else "table")
    costs = [cost(dated, usage, None)] + ([] if same else [cost(price_of(call), usage, None)])

    found = settle(call, Reading(metered=Exact((line(usage),)), model=dated.model), dated)

    if any(isinstance(each, Unpriced) for each in costs):
        assert found.certainty == "unpriced"
    else:
        dearest = max(each.nano_usd for each in costs if isinstance(each, Amounts))
        assert found.amounts.nano_usd == dearest


@enough
@given(quoted_calls(), st.integers(400, 599))
def test_error_statuses_release_but_those_that_leave_it_open(call: Quoted, status: int) -> None:
    found = Settler(FakePrices(), Learning()).refused(passage(ticket(call)), status, "no")

    if status in AMBIGUOUS_STATUSES:
        assert (found.operation, found.certainty) == (Operation.SETTLE, "unknown")
        assert covers(call, found.amounts)
    else:
        assert (found.operation, found.certainty) == (Operation.RELEASE, "unbilled")
        assert all(found.amounts.of(ask.budget.unit) == 0 for ask in call.asks)


@enough
@given(
    quoted_calls(),
    st.lists(usages(), min_size=1, max_size=3),
    st.sampled_from((Exact, AtLeast)),
    tiers,
)
def test_every_outcome_is_json_and_every_amount_can_be_counted(
    call: Quoted, used: list[Usage], kind: type[Exact | AtLeast], tier: str | None
) -> None:
    huge = [replace(usage, input_tokens=usage.input_tokens + 2**40) for usage in used]
    lines = tuple(line(usage) for usage in huge)

    found = metered(call, kind(lines), tier)

    outcome = json.loads(found.outcome)
    assert outcome["nano_usd"] == found.amounts.nano_usd
    assert outcome["certainty"] == found.certainty
    for unit in (USD, TOKENS, "DIEM"):
        assert 0 <= found.amounts.of(unit) < 2**53


def _asking_for_no_tier(call: Quoted) -> Quoted:
    came = call.routed.arrival
    demand = replace(came.parsed.demand, service_tier=None)
    came = replace(came, parsed=replace(came.parsed, demand=demand))
    return replace(call, routed=replace(call.routed, arrival=came))
