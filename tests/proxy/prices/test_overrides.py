"""Prices that the configuration states."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from policies.money import Money
from policies.pricing import Price
from policies.rates import Rates
from policies.usage import Usage
from proxy.prices.figures import NotAPrice
from proxy.prices.overrides import Overrides


def test_the_example_of_the_documentation() -> None:
    price = _price({"input": 0.15, "output": 0.60, "cache_read": 0.075})

    usage = Usage(input_tokens=1_000, cache_read_tokens=1_000, output_tokens=1_000)
    assert price.cost(usage) == Money(150_000 + 75_000 + 600_000)
    assert price.source == "configuration"


def test_every_field() -> None:
    price = _price(
        {
            "input": 1,
            "output": 2,
            "cache_read": 3,
            "cache_write_5m": 4,
            "cache_write_1h": 5,
            "reasoning": 6,
            "audio_input": 7,
            "audio_output": 8,
            "media_input": 9,
            "web_search": Decimal("0.01"),
            "call": "0.005",
            "context_window": 1_000,
            "max_output_tokens": 100,
            "tokens_per_byte_max": 5,
            "tools": {"image_generation": 0.25},
            "service_tiers": {"priority": 2.0, "eu": 1.1},
        }
    )

    million = 1_000_000
    assert price.tiers[0].rates == Rates(
        input=million,
        output=2 * million,
        cache_read=3 * million,
        cache_write_5m=4 * million,
        cache_write_1h=5 * million,
        reasoning=6 * million,
        audio_input=7 * million,
        audio_output=8 * million,
        media_input=9 * million,
        web_search_nano=10_000_000,
        call_nano=5_000_000,
    )
    assert (price.context_window, price.max_output_tokens) == (1_000, 100)
    assert price.tokens_per_byte_max == 5
    assert price.tool_fees == {"image_generation": 250_000_000}
    assert price.service_tiers["priority"][0].rates.output == 4 * million
    assert price.service_tiers["eu"][0].rates.input == 1_100_000


def test_a_tier_follows_its_own_input_and_keeps_the_fees() -> None:
    price = _price(
        {
            "input": 3,
            "output": 15,
            "cache_read": 0.3,
            "web_search": 0.01,
            "tiers": [{"from_input_tokens": 200_001, "input": 6, "output": 22.5}],
        }
    )

    long = price.tiers[1]
    assert long.from_input_tokens == 200_001
    assert (long.rates.input, long.rates.cache_read) == (6_000_000, 6_000_000)
    assert long.rates.web_search_nano == 10_000_000


def test_a_model_without_a_price_for_output_has_none_to_give() -> None:
    assert not _price({"input": 0.02}).output_priced
    assert _price({"input": 0.02, "output": 0}).output_priced


def test_a_name_goes_before_globs_and_the_first_glob_before_others() -> None:
    overrides = Overrides(
        {
            "acme/*": {"input": 1, "output": 1},
            "*": {"input": 2, "output": 2},
            "acme/mini": {"input": 3, "output": 3},
        }
    )

    def dollars(*spellings: str) -> tuple[str, int]:
        price = overrides.find(spellings)
        assert price is not None
        return price.model, price.tiers[0].rates.input // 1_000_000

    assert dollars("acme/mini") == ("acme/mini", 3)
    assert dollars("acme/mini:upstream", "acme/mini") == ("acme/mini", 3)
    assert dollars("acme/maxi") == ("acme/maxi", 1)
    assert dollars("other") == ("other", 2)


def test_a_glob_is_no_name() -> None:
    overrides = Overrides({"*": {"input": 1}, "acme/mini": {"input": 1}})

    assert overrides.named(("acme/mini:upstream", "acme/mini")) == "acme/mini"
    assert overrides.named(("acme/*", "*", "acme/maxi")) is None


def test_a_model_that_nothing_matches_has_no_override() -> None:
    assert Overrides({"acme/*": {"input": 1, "output": 1}}).find(("other",)) is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"output": 1}, "'input' is missing"),
        ({"input": 1, "ouptut": 1}, "unknown field 'ouptut'"),
        ({"input": "free"}, "input: 'free' is not a number"),
        ({"input": -1}, "input: -1 is not a price"),
        ({"input": 1, "web_search": 10**6}, "web_search: .* absurd"),
        ({"input": 1, "context_window": 0}, "context_window: 0 is not a number of tokens"),
        ({"input": 1, "tokens_per_byte_max": 17}, "tokens_per_byte_max is above 16"),
        ({"input": 1, "service_tiers": {"priority": -1}}, "multiplies by 0 to 100"),
        ({"input": 1, "service_tiers": {"priority": 101}}, "multiplies by 0 to 100"),
        ({"input": 1, "service_tiers": {" ": 1}}, "a service tier needs a name"),
        ({"input": 1, "service_tiers": 2}, "service_tiers: 2 is not an object"),
        ({"input": 1, "tiers": {"input": 2}}, "tiers: .* is not a list"),
        ({"input": 1, "tiers": [{"input": 2}]}, "a tier names"),
        ({"input": 1, "tiers": [{"input": 2, "output": 1, "x": 1}]}, "unknown field 'x' in a tier"),
        ({"input": 1, "tiers": [{"input": 2, "output": 1}]}, "from_input_tokens: None"),
        (
            {"input": 1, "tiers": [{"from_input_tokens": 9, "input": 2, "output": 1}] * 2},
            "two tiers begin at the same size",
        ),
    ],
)
def test_a_mistake_is_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(NotAPrice, match=message):
        Overrides({"acme/mini": fields})


def test_a_price_that_is_no_object_is_named() -> None:
    with pytest.raises(NotAPrice, match="price of 'acme/mini': 5 is not an object"):
        Overrides({"acme/mini": 5})  # type: ignore[dict-item] # YAML holds anything.


def _price(fields: dict[str, Any]) -> Price:
    price = Overrides({"acme/mini": fields}).find(("acme/mini",))
    assert price is not None
    return price
