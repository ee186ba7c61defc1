"""AGIPower's model lists, as its documents have them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from policies.money import Money
from policies.pricing import Price
from policies.usage import Usage
from proxy.prices.agipower import read
from proxy.prices.figures import NotAPrice

#: The sample of providers.md, 1.8.
SONNET: dict[str, Any] = {
    "prompt": [
        {
            "value": 3,
            "unit": "perMTokens",
            "currency": "USD",
            "conditions": {"prompt_tokens": {"unit": "kTokens", "gte": 0, "lt": 200}},
        },
        {
            "value": 6,
            "unit": "perMTokens",
            "currency": "USD",
            "conditions": {"prompt_tokens": {"unit": "kTokens", "gte": 200, "lt": None}},
        },
    ],
    "web_search": [{"value": Decimal("0.01"), "unit": "perCount", "currency": "USD"}],
}


def test_the_documents_sample() -> None:
    price = _price({**SONNET, "completion": [_usd(15)]}, context_length=1_000_000)

    assert price.context_window == 1_000_000
    assert price.cost(Usage(input_tokens=199_999)) == Money(199_999 * 3_000)
    assert price.cost(Usage(input_tokens=200_000)) == Money(200_000 * 6_000)
    assert price.cost(Usage(output_tokens=10, web_searches=2)) == Money(150_000 + 20_000_000)
    assert price.source == "agipower list"


def test_a_completion_may_depend_on_both_sizes() -> None:
    short = {"completion_tokens": {"unit": "kTokens", "lt": Decimal("0.2")}}
    long = {"completion_tokens": {"unit": "kTokens", "gte": Decimal("0.2")}}
    price = _price(
        {
            "prompt": [_usd(1)],
            "completion": [_usd(2, conditions=short), _usd(8, conditions=long)],
        }
    )

    assert price.cost(Usage(output_tokens=199)) == Money(398_000)
    assert price.cost(Usage(output_tokens=200)) == Money(1_600_000)


def test_the_boundary_belongs_to_the_side_that_the_condition_says() -> None:
    up_to = {"prompt_tokens": {"unit": "kTokens", "gt": 0, "lte": 200}}
    beyond = {"prompt_tokens": {"unit": "kTokens", "gt": 200}}
    price = _price({"prompt": [_usd(1, conditions=up_to), _usd(2, conditions=beyond)]})

    assert price.cost(Usage(input_tokens=200_000)) == Money(200_000_000)
    assert price.cost(Usage(input_tokens=200_001)) == Money(400_002_000)


def test_cache_reasoning_and_media_have_their_own_items() -> None:
    price = _price(
        {
            "prompt": [_usd(1)],
            "completion": [_usd(10)],
            "input_cache_read": [_usd("0.1")],
            "input_cache_write": [_usd(3)],
            "input_cache_write_5_min": [_usd("1.25")],
            "internal_reasoning": [_usd(4)],
            "audio": [_usd(7)],
            "audio_and_video": [_usd(9)],
            "image": [_usd(5)],
        }
    )

    rates = price.tiers[0].rates
    assert (rates.cache_read, rates.cache_write_5m, rates.cache_write_1h) == (
        100_000,
        1_250_000,
        3_000_000,
    )
    assert (rates.output, rates.reasoning) == (10_000_000, 14_000_000)
    assert (rates.audio_input, rates.audio_output, rates.media_input) == (
        9_000_000,
        9_000_000,
        9_000_000,
    )


def test_a_price_per_image_is_the_fee_of_the_tool_that_makes_them() -> None:
    image = {"value": Decimal("0.04"), "unit": "perCount", "currency": "USD"}
    video = {"value": 1, "unit": "perSecond", "currency": "USD"}

    price = _price({"prompt": [_usd(1)], "image": [image], "video": [video]})

    assert price.tool_fees == {"image_generation": 40_000_000}
    assert price.tiers[0].rates.media_input == 1_000_000
    # What an image in a request costs can then not be said by its tokens.
    assert price.unpriced_media == ("image perCount", "video perSecond")


def test_a_price_per_request_is_charged_for_each_call_by_its_size() -> None:
    long = {"prompt_tokens": {"unit": "kTokens", "gte": 200}}
    short = {"prompt_tokens": {"unit": "kTokens", "lt": 200}}
    fee = {"unit": "perCount", "currency": "USD"}
    price = _price(
        {
            "prompt": [_usd(1)],
            "request": [
                {**fee, "value": Decimal("0.005"), "conditions": short},
                {**fee, "value": Decimal("0.01"), "conditions": long},
            ],
        }
    )

    assert price.cost(Usage()) == Money(5_000_000)
    assert price.cost(Usage(input_tokens=200_000)) == Money(200_000_000 + 10_000_000)


@pytest.mark.parametrize(
    ("item", "unit"),
    [
        ("video", "perSecond"),
        ("audio", "perCount"),
        ("audio_and_video", "perSecond"),
        ("image", "perMegapixel"),
        ("image_output", "perMTokens"),
    ],
)
def test_a_fee_for_media_that_tokens_do_not_show_leaves_text_its_price(
    item: str, unit: str
) -> None:
    fee = {"value": 1, "unit": unit, "currency": "USD"}

    price = _price({"prompt": [_usd(1)], item: [fee, fee]}, output_modalities=["text"])

    assert price.unpriced_media == (f"{item} {unit}",)
    assert price.cost(Usage(input_tokens=1)) == Money(1_000)


@pytest.mark.parametrize("value", [0, "0", Decimal("0.00")], ids=repr)
@pytest.mark.parametrize("item", ["surcharge", "video", "completion"])
def test_a_fee_of_nothing_is_no_fee(item: str, value: object) -> None:
    free = {"value": value, "unit": "perSecond", "currency": "USD"}

    price = _price({"prompt": [_usd(1)], item: [free], "session": None})

    assert price.unpriced_media == ()


@pytest.mark.parametrize(
    ("item", "unit", "made"),
    [
        ("surcharge", "perCount", ["text"]),
        ("surcharge", "perMTokens", None),
        ("prompt", "perCount", None),
        ("completion", "perSecond", None),
        ("web_search", "perMTokens", None),
        ("request", "perSecond", None),
        ("input_cache_read", "perCount", None),
        ("internal_reasoning", "perCount", None),
        ("video", "perSecond", ["video"]),
        ("image", "perCount", ["text", "image"]),
    ],
)
def test_a_fee_that_nothing_counts_leaves_a_model_without_a_price(
    item: str, unit: str, made: object
) -> None:
    fee = {"value": Decimal("0.01"), "unit": unit, "currency": "USD"}
    pricings = {"prompt": [_usd(1)], "completion": [_usd(1)]}
    pricings[item] = [*pricings.get(item, []), fee]

    found = read({"data": [{"id": "acme/bad", "pricings": pricings, "output_modalities": made}]})

    assert found.prices == {}
    assert found.uncounted == {"acme/bad"}
    assert found.refused["acme/bad"] == f"{item}: what is charged for '{unit}' is not counted"


def test_a_mistake_in_a_list_is_no_fee_that_nothing_counts() -> None:
    fee = {"value": 1, "unit": "perKTokens", "currency": "USD"}

    found = read({"data": [{"id": "acme/bad", "pricings": {"prompt": [fee]}}]})

    assert found.refused == {"acme/bad": "prompt: the unit 'perKTokens' is not known"}
    assert found.uncounted == frozenset()


def test_audio_without_an_item_has_no_price() -> None:
    rates = _price({"prompt": [_usd(1)], "completion": [_usd(2)]}).tiers[0].rates

    assert (rates.audio_input, rates.audio_output, rates.media_input) == (None, None, 1_000_000)


def test_a_condition_on_something_else_counts_as_met() -> None:
    odd = {"resolution": {"unit": "pixels", "gte": 1_000}}

    price = _price({"prompt": [_usd(1), _usd(9, conditions=odd)]})

    assert price.tiers[0].rates.input == 9_000_000


def test_embeddings_name_no_price_for_output() -> None:
    assert not _price({"prompt": [_usd("0.02")]}).output_priced
    assert _price({"prompt": [_usd(1)], "completion": [_usd(0)]}).output_priced


def test_the_vertex_list_limits_the_output() -> None:
    row = {
        "name": "models/gemini-2.5-pro",
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "pricings": {"prompt": [_usd("1.25")]},
    }

    price = read({"models": [row]}).prices["gemini-2.5-pro"]

    assert (price.context_window, price.max_output_tokens) == (1_048_576, 65_536)


@pytest.mark.parametrize(
    ("pricings", "reason"),
    [
        (None, "pricings: None is not an object"),
        ({}, "no price for input tokens"),
        ({"completion": [{"value": 1, "unit": "perMTokens", "currency": "USD"}]}, "no price"),
        ({"prompt": [{"value": 1, "unit": "perMTokens"}]}, "currency"),
        ({"prompt": [{"value": 1, "unit": "perMTokens", "currency": "CNY"}]}, "currency"),
        ({"prompt": [{"value": 1, "unit": "perKTokens", "currency": "USD"}]}, "unit"),
        ({"prompt": [{"value": 1, "currency": "USD"}]}, "unit"),
        ({"prompt": [{"value": -1, "unit": "perMTokens", "currency": "USD"}]}, "not a price"),
        ({"prompt": [{"value": "NaN", "unit": "perMTokens", "currency": "USD"}]}, "not a number"),
        ({"prompt": [{"value": None, "unit": "perMTokens", "currency": "USD"}]}, "not a number"),
        ({"prompt": [{"value": 10**7, "unit": "perMTokens", "currency": "USD"}]}, "absurd"),
        ({"prompt": [7]}, "prompt: 7 is not an object"),
        ({"prompt": {"value": 1}}, "is not a list"),
    ],
)
def test_a_bad_price_is_refused_with_its_reason(pricings: object, reason: str) -> None:
    rows = [
        {"id": "acme/bad", "pricings": pricings},
        {"id": "acme/good", "pricings": {"prompt": [_usd(1)]}},
    ]

    found = read({"data": rows})

    assert list(found.prices) == ["acme/good"]
    assert reason in found.refused["acme/bad"]


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ({"gte": 0}, "condition in None"),
        ({"unit": "MTokens", "gte": 0}, "condition in 'MTokens'"),
        ({"unit": "kTokens", "gte": 200, "lt": 100}, "no call can meet"),
        ({"unit": "kTokens", "gte": "many"}, "not a number"),
        (5, "is not an object"),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(condition: object, reason: str) -> None:
    priced = _usd(1, conditions={"prompt_tokens": condition})

    found = read({"data": [{"id": "acme/bad", "pricings": {"prompt": [priced]}}]})

    assert reason in found.refused["acme/bad"]


def test_rows_that_name_no_model_are_passed_over() -> None:
    found = read({"data": [None, "text", {}, {"id": ""}, {"id": 5}]})

    assert (found.prices, found.refused) == ({}, {})


@pytest.mark.parametrize("payload", ["<html>", None, [], {}, {"data": None}, {"data": "x"}])
def test_what_is_no_list_is_refused_as_a_whole(payload: object) -> None:
    with pytest.raises(NotAPrice):
        read(payload)


def _usd(value: object, conditions: object = None) -> dict[str, Any]:
    written = Decimal(value) if isinstance(value, str) else value
    row = {"value": written, "unit": "perMTokens", "currency": "USD"}
    return row if conditions is None else {**row, "conditions": conditions}


def _price(pricings: dict[str, Any], **row: object) -> Price:
    found = read({"data": [{"id": "acme/mini", "pricings": pricings, **row}]})
    assert found.refused == {}
    return found.prices["acme/mini"]
