"""What is held for a call, by what its request says and does not say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from policies.demand import Demand, ToolDemand
from policies.learning import CALLS_MIN, Learned
from policies.money import EXACT_MAX
from policies.pricing import Price, Tier, Unpriced
from policies.quotes import (
    HIDDEN_TOOL_PROMPT_TOKENS,
    OPENED_WINDOW_TOKENS,
    HiddenInput,
    HiddenInputRefused,
    Quote,
    affordable_output_limit,
    clamped,
    quote,
)
from policies.rates import Rates
from policies.units import INPUT_TOKENS, OUTPUT_TOKENS, USD, Amounts

PRICE = Price(
    model="acme/mini",
    tiers=(Tier(rates=Rates.of(input=150_000, output=600_000, web_search_nano=10_000_000)),),
    context_window=128_000,
    max_output_tokens=16_384,
    source="test",
)
BOUNDLESS = replace(PRICE, context_window=None, max_output_tokens=None)
DEMAND = Demand(model="acme/mini", body_bytes=1_000, output_limit=500)


def test_a_plain_request_is_bound_by_its_bytes_and_its_limit() -> None:
    made = _quote(DEMAND)

    assert made.bound == Amounts(nano_usd=450_000, input_tokens=1_000, output_tokens=500)
    assert made.amounts == made.bound
    assert (made.kind, made.output_limit, made.set_output_limit) == ("bound", 500, None)
    assert made.basis == ("input by bytes", "output by request")
    assert made.price is PRICE


def test_a_limit_above_the_model_is_the_models() -> None:
    made = _quote(replace(DEMAND, output_limit=999_999_999))

    assert (made.output_limit, made.set_output_limit) == (16_384, None)
    assert made.basis[1] == "output by model"


def test_every_choice_may_use_the_limit_and_what_is_beside_it() -> None:
    made = _quote(replace(DEMAND, choices=3, output_beside_limit=100))

    assert made.bound.output_tokens == 3 * (500 + 100)


@pytest.mark.parametrize(
    ("price", "default", "limit", "written", "basis"),
    [
        (PRICE, 4_096, 4_096, 4_096, "output by default"),
        (PRICE, 50_000, 16_384, 16_384, "output by default"),
        (BOUNDLESS, 4_096, 4_096, 4_096, "output by default"),
        (PRICE, None, 16_384, None, "output by model"),
        (replace(PRICE, max_output_tokens=None), None, 128_000, None, "output by context window"),
    ],
)
def test_a_request_without_a_limit(
    price: Price, default: int | None, limit: int, written: int | None, basis: str
) -> None:
    made = _quote(replace(DEMAND, output_limit=None), price, default_max_output_tokens=default)

    assert (made.output_limit, made.set_output_limit, made.basis[1]) == (limit, written, basis)


def test_a_limit_of_the_request_counts_where_the_model_has_none() -> None:
    assert _quote(DEMAND, BOUNDLESS).output_limit == 500


def test_output_that_nothing_limits_is_unpriced() -> None:
    unlimited = _outcome(replace(DEMAND, output_limit=None), BOUNDLESS)

    assert unlimited == Unpriced("neither the request nor the price of acme/mini limits the output")


def test_embeddings_have_no_output() -> None:
    made = _quote(
        replace(DEMAND, output_limit=0),
        replace(PRICE, output_priced=False),
        default_max_output_tokens=4_096,
    )

    assert (made.output_limit, made.set_output_limit) == (0, None)
    assert made.bound == Amounts(nano_usd=150_000, input_tokens=1_000, output_tokens=0)


def test_no_more_input_is_billed_than_the_window_holds() -> None:
    made = _quote(replace(DEMAND, body_bytes=1_000_000))

    assert made.bound.input_tokens == 128_000
    assert made.basis[0] == "input by context window"


def test_a_batch_of_embeddings_is_bound_by_its_bytes_as_the_window_is_each_inputs() -> None:
    """300 inputs of 1,000 token ids each, for a model that takes 8,191 tokens per input."""
    price = replace(PRICE, context_window=8_191, output_priced=False)
    body = b"[" + b",".join([b"[" + b",".join([b"7"] * 1_000) + b"]"] * 300) + b"]"
    embedding = Demand(model="acme/mini", body_bytes=len(body), output_limit=0)

    made = _quote(embedding, price)

    assert made.bound.input_tokens == len(body) >= 2 * 300_000
    assert made.basis[0] == "input by bytes"


def test_pictures_in_a_batch_of_embeddings_are_unpriced() -> None:
    drawn = replace(DEMAND, output_limit=0, hidden_input=("image_url",))

    assert _outcome(drawn, replace(PRICE, output_priced=False)) == Unpriced(
        "image_url: input of unknown size, in a batch of unknown length"
    )
    # A model with output was sent one conversation, to fill its cache.
    assert _quote(drawn).bound.input_tokens == 128_000


@pytest.mark.parametrize("start", [128_000, 128_001, 2_000_000])
def test_a_window_that_a_dearer_tier_lies_beyond_is_no_limit(start: int) -> None:
    long = Tier(from_input_tokens=start, rates=Rates.of(input=300_000, output=600_000))
    price = replace(PRICE, tiers=(*PRICE.tiers, long))
    window = max(start, OPENED_WINDOW_TOKENS)

    sent = _quote(replace(DEMAND, body_bytes=3_000_000), price)
    hidden = _quote(replace(DEMAND, hidden_input=("file_id",)), price)
    searching = _quote(
        replace(DEMAND, server_tools=(ToolDemand(kind="web_search", calls_max=2),)), price
    )

    assert sent.bound.input_tokens == 3_000_000
    assert hidden.bound.input_tokens == window
    assert searching.bound.input_tokens == 1_000 + 2 * window
    assert sent.bound.nano_usd == 3_000_000 * 300 + 500 * 600
    assert hidden.bound.nano_usd == window * 300 + 500 * 600


def test_a_window_that_every_tier_lies_within_is_a_limit() -> None:
    long = Tier(from_input_tokens=127_999, rates=Rates.of(input=300_000, output=600_000))
    price = replace(PRICE, tiers=(*PRICE.tiers, long))

    assert _quote(replace(DEMAND, body_bytes=3_000_000), price).bound.input_tokens == 128_000


def test_audio_without_a_price_is_unpriced_and_pictures_count_as_text() -> None:
    assert _outcome(replace(DEMAND, audio=True)) == Unpriced(
        "the price list names no price for audio of acme/mini"
    )
    drawn = _quote(replace(DEMAND, hidden_input=("image_url",)))
    assert drawn.bound.nano_usd == 128_000 * 150 + 500 * 600


@pytest.mark.parametrize("media", [{"audio": True}, {"hidden_input": ("video_url",)}], ids=str)
def test_media_with_a_fee_that_tokens_do_not_show_are_unpriced(media: dict[str, Any]) -> None:
    price = replace(PRICE, unpriced_media=("video perSecond",))

    assert isinstance(_outcome(replace(DEMAND, **media), price), Unpriced)
    assert _quote(DEMAND, price).bound == _quote(DEMAND).bound


def test_a_versioned_tool_has_the_fee_of_its_kind() -> None:
    running = replace(DEMAND, server_tools=(ToolDemand(kind="code_execution_20250825"),))
    price = replace(PRICE, tool_fees={"code_execution": 50_000_000})

    made = _quote(running, price)

    assert made.bound.nano_usd == 4 * 50_000_000 + (1_000 + 4 * 128_000) * 150 + 500 * 600


def test_a_tokenizer_may_make_several_tokens_of_a_byte() -> None:
    assert _quote(DEMAND, replace(PRICE, tokens_per_byte_max=5)).bound.input_tokens == 5_000


def test_declared_tools_bring_a_prompt_of_the_providers() -> None:
    made = _quote(replace(DEMAND, declares_tools=True))

    assert made.bound.input_tokens == 1_000 + HIDDEN_TOOL_PROMPT_TOKENS


def test_hidden_input_may_fill_the_window() -> None:
    made = _quote(replace(DEMAND, hidden_input=("previous_response_id",)))

    assert made.bound.input_tokens == 128_000


def test_hidden_input_can_be_refused() -> None:
    hiding = replace(DEMAND, hidden_input=("file_id", "conversation"))

    assert _outcome(hiding, hidden_input="refuse") == HiddenInputRefused(
        ("file_id", "conversation")
    )


def test_hidden_input_without_a_window_is_unpriced() -> None:
    assert _outcome(replace(DEMAND, hidden_input=("file_id",)), BOUNDLESS) == Unpriced(
        "file_id: input of unknown size, and no context window is known"
    )


def test_each_round_of_a_tool_bills_the_input_again_and_its_fee() -> None:
    searching = replace(DEMAND, server_tools=(ToolDemand(kind="web_search", calls_max=2),))

    made = _quote(searching)

    assert made.tool_calls == 2
    assert made.bound.input_tokens == 1_000 + 2 * 128_000
    assert made.bound.nano_usd == 257_000 * 150 + 500 * 600 + 2 * 10_000_000
    assert made.basis[0] == "input by bytes, and 2 rounds of tools"


def test_tools_without_a_limit_share_the_rounds_that_policy_allows() -> None:
    tools = (
        ToolDemand(kind="web_search"),
        ToolDemand(kind="code_interpreter"),
        ToolDemand(kind="web_fetch", calls_max=1),
    )

    assert _quote(replace(DEMAND, server_tools=tools)).tool_calls == 4 + 1


def test_a_tool_that_may_not_run_costs_nothing() -> None:
    searching = replace(DEMAND, server_tools=(ToolDemand(kind="web_search", calls_max=0),))

    assert _quote(searching, BOUNDLESS).bound == _quote(DEMAND, BOUNDLESS).bound


def test_tools_without_a_window_are_unpriced() -> None:
    searching = replace(DEMAND, server_tools=(ToolDemand(kind="web_search"),))

    assert _outcome(searching, BOUNDLESS) == Unpriced(
        "a tool's results are input, and no context window is known"
    )


@pytest.mark.parametrize("kind", ["image_generation", "advisor_20260301"])
def test_a_tool_that_runs_another_model_needs_a_fee(kind: str) -> None:
    drawing = replace(DEMAND, server_tools=(ToolDemand(kind=kind, calls_max=1),))
    priced = replace(PRICE, tool_fees={kind: 250_000_000})

    assert _outcome(drawing) == Unpriced(f"what a call of the tool '{kind}' costs is not known")
    assert _quote(drawing, priced).bound.nano_usd == 129_000 * 150 + 500 * 600 + 250_000_000


def test_a_service_tier_without_a_price_is_unpriced() -> None:
    assert isinstance(_outcome(replace(DEMAND, service_tier="priority")), Unpriced)


def test_an_hour_in_the_cache_and_audio_are_held_at_their_rates() -> None:
    rates = Rates.of(
        input=100, output=100, cache_write_1h=200, audio_input=1_000, audio_output=2_000
    )
    price = replace(PRICE, tiers=(Tier(rates=rates),))

    assert _quote(DEMAND, price).bound.nano_usd == 150
    assert _quote(replace(DEMAND, cache_write="1h"), price).bound.nano_usd == 250
    assert _quote(replace(DEMAND, audio=True), price).bound.nano_usd == 2_000


def test_thinking_and_hidden_media_are_held_at_their_rates_rounded_up() -> None:
    rates = Rates.of(input=1, output=1_001, reasoning=2_001, media_input=10, audio_input=5)
    price = replace(PRICE, tiers=(Tier(rates=rates),), context_window=1_000)

    assert _quote(DEMAND, price).bound.nano_usd == 1_002
    assert _quote(replace(DEMAND, hidden_input=("image_url",)), price).bound.nano_usd == 1_011


def test_a_fee_per_call_is_held_once() -> None:
    price = replace(PRICE, tiers=(Tier(rates=Rates.of(input=0, output=0, call_nano=12)),))

    assert _quote(DEMAND, price).bound.nano_usd == 12


def test_credits_are_held_beside_dollars() -> None:
    made = _quote(DEMAND, replace(PRICE, credits_per_usd={"DIEM": 2_000_000_000}))

    assert made.bound.credits == {"DIEM": 900_000}


def test_what_cannot_be_counted_is_held_at_the_most_that_can() -> None:
    absurd = replace(DEMAND, choices=10**15)

    bound = _quote(absurd, replace(PRICE, credits_per_usd={"DIEM": 10**10})).bound

    assert bound.nano_usd == bound.output_tokens == bound.credits["DIEM"] == EXACT_MAX


def test_a_quote_is_the_bound_until_enough_calls_have_ended() -> None:
    made = _quote(DEMAND, learned=_learned(CALLS_MIN - 1))

    assert made.kind == "likely"
    assert made.amounts == made.bound
    assert made.basis[-1] == "learned from too few calls"


def test_a_likely_quote_holds_what_such_calls_come_to_and_knows_the_bound() -> None:
    made = _quote(DEMAND, learned=_learned(CALLS_MIN))

    assert made.amounts == Amounts(nano_usd=116_700, input_tokens=250, output_tokens=132)
    assert made.bound == _quote(DEMAND).bound
    assert made.basis[-1] == "learned from 20 calls"


def test_a_likely_quote_never_exceeds_the_bound() -> None:
    small = replace(DEMAND, output_limit=10)

    assert _quote(small, learned=_learned(CALLS_MIN)).amounts.output_tokens == 10


def test_the_greatest_output_limit_that_fits_every_budget() -> None:
    made = _quote(DEMAND)

    def affordable(remaining: list[tuple[str, int]], floor: int = 1) -> int | None:
        return affordable_output_limit(DEMAND, PRICE, made, remaining, floor=floor)

    assert affordable([]) == 500
    assert affordable([(USD, 450_000)]) == 500
    assert affordable([(USD, 449_999)]) == 499
    assert affordable([(USD, 210_000), (OUTPUT_TOKENS, 100)]) == 100
    assert affordable([(USD, 209_999)], floor=100) is None
    assert affordable([(INPUT_TOKENS, 999)]) is None
    assert affordable([(USD, 0)], floor=600) is None


def test_a_clamp_counts_all_choices() -> None:
    both = replace(DEMAND, choices=2)

    assert affordable_output_limit(both, PRICE, _quote(both), [(OUTPUT_TOKENS, 301)]) == 150


def test_a_clamped_quote_writes_the_limit_into_the_request() -> None:
    lower = clamped(DEMAND, _quote(DEMAND), 100)

    assert (lower.output_limit, lower.set_output_limit) == (100, 100)
    assert (
        lower.bound
        == lower.amounts
        == Amounts(nano_usd=210_000, input_tokens=1_000, output_tokens=100)
    )
    assert lower.basis[-1] == "output clamped from 500"


def test_a_clamped_likely_quote_stays_likely() -> None:
    made = _quote(DEMAND, learned=_learned(CALLS_MIN))

    lower = clamped(DEMAND, made, 50)

    assert lower.amounts == Amounts(nano_usd=67_500, input_tokens=250, output_tokens=50)
    assert lower.bound.output_tokens == 50


def _learned(calls: int) -> Learned:
    """Return what calls of a fifth of a token per byte and 66 tokens of output teach."""
    learned = Learned()
    for _ in range(calls):
        learned.observe(body_bytes=1_000, input_tokens=200, output_tokens=66)
    return learned


def _outcome(
    demand: Demand,
    price: Price = PRICE,
    *,
    default_max_output_tokens: int | None = None,
    hidden_input: HiddenInput = "context_window",
    learned: Learned | None = None,
) -> Quote | Unpriced | HiddenInputRefused:
    return quote(
        demand,
        price,
        default_max_output_tokens=default_max_output_tokens,
        hidden_input=hidden_input,
        tool_rounds_max=4,
        learned=learned,
    )


def _quote(
    demand: Demand,
    price: Price = PRICE,
    *,
    default_max_output_tokens: int | None = None,
    learned: Learned | None = None,
) -> Quote:
    made = _outcome(
        demand, price, default_max_output_tokens=default_max_output_tokens, learned=learned
    )
    assert isinstance(made, Quote)
    return made
