"""The simulator's own price arithmetic."""

from decimal import Decimal

import pytest

from proxy.simulator.models import find_model
from proxy.simulator.prices import itemise, list_price_pico_usd, nano_usd, shares, usd
from proxy.simulator.usage import Usage


def _nano(model: str, usage: Usage, *, venice: bool = False) -> int:
    return nano_usd(list_price_pico_usd(find_model(model, venice=venice).prices, usage))


def test_a_price_is_exact_to_the_nano_dollar() -> None:
    assert _nano("acme/mini", Usage(input=1_000, output=100)) == 150_000 + 60_000


def test_a_fraction_is_rounded_up_once_per_call() -> None:
    assert _nano("acme/mini", Usage(input=0, cache_read=1)) == 75
    assert _nano("openai/text-embedding-3-small", Usage(input=1)) == 20
    assert nano_usd(1) == 1
    assert nano_usd(1_000) == 1
    assert nano_usd(1_001) == 2


def test_reasoning_is_billed_like_output() -> None:
    assert _nano("acme/mini", Usage(output=60, reasoning=40)) == _nano(
        "acme/mini", Usage(output=100)
    )


def test_cache_writes_are_billed_by_their_time_to_live() -> None:
    opus = "anthropic/claude-opus-5.5"

    assert _nano(opus, Usage(cache_read=1_000)) == 500_000
    assert _nano(opus, Usage(cache_write_5m=1_000)) == 6_250_000
    assert _nano(opus, Usage(cache_write_1h=1_000)) == 10_000_000


def test_a_cache_write_without_a_price_of_its_own_is_billed_as_input() -> None:
    assert _nano("acme/mini", Usage(cache_write_5m=10)) == _nano("acme/mini", Usage(input=10))


@pytest.mark.parametrize(
    ("model", "prompt", "expected"),
    [
        ("anthropic/claude-sonnet-4.6", 199_999, 199_999 * 3_000),
        ("anthropic/claude-sonnet-4.6", 200_000, 200_000 * 6_000),
        ("google/gemini-2.5-pro", 200_000, 200_000 * 1_250),
        ("google/gemini-2.5-pro", 200_001, 200_001 * 2_500),
    ],
)
def test_the_boundary_of_a_tier_belongs_where_the_list_puts_it(
    model: str, prompt: int, expected: int
) -> None:
    assert _nano(model, Usage(input=prompt)) == expected


def test_the_tier_of_the_completion_follows_from_prompt_and_completion() -> None:
    short = Usage(input=1_000, output=199)
    long = Usage(input=1_000, output=200)
    wide = Usage(input=32_000, output=10)
    model = "bytedance/doubao-seed-2"

    assert _nano(model, short) == 110_000 + 199 * 280
    assert _nano(model, long) == 110_000 + 200 * 1_100
    assert _nano(model, wide) == 32_000 * 170 + 10 * 2_200


def test_a_web_search_is_billed_by_the_count() -> None:
    assert _nano("openai/gpt-5.6", Usage(web_searches=3)) == 30_000_000


def test_shares_add_up_to_the_bill_whatever_it_is() -> None:
    items = itemise(find_model("acme/mini", venice=False).prices, Usage(input=7, output=3))

    assert sum(shares(items, 1_000_003)) == 1_000_003
    assert shares([], 5) == []


def test_dollars_are_exact_decimals() -> None:
    assert usd(1) == Decimal("1E-9")
    assert usd(1_500_000_000) == Decimal("1.5")
