"""Prices: rounding never undercharges, and no token costs more than its ceiling."""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal
from fractions import Fraction
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from policies.money import EXACT_MAX, Money
from policies.pricing import Price, Tier, Unpriced
from policies.rates import PRICE_DIGITS_MAX, Rates, pico_per_token
from policies.usage import Usage
from tests.properties.price_strategies import (
    AUDIO_OR_NOT,
    TOKENS,
    exact_nano,
    prices,
    rates,
    tables,
    usages,
)

USD_PER_MILLION = st.decimals(min_value=0, max_value=100_000, allow_nan=False).filter(
    lambda amount: len(amount.as_tuple().digits) <= PRICE_DIGITS_MAX
)


@given(USD_PER_MILLION)
def test_a_list_price_is_rounded_up_by_less_than_a_pico(usd_per_million: Decimal) -> None:
    exact = Fraction(usd_per_million) * 1_000_000

    assert exact <= pico_per_token(usd_per_million) < exact + 1


@given(st.decimals(min_value=0, max_value=1_000, places=6))
def test_a_price_of_whole_micro_dollars_is_exact(usd_per_million: Decimal) -> None:
    assert pico_per_token(usd_per_million) == Fraction(usd_per_million) * 1_000_000


@given(rates(), usages())
def test_a_cost_is_rounded_up_once_by_less_than_a_nano(given_rates: Rates, usage: Usage) -> None:
    price = Price(model="m", tiers=(Tier(rates=given_rates),), source="properties")

    cost = price.cost(usage)

    assert isinstance(cost, Money)
    exact = exact_nano(given_rates, usage)
    assert exact <= cost.nano_usd < exact + 1


@given(rates(), usages(), st.sampled_from([part.name for part in fields(Usage)]), TOKENS)
def test_more_of_anything_never_costs_less_at_the_same_rates(
    given_rates: Rates, usage: Usage, part: str, more: int
) -> None:
    # Reasoning is no more, it is another kind of the same output: it may be cheaper.
    part = "output_tokens" if part == "reasoning_tokens" else part
    price = Price(model="m", tiers=(Tier(rates=given_rates),), source="properties")
    larger = replace(usage, **{part: getattr(usage, part) + more % 1_000})

    assert _nano(price, usage) <= _nano(price, larger)


@given(prices(), usages())
def test_the_size_of_a_call_alone_chooses_the_tier(price: Price, usage: Usage) -> None:
    holding = [
        tier
        for tier in price.tiers
        if tier.from_input_tokens <= usage.total_input_tokens
        and tier.from_output_tokens <= usage.total_output_tokens
    ]
    expected = max(holding, key=lambda tier: (tier.from_input_tokens, tier.from_output_tokens))

    exact = exact_nano(expected.rates, usage)
    assert exact <= _nano(price, usage) < exact + 1


@given(prices(), usages(), st.none() | st.sampled_from(("flex", "priority", "auto")))
def test_no_usage_costs_more_than_its_ceiling(
    price: Price, usage: Usage, service_tier: str | None
) -> None:
    ceiling = price.ceiling(
        input_tokens=usage.total_input_tokens,
        output_tokens=usage.total_output_tokens,
        service_tier=service_tier,
        media=True,
        hour_cache=True,
    )
    cost = price.cost(usage, service_tier)

    if isinstance(ceiling, Unpriced) or isinstance(cost, Unpriced):
        assert ceiling == cost
        return
    most = (
        Fraction(usage.total_input_tokens * ceiling.input, 1_000)
        + Fraction(usage.total_output_tokens * ceiling.output, 1_000)
        + usage.web_searches * ceiling.web_search_nano
        + ceiling.call_nano
    )
    assert cost.nano_usd < most + 1


@given(
    prices(audio=AUDIO_OR_NOT), usages(), st.none() | st.sampled_from(("flex", "priority", "auto"))
)
def test_audio_costs_what_the_list_says_or_is_unpriced_and_never_costs_nothing(
    price: Price, usage: Usage, service_tier: str | None
) -> None:
    ceiling = price.ceiling(
        input_tokens=usage.total_input_tokens,
        output_tokens=usage.total_output_tokens,
        service_tier=service_tier,
        hour_cache=True,
        audio=True,
    )
    cost = price.cost(usage, service_tier)
    silent = replace(usage, audio_input_tokens=0, audio_output_tokens=0)

    if isinstance(ceiling, Unpriced):
        # No tier that may be reached is passed over because a cheaper one names a price.
        tables = (price.tiers, *price.service_tiers.values())
        named = [(tier.rates.audio_input, tier.rates.audio_output) for t in tables for tier in t]
        unknown = price.cost(Usage(), service_tier)
        assert (None, None) in named or isinstance(unknown, Unpriced)
    elif isinstance(cost, Unpriced):
        assert silent != usage
    else:
        most = (
            Fraction(usage.total_input_tokens * ceiling.input, 1_000)
            + Fraction(usage.total_output_tokens * ceiling.output, 1_000)
            + usage.web_searches * ceiling.web_search_nano
            + ceiling.call_nano
        )
        assert cost.nano_usd < most + 1


@given(prices(), TOKENS, TOKENS, TOKENS, TOKENS, st.booleans(), st.booleans(), st.booleans())
def test_a_ceiling_only_rises_with_what_a_call_may_do(
    price: Price,
    input_tokens: int,
    output_tokens: int,
    more_input: int,
    more_output: int,
    media: bool,
    hour_cache: bool,
    audio: bool,
) -> None:
    low = price.ceiling(input_tokens=input_tokens, output_tokens=output_tokens)
    high = price.ceiling(
        input_tokens=input_tokens + more_input,
        output_tokens=output_tokens + more_output,
        media=media,
        hour_cache=hour_cache,
        audio=audio,
    )

    assert not isinstance(low, Unpriced)
    assert not isinstance(high, Unpriced)
    assert all(before <= after for before, after in zip(low, high, strict=True))


@given(tables(), st.randoms(use_true_random=False))
def test_the_order_of_tiers_says_nothing(
    tiers: tuple[Tier, ...],
    random: Random,
) -> None:
    shuffled = list(tiers)
    random.shuffle(shuffled)

    one = Price(model="m", tiers=tiers, source="properties")
    other = Price(model="m", tiers=tuple(shuffled), source="properties")

    assert one.version == other.version


@given(st.text(min_size=1))
def test_a_service_tier_that_nobody_knows_is_never_the_standard_price(word: str) -> None:
    price = Price(model="m", tiers=(Tier(rates=Rates.of(input=1, output=1)),), source="properties")

    cost = price.cost(Usage(input_tokens=1), f"{word} ultra")

    assert isinstance(cost, Unpriced)


def _nano(price: Price, usage: Usage) -> int:
    cost = price.cost(usage)
    assert isinstance(cost, Money)
    assert cost.nano_usd <= EXACT_MAX
    return cost.nano_usd
