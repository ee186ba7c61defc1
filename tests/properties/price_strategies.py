"""Prices, usages and demands of every shape, for the properties of money."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from policies.demand import Demand, ToolDemand
from policies.pricing import Price, Tier, Tiers
from policies.quotes import Quote
from policies.rates import Rates
from policies.usage import Usage

# Pico-dollars per token: free, below a nano-dollar for a hundred tokens, usual, dear.
PICO = st.one_of(st.integers(0, 9), st.integers(10_000, 75_000_000), st.integers(0, 600_000_000))
NANO = st.one_of(st.just(0), st.integers(1, 50_000_000))
TOKENS = st.one_of(st.integers(0, 20), st.integers(0, 2_000_000))
AUDIO_OR_NOT = st.none() | PICO
SERVICE_TIERS = st.sampled_from(("flex", "priority", "fast"))


@st.composite
def rates(draw: DrawFn, *, audio: st.SearchStrategy[int | None] = PICO) -> Rates:
    optional = st.none() | PICO
    return Rates.of(
        input=draw(PICO),
        output=draw(PICO),
        cache_read=draw(optional),
        cache_write_5m=draw(optional),
        cache_write_1h=draw(optional),
        audio_input=draw(audio),
        media_input=draw(optional),
        reasoning=draw(optional),
        audio_output=draw(audio),
        web_search_nano=draw(st.none() | NANO),
        call_nano=draw(NANO),
    )


@st.composite
def tables(draw: DrawFn, *, audio: st.SearchStrategy[int | None] = PICO) -> Tiers:
    """Up to three sizes of input, each with up to two of output."""
    inputs = {0} | draw(st.sets(st.integers(1, 1_000_000), max_size=2))
    found = []
    for from_input in inputs:
        outputs = {0} | draw(st.sets(st.integers(1, 100_000), max_size=1))
        found += [
            Tier(
                from_input_tokens=from_input,
                from_output_tokens=start,
                rates=draw(rates(audio=audio)),
            )
            for start in outputs
        ]
    return tuple(found)


@st.composite
def prices(draw: DrawFn, *, audio: st.SearchStrategy[int | None] = PICO) -> Price:
    """Prices of every shape; audio has one, unless the strategy for its rates says otherwise."""
    sizes = tables(audio=audio)
    return Price(
        model="acme/mini",
        tiers=draw(sizes),
        service_tiers=draw(st.dictionaries(SERVICE_TIERS, sizes, max_size=2)),
        context_window=draw(st.none() | st.integers(1, 2_000_000) | st.just(1_000_000)),
        max_output_tokens=draw(st.none() | st.integers(1, 200_000)),
        tokens_per_byte_max=draw(st.integers(1, 5)),
        tool_fees=draw(st.dictionaries(st.just("web_search"), NANO)),
        credits_per_usd=draw(st.dictionaries(st.just("DIEM"), st.integers(1, 10**11))),
        source="properties",
    )


@st.composite
def usages(draw: DrawFn) -> Usage:
    output_tokens = draw(TOKENS)
    return Usage(
        input_tokens=draw(TOKENS),
        cache_read_tokens=draw(TOKENS),
        cache_write_5m_tokens=draw(TOKENS),
        cache_write_1h_tokens=draw(TOKENS),
        audio_input_tokens=draw(TOKENS),
        output_tokens=output_tokens,
        reasoning_tokens=draw(st.integers(0, output_tokens)),
        audio_output_tokens=draw(TOKENS),
        web_searches=draw(st.integers(0, 20)),
    )


@st.composite
def demands(draw: DrawFn) -> Demand:
    return Demand(
        model="acme/mini",
        body_bytes=draw(st.integers(0, 1_000_000)),
        output_limit=draw(st.none() | st.integers(0, 300_000)),
        output_beside_limit=draw(st.just(0) | st.integers(0, 30_000)),
        choices=draw(st.integers(1, 8)),
        hidden_input=draw(st.sampled_from(((), (), ("previous_response_id",)))),
        server_tools=tuple(
            ToolDemand(kind=kind, calls_max=draw(st.none() | st.integers(0, 5)))
            for kind in draw(st.sampled_from(((), (), ("web_search",), ("web_search", "mcp"))))
        ),
        declares_tools=draw(st.booleans()),
        cache_write=draw(st.sampled_from(("default", "1h"))),
        service_tier=draw(st.none() | SERVICE_TIERS | st.just("auto")),
        audio=draw(st.booleans()),
    )


@st.composite
def permitted_usages(draw: DrawFn, demand: Demand, quote: Quote) -> Usage:
    """Return a usage that the demand permits: any split of any tokens within its bounds."""
    media = demand.audio or bool(demand.hidden_input)
    total_input = draw(_up_to(quote.bound.input_tokens))
    total_output = draw(_up_to(quote.bound.output_tokens))
    hour = demand.cache_write == "1h"
    cut = st.sampled_from((0, total_input)) | st.integers(0, total_input)
    cuts = sorted(draw(st.tuples(cut, cut, cut, cut)))
    inputs = [end - start for start, end in zip([0, *cuts], [*cuts, total_input], strict=True)]
    audio_output = draw(_up_to(total_output)) if media else 0
    return Usage(
        input_tokens=inputs[0] + (0 if hour else inputs[3]) + (0 if media else inputs[4]),
        cache_read_tokens=inputs[1],
        cache_write_5m_tokens=inputs[2],
        cache_write_1h_tokens=inputs[3] if hour else 0,
        audio_input_tokens=inputs[4] if media else 0,
        output_tokens=total_output - audio_output,
        reasoning_tokens=draw(_up_to(total_output - audio_output)),
        audio_output_tokens=audio_output,
        web_searches=draw(_up_to(quote.tool_calls)),
    )


def extreme_usages(demand: Demand, quote: Quote) -> Iterator[Usage]:
    """Yield what costs most if anything does: all input of one kind and all output of one kind.

    Sizes are those of the bound, and the greatest and smallest of each tier below it.
    """
    media = demand.audio or bool(demand.hidden_input)
    inputs = ["input_tokens", "cache_read_tokens", "cache_write_5m_tokens"]
    inputs += ["cache_write_1h_tokens"] if demand.cache_write == "1h" else []
    inputs += ["audio_input_tokens"] if media else []
    outputs = ["output_tokens", "reasoning_tokens", *(["audio_output_tokens"] if media else [])]
    tables = (quote.price.tiers, *quote.price.service_tiers.values())
    tiers = [tier for table in tables for tier in table]
    sent = _sizes(quote.bound.input_tokens, [tier.from_input_tokens for tier in tiers])
    made = _sizes(quote.bound.output_tokens, [tier.from_output_tokens for tier in tiers])
    for kinds in itertools.product(inputs, outputs):
        for input_tokens, output_tokens in itertools.product(sent, made):
            counts = {kinds[0]: input_tokens, kinds[1]: output_tokens}
            if kinds[1] == "reasoning_tokens":
                counts["output_tokens"] = output_tokens
            yield Usage(**counts, web_searches=quote.tool_calls)


def _sizes(bound: int, starts: list[int]) -> set[int]:
    return {bound} | {size for start in starts for size in (start - 1, start) if 0 <= size <= bound}


def exact_nano(price_rates: Rates, usage: Usage) -> Fraction:
    """Return what a usage costs at these rates, not rounded, in nano-dollars."""
    pico = (
        usage.input_tokens * price_rates.input
        + usage.cache_read_tokens * price_rates.cache_read
        + usage.cache_write_5m_tokens * price_rates.cache_write_5m
        + usage.cache_write_1h_tokens * price_rates.cache_write_1h
        + usage.audio_input_tokens * (price_rates.audio_input or 0)
        + (usage.output_tokens - usage.reasoning_tokens) * price_rates.output
        + usage.reasoning_tokens * price_rates.reasoning
        + usage.audio_output_tokens * (price_rates.audio_output or 0)
    )
    fees = usage.web_searches * price_rates.web_search_nano + price_rates.call_nano
    return Fraction(pico, 1_000) + fees


def _up_to(maximum: int) -> st.SearchStrategy[int]:
    """Return numbers up to a maximum, and the maximum itself often."""
    return st.just(maximum) | st.integers(0, maximum)
