"""Venice's model list, as its documents have it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from policies.money import Money
from policies.pricing import Price
from policies.usage import Usage
from proxy.prices.figures import NotAPrice
from proxy.prices.venice import read


def test_dollars_per_million_tokens() -> None:
    price = _price({"input": _both("0.7"), "output": _both("2.8"), "cache_input": _both("0.07")})

    usage = Usage(input_tokens=1_000, cache_read_tokens=100, output_tokens=10, web_searches=1)
    assert price.cost(usage) == Money(700_000 + 7_000 + 28_000 + 10_000_000)
    assert (price.context_window, price.max_output_tokens) == (202_752, 64_000)
    assert price.source == "venice list"


def test_the_extended_price_holds_from_the_threshold_on() -> None:
    price = _price(
        {
            "input": _both("1.56"),
            "output": _both("12.5"),
            "cache_input": _both("0.16"),
            "cache_write": _both("1.9"),
            "extended": {
                "context_token_threshold": 272_000,
                "input": _both("3.13"),
                "output": _both("18.75"),
                "cache_input": _both("0.32"),
            },
        }
    )

    below, above = price.tiers
    assert above.from_input_tokens == 272_000
    assert (below.rates.input, above.rates.input) == (1_560_000, 3_130_000)
    assert (below.rates.output, above.rates.output) == (12_500_000, 18_750_000)
    assert (below.rates.cache_read, above.rates.cache_read) == (160_000, 320_000)
    assert below.rates.cache_write_5m == above.rates.cache_write_5m == 1_900_000


def test_an_item_that_only_the_extended_price_has() -> None:
    price = _price(
        {
            "input": _both(1),
            "extended": {"context_token_threshold": 10, "cache_write": _both(2)},
        }
    )

    assert {tier.rates.cache_write_5m for tier in price.tiers} == {2_000_000}


def test_every_currency_of_the_account_may_be_charged() -> None:
    price = _price({"input": _both(1), "output": _both(2)})

    assert price.credits(1_000) == {
        "DIEM": 1_000,
        "VCU": 1_000,
        "BUNDLED_CREDITS": 1_000,
        "EARNED_CREDITS": 1_000,
    }


def test_the_worst_rate_of_diem_counts() -> None:
    price = _price(
        {
            "input": {"usd": 1, "diem": 1},
            "output": {"usd": Decimal(2), "diem": 3},
            "cache_input": {"usd": 0, "diem": 0},
            "cache_write": {"usd": 1},
        }
    )

    assert price.credits(1_000)["DIEM"] == 1_500


def test_traits_are_names_of_the_model() -> None:
    assert read(_rows(_row(traits=["default", 5]))).aliases == {"default": "glm-5"}
    assert read(_rows(_row(traits="default"))).aliases == {}


def test_models_that_are_not_priced_by_tokens_are_passed_over() -> None:
    image = {"id": "flux", "model_spec": {"pricing": {"generation": {"usd": 1}}}}

    found = read(_rows(image, None, {"id": 5}, {"id": ""}))

    assert (found.prices, found.refused) == ({}, {})


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (None, "model_spec: None is not an object"),
        ({}, "pricing: None is not an object"),
        ({"pricing": {"input": {"diem": 1}}}, "input in US dollars"),
        ({"pricing": {"input": 1}}, "input: 1 is not an object"),
        ({"pricing": {"input": {"usd": -1}}}, "not a price"),
        ({"pricing": {"input": {"usd": 1, "diem": "NaN"}}}, "input in DIEM"),
        ({"pricing": {"input": {"usd": 1}, "extended": {"input": {"usd": 2}}}}, "threshold"),
        ({"pricing": {"input": {"usd": 1}, "extended": 5}}, "extended"),
    ],
)
def test_a_bad_price_is_refused_with_its_reason(spec: object, reason: str) -> None:
    found = read(_rows({"id": "bad", "model_spec": spec}, _row()))

    assert list(found.prices) == ["glm-5"]
    assert reason in found.refused["bad"]


@pytest.mark.parametrize("payload", ["<html>", None, [], {}, {"data": None}])
def test_what_is_no_list_is_refused_as_a_whole(payload: object) -> None:
    with pytest.raises(NotAPrice):
        read(payload)


def _both(value: object) -> dict[str, object]:
    written = Decimal(value) if isinstance(value, str) else value
    return {"usd": written, "diem": written}


def _row(pricing: dict[str, Any] | None = None, **spec: object) -> dict[str, Any]:
    return {
        "id": "glm-5",
        "model_spec": {
            "availableContextTokens": 202_752,
            "maxCompletionTokens": 64_000,
            "pricing": {"input": _both(1), "output": _both(2)} if pricing is None else pricing,
            **spec,
        },
    }


def _rows(*rows: object) -> dict[str, Any]:
    return {"data": list(rows)}


def _price(pricing: dict[str, Any]) -> Price:
    found = read(_rows(_row(pricing)))
    assert found.refused == {}
    return found.prices["glm-5"]
