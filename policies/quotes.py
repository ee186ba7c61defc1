"""The most that a call can cost, before it is sent: what is reserved for it.

Every number here is an upper bound or is said to be none (docs/decisions/0002-quotes.md): tokens
by bytes, what bytes do not show by the context window, each token at the dearest rate that it may
have in any tier that the call may reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, cast

from policies.budgets import QuoteKind
from policies.demand import Demand
from policies.learning import Learned, Likely
from policies.money import EXACT_MAX, nano_from_pico
from policies.pricing import Price, Unpriced
from policies.units import Amounts

__all__ = [
    "HiddenInputRefused",
    "Quote",
    "Unpriced",
    "affordable_output_limit",
    "clamped",
    "quote",
]

# What providers put in front of a request that declares tools. Anthropic's documentation has, at
# most, 530 tokens for any tools, 700 for an editor, 245 for bash, 735 and 499 for computer use.
HIDDEN_TOOL_PROMPT_TOKENS: Final = 3_000

# A list may state a window that its own dearer tiers lie beyond: the window of those who do not ask
# for a larger one (Anthropic's beta header). This is the largest that was ever opened so.
OPENED_WINDOW_TOKENS: Final = 1_000_000

#: Tools whose calls are billed as another model's tokens: only a fee by configuration bounds them.
TOOLS_WITHOUT_FEE: Final = ("image_generation", "advisor")

HiddenInput = Literal["context_window", "refuse"]


@dataclass(frozen=True, slots=True)
class HiddenInputRefused:
    """The request's bytes do not show all of its input, and policy wants no window's worth held."""

    #: The fields that hide it.
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What is to be held for a call."""

    #: What to reserve.
    amounts: Amounts
    #: The most that the call can come to; the same as `amounts` for a quote of kind `bound`.
    bound: Amounts
    #: Output tokens per choice that the quote assumes.
    output_limit: int
    #: The output limit to write into the request, which names none; None leaves it as it is.
    set_output_limit: int | None
    #: Calls of tools that the provider runs, as assumed.
    tool_calls: int = 0
    #: What the numbers rest on, in words, for the journal.
    basis: tuple[str, ...]
    #: The price that the call is settled at, whatever the price list says by then.
    price: Price
    kind: QuoteKind


def quote(
    demand: Demand,
    price: Price,
    *,
    default_max_output_tokens: int | None,
    hidden_input: HiddenInput,
    tool_rounds_max: int,
    learned: Learned | None = None,
) -> Quote | Unpriced | HiddenInputRefused:
    """Return what to hold for a call, or why that cannot be said.

    Args:
        default_max_output_tokens: the output limit given to requests that name none.
        hidden_input: what input counts as whose tokens the request's bytes do not show.
        tool_rounds_max: how often tools that the provider runs may run in one call, together,
            where the request does not say.
        learned: what such calls usually come to, for a quote of kind `likely`.
    """
    if demand.hidden_input and hidden_input == "refuse":
        return HiddenInputRefused(demand.hidden_input)
    tool_calls = _tool_calls(demand, price, tool_rounds_max) if demand.server_tools else 0
    if isinstance(tool_calls, Unpriced):
        return tool_calls
    sent = _input_tokens(demand, price, tool_calls)
    if isinstance(sent, Unpriced):
        return sent
    limited = _output_limit(demand, price, default_max_output_tokens)
    if isinstance(limited, Unpriced):
        return limited
    (input_tokens, input_basis), (output_limit, set_output_limit, output_basis) = sent, limited
    bound = _most(demand, price, input_tokens, _output_tokens(demand, output_limit), tool_calls)
    if isinstance(bound, Unpriced):
        return bound
    amounts = bound
    basis: tuple[str, ...] = (input_basis, output_basis)
    if learned is not None:
        likely = learned.likely(demand.body_bytes)
        amounts = _likely(demand, price, bound, tool_calls, likely)
        calls = "too few" if likely is None else likely.calls
        basis = (*basis, f"learned from {calls} calls")
    return Quote(
        amounts=amounts,
        bound=bound,
        output_limit=output_limit,
        set_output_limit=set_output_limit,
        tool_calls=tool_calls,
        basis=basis,
        price=price,
        kind="bound" if learned is None else "likely",
    )


def affordable_output_limit(
    demand: Demand,
    price: Price,
    quote: Quote,
    remaining: Sequence[tuple[str, int]],
    *,
    floor: int = 1,
) -> int | None:
    """Return the greatest output limit per choice whose bound fits what is left; for a clamp.

    Args:
        remaining: what each budget has left, by unit, in the budget's own counting.
        floor: a lower limit than this one is no answer.

    Returns:
        At most the quote's own limit. None if not even the floor fits.
    """

    def fits(limit: int) -> bool:
        output_tokens = _output_tokens(demand, limit)
        input_tokens = quote.bound.input_tokens
        most = _known_most(demand, price, input_tokens, output_tokens, quote.tool_calls)
        return all(most.of(unit) <= left for unit, left in remaining)

    if fits(quote.output_limit):
        return quote.output_limit
    if floor >= quote.output_limit or not fits(floor):
        return None
    fitting, short = floor, quote.output_limit
    while short - fitting > 1:
        middle = (fitting + short) // 2
        if fits(middle):
            fitting = middle
        else:
            short = middle
    return fitting


def clamped(demand: Demand, quote: Quote, output_limit: int) -> Quote:
    """Return the quote for the same call with a lower output limit, to be written into it."""
    output_tokens = _output_tokens(demand, output_limit)
    price, held, tool_calls = quote.price, quote.amounts, quote.tool_calls
    bound = _known_most(demand, price, quote.bound.input_tokens, output_tokens, tool_calls)
    amounts = bound
    if quote.kind == "likely":
        likely_output = min(held.output_tokens, output_tokens)
        amounts = _known_most(demand, price, held.input_tokens, likely_output, tool_calls)
    return replace(
        quote,
        amounts=amounts,
        bound=bound,
        output_limit=output_limit,
        set_output_limit=output_limit,
        basis=(*quote.basis, f"output clamped from {quote.output_limit}"),
    )


def _tool_calls(demand: Demand, price: Price, tool_rounds_max: int) -> int | Unpriced:
    """Return how many calls of its own tools the provider may make."""
    calls, silent = 0, False
    for tool in demand.server_tools:
        if tool.kind.startswith(TOOLS_WITHOUT_FEE) and price.tool_fee(tool.kind) is None:
            return Unpriced(f"what a call of the tool '{tool.kind}' costs is not known")
        if tool.calls_max is None:
            silent = True
        else:
            calls += tool.calls_max
    return calls + tool_rounds_max if silent else calls


def _input_tokens(demand: Demand, price: Price, tool_calls: int) -> tuple[int, str] | Unpriced:
    """Return the most input that can be billed, over all rounds, and what says so."""
    window, caps_bytes = _window(price)
    if demand.output_limit == 0:
        # Embeddings come in batches, and the window is each input's. (An input may be a list of
        # token ids: a digit and a comma each at least, so bytes stay a bound.)
        caps_bytes = False
        if demand.hidden_input and not price.output_priced:
            fields = ", ".join(demand.hidden_input)
            return Unpriced(f"{fields}: input of unknown size, in a batch of unknown length")
    if window is None:
        if demand.hidden_input:
            fields = ", ".join(demand.hidden_input)
            return Unpriced(f"{fields}: input of unknown size, and no context window is known")
        if tool_calls:
            return Unpriced("a tool's results are input, and no context window is known")
    tokens = demand.body_bytes * price.tokens_per_byte_max
    if demand.declares_tools:
        tokens += HIDDEN_TOOL_PROMPT_TOKENS
    basis = "input by bytes"
    if window is not None and (demand.hidden_input or (caps_bytes and tokens > window)):
        tokens, basis = window, "input by context window"
    if window is not None and tool_calls:
        # Each result goes back to the model with everything before it: up to a whole window again.
        return tokens + tool_calls * window, f"{basis}, and {tool_calls} rounds of tools"
    return tokens, basis


def _window(price: Price) -> tuple[int | None, bool]:
    """Return the most input of one round, and whether more than that is refused for sure."""
    window = price.context_window
    if window is None or price.last_tier_from < window:
        return window, True
    return max(OPENED_WINDOW_TOKENS, price.last_tier_from), False


def _output_limit(
    demand: Demand, price: Price, default_max_output_tokens: int | None
) -> tuple[int, int | None, str] | Unpriced:
    """Return the output tokens per choice, the limit to write into the request, and the reason."""
    ceiling, ceiling_basis = price.max_output_tokens, "output by model"
    if ceiling is None:
        ceiling, ceiling_basis = price.context_window, "output by context window"
    requested = demand.output_limit
    if requested is not None:
        if ceiling is None or requested <= ceiling:
            return requested, None, "output by request"
        return ceiling, None, ceiling_basis
    if default_max_output_tokens is not None:
        limit = (
            default_max_output_tokens
            if ceiling is None
            else min(default_max_output_tokens, ceiling)
        )
        return limit, limit, "output by default"
    if ceiling is None:
        return Unpriced(f"neither the request nor the price of {price.model} limits the output")
    return ceiling, None, ceiling_basis


def _output_tokens(demand: Demand, output_limit: int) -> int:
    """Return the output of all choices; thinking outside the limit may happen for each of them."""
    return (output_limit + demand.output_beside_limit) * demand.choices


def _most(
    demand: Demand, price: Price, input_tokens: int, output_tokens: int, tool_calls: int
) -> Amounts | Unpriced:
    """Return the most that so many tokens and tool calls can come to.

    Beyond what a counter can hold, every amount is the greatest that it can: no budget admits it.
    """
    ceiling = price.ceiling(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        service_tier=demand.service_tier,
        media=bool(demand.hidden_input),
        hour_cache=demand.cache_write == "1h",
        audio=demand.audio,
    )
    if isinstance(ceiling, Unpriced):
        return ceiling
    pico = input_tokens * ceiling.input + output_tokens * ceiling.output
    nano = nano_from_pico(pico) + ceiling.call_nano
    if tool_calls:
        fees = (price.tool_fee(tool.kind) or 0 for tool in demand.server_tools)
        nano += tool_calls * max(ceiling.web_search_nano, *fees)
    if nano > EXACT_MAX or output_tokens > EXACT_MAX:
        nano = min(nano, EXACT_MAX)
        output_tokens = min(output_tokens, EXACT_MAX)
    if not price.credits_per_usd:
        return Amounts(nano_usd=nano, input_tokens=input_tokens, output_tokens=output_tokens)
    in_credits = price.credits(nano)
    return Amounts(
        nano_usd=nano,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        credits={name: min(amount, EXACT_MAX) for name, amount in in_credits.items()},
    )


def _known_most(
    demand: Demand, price: Price, input_tokens: int, output_tokens: int, tool_calls: int
) -> Amounts:
    """Return what fewer tokens than a quote's come to; it could not exist without a price."""
    return cast("Amounts", _most(demand, price, input_tokens, output_tokens, tool_calls))


def _likely(
    demand: Demand, price: Price, bound: Amounts, tool_calls: int, likely: Likely | None
) -> Amounts:
    """Return what such calls usually come to, or the bound while nobody knows."""
    if likely is None:
        return bound
    input_tokens = min(likely.input_tokens, bound.input_tokens)
    output_tokens = min(likely.output_tokens, bound.output_tokens)
    return _known_most(demand, price, input_tokens, output_tokens, tool_calls)
