"""What usages cost, by tiers of size and of service."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from fractions import Fraction

import pytest

from policies.errors import AmountOutOfRange
from policies.money import Money
from policies.pricing import Ceiling, Price, Tier, Unpriced, tier_word
from policies.rates import Rates
from policies.units import Amounts
from policies.usage import Usage

MINI = Rates.of(input=150_000, output=600_000, cache_read=75_000)
SONNET = Rates.of(
    input=3_000_000,
    output=15_000_000,
    cache_read=300_000,
    cache_write_5m=3_750_000,
    cache_write_1h=6_000_000,
    web_search_nano=10_000_000,
)
SONNET_LONG = replace(SONNET.times(Fraction(2)), output=22_500_000, reasoning=22_500_000)


def test_an_example_from_the_configuration() -> None:
    usage = Usage(input_tokens=1_000, cache_read_tokens=500, output_tokens=200)

    assert _price().cost(usage) == Money(307_500)


def test_every_part_has_its_own_rate() -> None:
    rates = Rates(
        input=1_000,
        cache_read=2_000,
        cache_write_5m=3_000,
        cache_write_1h=4_000,
        audio_input=5_000,
        media_input=0,
        output=6_000,
        reasoning=7_000,
        audio_output=8_000,
        web_search_nano=9,
        call_nano=10,
    )
    usage = Usage(
        input_tokens=1,
        cache_read_tokens=10,
        cache_write_5m_tokens=100,
        cache_write_1h_tokens=1_000,
        audio_input_tokens=10_000,
        output_tokens=300_000,
        reasoning_tokens=100_000,
        audio_output_tokens=1_000_000,
        web_searches=10_000_000,
    )

    expected = 1 + 20 + 300 + 4_000 + 50_000 + 1_200_000 + 700_000 + 8_000_000 + 90_000_000 + 10
    assert _price(rates).cost(usage) == Money(expected)


def test_a_call_is_rounded_up_once() -> None:
    assert _price(Rates.of(input=1, output=1)).cost(Usage(input_tokens=1)) == Money(1)
    assert _price(Rates.of(input=1, output=1)).cost(
        Usage(input_tokens=999, output_tokens=1)
    ) == Money(1)


def test_reasoning_beyond_the_output_counts_as_output_only() -> None:
    rates = Rates.of(input=0, output=1_000, reasoning=3_000)

    assert _price(rates).cost(Usage(output_tokens=2, reasoning_tokens=9)) == Money(6)


def test_a_long_context_reprices_the_whole_call_by_all_of_its_input() -> None:
    price = replace(
        _price(SONNET),
        tiers=(Tier(from_input_tokens=200_000, rates=SONNET_LONG), Tier(rates=SONNET)),
    )
    below = Usage(input_tokens=199_999, output_tokens=1)
    cached = Usage(input_tokens=100_000, cache_read_tokens=100_000, output_tokens=1_000)

    assert price.cost(below) == Money(199_999 * 3_000 + 15_000)
    assert price.cost(cached) == Money(100_000 * 6_000 + 100_000 * 600 + 1_000 * 22_500)


def test_a_prompt_on_which_published_tables_disagree_by_half() -> None:
    """300K tokens of input, of which 100K cached: $1.26, and $0.63 for who forgets the tier."""
    price = replace(
        _price(SONNET),
        tiers=(Tier(rates=SONNET), Tier(from_input_tokens=200_001, rates=SONNET_LONG)),
    )

    cost = price.cost(Usage(input_tokens=200_000, cache_read_tokens=100_000))

    assert cost == Money(1_260_000_000)


def test_short_answers_may_have_their_own_price() -> None:
    """Doubao's list tells answers below 200 tokens from longer ones, for short prompts only."""
    short, long = Rates.of(input=110_000, output=280_000), Rates.of(input=110_000, output=1_100_000)
    other = Rates.of(input=170_000, output=2_200_000)
    price = replace(
        _price(),
        tiers=(
            Tier(rates=short),
            Tier(from_output_tokens=200, rates=long),
            Tier(from_input_tokens=32_000, rates=other),
        ),
    )

    assert price.cost(Usage(input_tokens=10, output_tokens=199)) == Money(56_820)
    assert price.cost(Usage(input_tokens=10, output_tokens=200)) == Money(221_100)
    assert price.cost(Usage(input_tokens=32_000, output_tokens=10)) == Money(5_462_000)


@pytest.mark.parametrize(
    "word", ["priority", "PRIORITY", "on_demand_priority", "ON-DEMAND-PRIORITY"]
)
def test_a_dearer_service_tier_has_its_own_rates(word: str) -> None:
    price = _with_priority()

    assert price.cost(Usage(input_tokens=1_000), word) == Money(300_000)
    assert price.cost(Usage(input_tokens=1_000)) == Money(150_000)


@pytest.mark.parametrize(
    "word", ["default", "auto", "standard", "flex", "batch", "ON_DEMAND", "ON_DEMAND_OFFPEAK", ""]
)
def test_a_discount_that_is_not_listed_is_not_given(word: str) -> None:
    price = _with_priority()

    assert price.cost(Usage(input_tokens=1_000), word) == Money(150_000)
    assert price.ceiling(input_tokens=1, output_tokens=1, service_tier=word) == Ceiling(
        150_000, 600_000, 35_000_000, 0
    )


@pytest.mark.parametrize("word", ["priority", "fast", "ultrafast", "us", "fast+us"])
def test_a_service_tier_that_is_not_listed_has_no_price(word: str) -> None:
    expected = Unpriced(f"what acme/mini costs in service tier '{word}' is not known")

    assert _price().cost(Usage(input_tokens=1), word) == expected
    assert _price().amounts(Usage(input_tokens=1), word) == expected
    assert _price().ceiling(input_tokens=1, output_tokens=1, service_tier=word) == expected


def test_a_listed_discount_is_given_to_the_cost_and_not_to_the_ceiling() -> None:
    """A provider may serve a flex request at the standard price; the answer says which it was."""
    price = replace(_price(), service_tiers={"flex": (Tier(rates=MINI.times(Fraction(1, 2))),)})

    ceiling = price.ceiling(input_tokens=1, output_tokens=1, service_tier="flex")

    assert price.cost(Usage(input_tokens=1_000), "flex") == Money(75_000)
    assert isinstance(ceiling, Ceiling)
    assert ceiling.input == 150_000


def test_the_ceiling_is_the_dearest_rate_that_can_be_reached() -> None:
    long = Tier(from_input_tokens=200_000, rates=SONNET_LONG)
    price = replace(_price(SONNET), tiers=(Tier(rates=SONNET), long))

    assert price.ceiling(input_tokens=199_999, output_tokens=9) == Ceiling(
        3_750_000, 15_000_000, 10_000_000, 0
    )
    assert price.ceiling(input_tokens=200_000, output_tokens=9, hour_cache=True) == Ceiling(
        12_000_000, 22_500_000, 10_000_000, 0
    )


def test_media_have_a_ceiling_of_their_own() -> None:
    rates = Rates.of(input=1, output=2, audio_input=7, media_input=9, audio_output=8)

    ceiling = _price(rates).ceiling(input_tokens=1, output_tokens=1, media=True)

    assert isinstance(ceiling, Ceiling)
    assert (ceiling.input, ceiling.output) == (9, 8)


@pytest.mark.parametrize("usage", [Usage(audio_input_tokens=1), Usage(audio_output_tokens=1)])
def test_audio_that_a_list_does_not_price_is_unpriced(usage: Usage) -> None:
    expected = Unpriced("the price list names no price for audio of acme/mini")

    assert _price().cost(usage) == expected
    assert _price().ceiling(input_tokens=1, output_tokens=1, audio=True) == expected
    assert isinstance(_price().ceiling(input_tokens=1, output_tokens=1, media=True), Ceiling)


def test_a_model_that_hears_and_does_not_speak_has_a_ceiling_for_audio() -> None:
    price = _price(replace(MINI, audio_input=1_000_000))

    assert price.ceiling(input_tokens=1, output_tokens=1, audio=True) == Ceiling(
        1_000_000, 600_000, 35_000_000, 0
    )
    assert price.cost(Usage(audio_input_tokens=5)) == Money(5_000)
    assert isinstance(price.cost(Usage(audio_input_tokens=5, audio_output_tokens=1)), Unpriced)


def test_audio_needs_a_price_in_every_tier_that_a_call_may_reach() -> None:
    heard = replace(MINI, audio_input=1, audio_output=1)
    price = replace(
        _price(), tiers=(Tier(rates=heard), Tier(from_input_tokens=100, rates=SONNET_LONG))
    )

    assert isinstance(price.ceiling(input_tokens=99, output_tokens=1, audio=True), Ceiling)
    assert isinstance(price.ceiling(input_tokens=100, output_tokens=1, audio=True), Unpriced)


def test_media_with_fees_that_tokens_do_not_show_are_unpriced() -> None:
    heard = replace(MINI, audio_input=1, audio_output=1)
    price = replace(_price(heard), unpriced_media=("video perSecond", "image perCount"))
    expected = Unpriced(
        "acme/mini has fees for media that tokens do not show: video perSecond, image perCount"
    )

    assert price.ceiling(input_tokens=1, output_tokens=1, media=True) == expected
    assert price.ceiling(input_tokens=1, output_tokens=1, audio=True) == expected
    assert price.cost(Usage(audio_input_tokens=1)) == expected
    assert isinstance(price.ceiling(input_tokens=1, output_tokens=1), Ceiling)
    assert price.cost(Usage(input_tokens=1_000)) == Money(150_000)


@pytest.mark.parametrize(
    ("kind", "fee"),
    [
        ("code_execution", 1),
        ("code_execution_20250825", 1),
        ("web_search_preview_2025_03_11", 2),
        ("web_search_preview", 2),
        ("web_search_20260301", 3),
        ("free", 0),
        ("code_execution_20250825_beta", None),
        ("bash_20250124", None),
    ],
)
def test_a_fee_holds_for_every_version_of_a_tool(kind: str, fee: int | None) -> None:
    fees = {"code_execution": 1, "web_search": 2, "web_search_20260301": 3, "free": 0}

    assert replace(_price(), tool_fees=fees).tool_fee(kind) == fee


def test_the_last_tier_of_any_table_is_known() -> None:
    assert _price().last_tier_from == 0
    long = (Tier(rates=SONNET), Tier(from_input_tokens=200_001, rates=SONNET_LONG))
    assert replace(_price(), service_tiers={"fast": long}).last_tier_from == 200_001


def test_output_that_a_list_does_not_price_is_unpriced() -> None:
    price = replace(_price(), output_priced=False)
    expected = Unpriced("the price list names no price for output of acme/mini")

    assert price.cost(Usage(input_tokens=1_000)) == Money(150_000)
    assert price.cost(Usage(output_tokens=1)) == expected
    assert price.cost(Usage(audio_output_tokens=1)) == expected
    assert price.ceiling(input_tokens=1, output_tokens=1) == expected
    assert isinstance(price.ceiling(input_tokens=1, output_tokens=0), Ceiling)


def test_a_usage_comes_to_amounts_in_every_unit() -> None:
    price = replace(_price(), credits_per_usd={"flows": 30_459_945_173})
    price = replace(price, tiers=(Tier(rates=replace(MINI, audio_output=600_000)),))
    usage = Usage(input_tokens=900, cache_read_tokens=100, output_tokens=7, audio_output_tokens=3)

    assert price.amounts(usage) == Amounts(
        nano_usd=148_500, input_tokens=1_000, output_tokens=10, credits={"flows": 4_523_302}
    )


def test_a_cost_that_cannot_be_counted_is_a_fault() -> None:
    with pytest.raises(AmountOutOfRange):
        _price().cost(Usage(input_tokens=10**14))


@pytest.mark.parametrize(
    ("tiers", "message"),
    [
        ((), "leave out"),
        ((Tier(from_input_tokens=1, rates=MINI),), "leave out"),
        (
            (Tier(rates=MINI), Tier(from_input_tokens=5, from_output_tokens=5, rates=MINI)),
            "leave out",
        ),
        ((Tier(rates=MINI), Tier(rates=SONNET)), "two tiers"),
    ],
)
def test_tiers_must_cover_every_size_once(tiers: tuple[Tier, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(_price(), tiers=tiers)
    with pytest.raises(ValueError, match=message):
        replace(_price(), service_tiers={"priority": tiers})


def test_a_service_tier_needs_a_name() -> None:
    with pytest.raises(ValueError, match="needs a name"):
        replace(_price(), service_tiers={" ": (Tier(rates=MINI),)})


def test_the_version_names_the_rates_and_limits_and_nothing_else() -> None:
    price = _price()

    assert price.version == replace(price, model="other", source="elsewhere").version
    assert price.version == replace(price, credits_per_usd={"flows": 30}).version
    others = [
        _price(SONNET),
        _with_priority(),
        replace(price, context_window=1),
        replace(price, max_output_tokens=1),
        replace(price, tokens_per_byte_max=2),
        replace(price, tool_fees={"file_search": 1}),
        replace(price, output_priced=False),
        replace(price, unpriced_media=("video perSecond",)),
        _price(replace(MINI, audio_input=1)),
    ]
    assert len({price.version, *(other.version for other in others)}) == len(others) + 1


def test_a_price_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        _price().tiers = ()  # type: ignore[misc] # That it must not be assigned to is what is tested.


def test_service_tiers_have_one_spelling() -> None:
    words = ("Priority", "ON_DEMAND_PRIORITY", " priority ", "on-demand-priority")

    assert {tier_word(word) for word in words} == {"priority"}
    assert tier_word("ON_DEMAND") == "on_demand"


def _price(rates: Rates = MINI) -> Price:
    return Price(model="acme/mini", tiers=(Tier(rates=rates),), source="test")


def _with_priority() -> Price:
    return replace(_price(), service_tiers={"Priority": (Tier(rates=MINI.times(Fraction(2))),)})
