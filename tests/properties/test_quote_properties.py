"""Quotes: nothing that a request permits costs more than its bound; a clamp is exact."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from policies.demand import Demand, ToolDemand
from policies.learning import Learned
from policies.money import EXACT_MAX, Money
from policies.pricing import Price, Unpriced
from policies.quotes import (
    HiddenInputRefused,
    Quote,
    affordable_output_limit,
    clamped,
    quote,
)
from policies.units import CALLS, INPUT_TOKENS, OUTPUT_TOKENS, TOKENS, USD
from policies.usage import Usage
from tests.properties.price_strategies import (
    AUDIO_OR_NOT,
    demands,
    extreme_usages,
    permitted_usages,
    prices,
)

UNITS = (USD, TOKENS, INPUT_TOKENS, OUTPUT_TOKENS, CALLS, "DIEM")
DEFAULTS = st.none() | st.integers(1, 100_000)


@given(st.data(), prices(), demands(), DEFAULTS, st.integers(0, 10))
def test_no_permitted_usage_costs_more_than_the_bound(
    data: DataObject, price: Price, demand: Demand, default: int | None, rounds_max: int
) -> None:
    made = _quoted(demand, price, default, rounds_max)
    assume(made.bound.nano_usd < EXACT_MAX)
    usage = data.draw(permitted_usages(demand, made))
    granted = data.draw(st.sampled_from((demand.service_tier, None)))

    came_to = made.price.amounts(usage, granted)

    assert not isinstance(came_to, Unpriced)
    assert [unit for unit in UNITS if came_to.of(unit) > made.bound.of(unit)] == []


@given(st.data(), prices(), demands(), st.integers(1, 100_000), st.integers(0, 40))
def test_no_batch_of_embeddings_costs_more_than_its_bound(
    data: DataObject, price: Price, demand: Demand, window: int, inputs: int
) -> None:
    """Each input has a window of its own, and at most as many tokens as bytes."""
    batch = [data.draw(st.just(window) | st.integers(0, window)) for _ in range(inputs)]
    price = replace(price, context_window=window, tokens_per_byte_max=1)
    demand = replace(
        demand, output_limit=0, output_beside_limit=0, hidden_input=(), body_bytes=sum(batch)
    )
    made = _quoted(demand, price, None, 0)

    came_to = made.price.amounts(Usage(input_tokens=sum(batch)), demand.service_tier)

    assert not isinstance(came_to, Unpriced)
    assert [unit for unit in UNITS if came_to.of(unit) > made.bound.of(unit)] == []


@given(st.data(), prices(), demands())
def test_a_bound_reaches_every_tier_that_the_list_has(
    data: DataObject, price: Price, demand: Demand
) -> None:
    """Whatever window is stated: who may be sent so much is billed for so much."""
    tables = (price.tiers, *price.service_tiers.values())
    start = data.draw(st.sampled_from([tier.from_input_tokens for t in tables for tier in t]))
    price = replace(price, context_window=data.draw(st.integers(1, start + 1)))
    demand = data.draw(
        st.sampled_from(
            (
                replace(demand, hidden_input=(), body_bytes=start),
                replace(demand, hidden_input=("file_id",)),
            )
        )
    )
    made = _quoted(demand, price, 1_000, 2)

    assert made.bound.input_tokens >= start


@given(st.data(), prices(audio=AUDIO_OR_NOT), demands())
def test_a_quote_for_audio_needs_its_price(data: DataObject, price: Price, demand: Demand) -> None:
    made = _quoted(replace(demand, audio=True), price, 1_000, 2)
    assume(made.bound.nano_usd < EXACT_MAX)
    usage = data.draw(permitted_usages(replace(demand, audio=True), made))

    came_to = made.price.amounts(usage, demand.service_tier)

    # One side may be named alone, for a model that hears and does not speak.
    if isinstance(came_to, Unpriced):
        assert usage.audio_input_tokens or usage.audio_output_tokens
    else:
        assert [unit for unit in UNITS if came_to.of(unit) > made.bound.of(unit)] == []


@given(prices(), demands(), DEFAULTS, st.integers(0, 3))
def test_no_extreme_of_what_is_permitted_costs_more_than_the_bound(
    price: Price, demand: Demand, default: int | None, rounds_max: int
) -> None:
    made = _quoted(demand, price, default, rounds_max)
    assume(made.bound.nano_usd < EXACT_MAX)

    dearer = [
        (usage, granted)
        for usage in extreme_usages(demand, made)
        for granted in (demand.service_tier, None)
        if _nano(made.price, usage, granted) > made.bound.nano_usd
    ]

    assert dearer == []


@given(st.data(), prices(), demands(), DEFAULTS)
def test_a_quote_never_falls_when_a_request_asks_for_more(
    data: DataObject, price: Price, demand: Demand, default: int | None
) -> None:
    made = _quoted(demand, price, default, 3)
    more = data.draw(st.integers(0, 100_000))
    larger = data.draw(
        st.sampled_from(
            (
                replace(demand, body_bytes=demand.body_bytes + more),
                # Without any output it may be a batch, whose inputs have a window each.
                replace(demand, output_limit=demand.output_limit + more)
                if demand.output_limit
                else demand,
                replace(demand, output_beside_limit=demand.output_beside_limit + more),
                replace(demand, choices=demand.choices + more % 10),
                # What is hidden fills a window; text that no window caps may come to more.
                replace(demand, hidden_input=("file_id",))
                if demand.output_limit != 0 and price.last_tier_from < (price.context_window or 0)
                else demand,
                replace(demand, declares_tools=True),
                replace(demand, cache_write="1h"),
                replace(demand, audio=True),
                replace(
                    demand,
                    server_tools=(*demand.server_tools, ToolDemand(kind="mcp", calls_max=more % 9)),
                ),
            )
        )
    )

    again = _quoted(larger, price, default, 3)

    assert [unit for unit in UNITS if again.bound.of(unit) < made.bound.of(unit)] == []


@given(st.data(), prices(), demands(), st.integers(1, 2_000))
def test_the_affordable_limit_fits_and_one_more_does_not(
    data: DataObject, price: Price, demand: Demand, floor: int
) -> None:
    made = _quoted(demand, price, 50_000, 2)
    lowest = min(1, made.output_limit)
    least = _quoted(replace(demand, output_limit=lowest), price, None, 2).bound
    remaining = [
        (unit, data.draw(st.integers(max(least.of(unit) - 1, 0), made.bound.of(unit) + 1)))
        for unit in data.draw(st.sets(st.sampled_from(UNITS), max_size=2))
    ]

    limit = affordable_output_limit(demand, price, made, remaining, floor=floor)

    def fits(output_limit: int) -> bool:
        bound = _quoted(replace(demand, output_limit=output_limit), price, None, 2).bound
        return all(bound.of(unit) <= left for unit, left in remaining)

    if limit is None:
        assert not fits(min(floor, made.output_limit))
        return
    assert limit == made.output_limit or limit >= floor
    assert fits(limit)
    assert limit == made.output_limit or not fits(limit + 1)


@given(st.data(), prices(), demands())
def test_a_clamped_quote_is_the_quote_for_the_lower_limit(
    data: DataObject, price: Price, demand: Demand
) -> None:
    made = _quoted(demand, price, 50_000, 2)
    # None is clamped to nothing: that would be another request.
    limit = data.draw(st.integers(min(1, made.output_limit), made.output_limit))

    lower = clamped(demand, made, limit)

    assert lower.bound == _quoted(replace(demand, output_limit=limit), price, None, 2).bound
    assert lower.amounts == lower.bound
    assert lower.set_output_limit == lower.output_limit == limit


@given(
    st.data(),
    prices(),
    demands(),
    st.lists(st.tuples(st.integers(0, 100_000), st.integers(0, 5_000)), max_size=60),
)
def test_what_is_likely_never_exceeds_the_bound(
    data: DataObject, price: Price, demand: Demand, calls: list[tuple[int, int]]
) -> None:
    learned = Learned()
    for input_tokens, output_tokens in calls:
        learned.observe(body_bytes=1_000, input_tokens=input_tokens, output_tokens=output_tokens)
    made = _quoted(demand, price, 50_000, 2, learned)
    lower = clamped(demand, made, data.draw(st.integers(0, made.output_limit)))

    for held in (made, lower):
        assert held.kind == "likely"
        assert [unit for unit in UNITS if held.amounts.of(unit) > held.bound.of(unit)] == []


@given(prices(), demands(), DEFAULTS)
def test_a_limit_is_written_only_where_the_request_has_none(
    price: Price, demand: Demand, default: int | None
) -> None:
    made = _quoted(demand, price, default, 2)

    if demand.output_limit is not None or default is None:
        assert made.set_output_limit is None
    else:
        assert made.set_output_limit == made.output_limit <= default
    if price.max_output_tokens is not None:
        assert made.output_limit <= price.max_output_tokens


@given(prices(), demands())
def test_a_quote_says_how_much_or_why_not(price: Price, demand: Demand) -> None:
    made = quote(
        demand,
        price,
        default_max_output_tokens=None,
        hidden_input="refuse",
        tool_rounds_max=5,
    )

    match made:
        case HiddenInputRefused(fields):
            assert fields == demand.hidden_input
        case Unpriced(reason):
            assert reason
        case Quote():
            assert made.basis
            assert made.bound.calls == 1
            assert isinstance(Money(made.bound.nano_usd), Money)


def _nano(price: Price, usage: Usage, service_tier: str | None) -> int:
    cost = price.cost(usage, service_tier)
    assert isinstance(cost, Money)
    return cost.nano_usd


def _quoted(
    demand: Demand,
    price: Price,
    default: int | None,
    rounds_max: int,
    learned: Learned | None = None,
) -> Quote:
    """Return the quote; cases without one are another test's."""
    made = quote(
        demand,
        price,
        default_max_output_tokens=default,
        hidden_input="context_window",
        tool_rounds_max=rounds_max,
        learned=learned,
    )
    assume(isinstance(made, Quote))
    assert isinstance(made, Quote)
    return made
