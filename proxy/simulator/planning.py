"""What a call will use and cost, decided before its first byte is sent."""

from fractions import Fraction
from typing import Final

import msgspec

from proxy.simulator.answers import Answer, Asked, Iteration
from proxy.simulator.generate_content import model_name
from proxy.simulator.models import MISSING_PREFIX, ROUTED_BY_DEFAULT, Model, find_model
from proxy.simulator.paths import Flavour
from proxy.simulator.prices import PICO_PER_NANO, Item, itemise, nano_usd
from proxy.simulator.provider import Provider
from proxy.simulator.scenario import Scenario, UsageDocument
from proxy.simulator.truth import Call
from proxy.simulator.usage import Usage

#: A larger limit is a ceiling and no wish, so the usual length is given.
_LIMIT_TAKEN_UP_TO: Final = 4_096
_USUAL_OUTPUT_TOKENS: Final = 64
_BYTES_PER_TOKEN: Final = 4
_USUAL_CHUNKS: Final = 8
_NO_USAGE: Final = UsageDocument()
_ITERATIONS_ON_TOP: Final = frozenset({"message", "fallback_message"})


def tokens_in(body_bytes: int) -> int:
    """How many tokens a body counts for."""
    return -(-body_bytes // _BYTES_PER_TOKEN)


def usage_of(asked: Asked, scenario: Scenario, *, input_tokens: int) -> Usage:
    """What a call uses: what the scenario fixes, the rest by the sizes of the request."""
    fixed = scenario.usage or _NO_USAGE
    output = fixed.output
    if output is None:
        limit = asked.output_limit
        if limit is None or limit > _LIMIT_TAKEN_UP_TO:
            limit = _USUAL_OUTPUT_TOKENS
        output = max(0, limit - fixed.reasoning) * asked.choices
    return Usage(
        input=input_tokens if fixed.input is None else fixed.input,
        cache_read=fixed.cache_read,
        cache_write_5m=fixed.cache_write_5m,
        cache_write_1h=fixed.cache_write_1h,
        output=output,
        reasoning=fixed.reasoning,
        web_searches=fixed.web_searches,
    )


def expressible(usage: Usage, dialect: str, flavour: Flavour, model: str) -> Usage:
    """The same tokens in parts that the dialect can tell apart."""
    replace = msgspec.structs.replace
    if dialect in {"generate_content", "embeddings"}:
        whole = usage.input + usage.cache_write
        return replace(usage, input=whole, cache_write_5m=0, cache_write_1h=0)
    if dialect == "messages" or (
        flavour == Flavour.AGIPOWER and dialect == "chat_completions" and "claude" in model
    ):
        return usage
    return replace(usage, cache_write_5m=usage.cache_write, cache_write_1h=0)


def iterations_of(scenario: Scenario) -> tuple[Iteration, ...]:
    """The billed hops of a Messages call."""
    return tuple(
        Iteration(
            type=entry.type,
            model=entry.model or "",
            usage=Usage(
                input=entry.input,
                cache_read=entry.cache_read,
                cache_write_5m=entry.cache_write_5m,
                cache_write_1h=entry.cache_write_1h,
                output=entry.output,
            ),
        )
        for entry in scenario.iterations
    )


def bill_of(
    model: Model, usage: Usage, iterations: tuple[Iteration, ...], *, venice: bool
) -> list[Item]:
    """The items of a call; with iterations each is billed at its own model's price."""
    if not iterations:
        return itemise(model.prices, usage)
    items: list[Item] = []
    for iteration in iterations:
        own = find_model(iteration.model, venice=venice) if iteration.model else model
        items += itemise(own.prices, iteration.usage)
    return items


def billed_nano_usd(scenario: Scenario, listed_pico_usd: int) -> int:
    """The bill: fixed, a multiple of the list price, or the list price; rounded up once."""
    if scenario.billed_nano_usd is not None:
        return scenario.billed_nano_usd
    if scenario.billed_factor is None:
        return nano_usd(listed_pico_usd)
    exact = listed_pico_usd * Fraction(scenario.billed_factor)
    return -(-exact.numerator // (exact.denominator * PICO_PER_NANO))


def shown_model(
    requested: str, model: Model, scenario: Scenario, flavour: Flavour, dialect: str
) -> str:
    """The model that the answer names."""
    if scenario.answer_model:
        return scenario.answer_model
    if flavour == Flavour.AGIPOWER:
        return model.id
    if dialect == "generate_content":
        return model_name(requested, flavour)
    return requested


def resolve(asked: Asked, scenario: Scenario, flavour: Flavour) -> Model | None:
    """The model that answers, or None if there is none."""
    name = scenario.answer_model or asked.model
    if name.endswith("/auto"):
        name = ROUTED_BY_DEFAULT
    if not name or name.startswith(MISSING_PREFIX):
        return None
    return find_model(name, venice=flavour == Flavour.VENICE)


def plan(provider: Provider, call: Call, asked: Asked, model: Model, gateway_id: str) -> Answer:
    """Fix usage and bill of a call, in the truth and in the answer."""
    scenario = call.scenario
    flavour = Flavour(call.flavour)
    input_tokens = tokens_in(call.body_bytes) + provider.stored.tokens_of(
        asked.previous_response_id
    )
    reported = expressible(
        usage_of(asked, scenario, input_tokens=input_tokens), call.dialect, flavour, model.id
    )
    iterations = iterations_of(scenario) if call.dialect == "messages" else ()
    if iterations and scenario.usage is None:
        reported = sum((hop.usage for hop in iterations if hop.type in _ITERATIONS_ON_TOP), Usage())
    call.reported_usage = reported
    call.usage = sum((hop.usage for hop in iterations), Usage()) if iterations else reported
    call.items = tuple(bill_of(model, reported, iterations, venice=flavour == Flavour.VENICE))
    listed_pico_usd = sum(item.pico_usd for item in call.items)
    call.listed_nano_usd = nano_usd(listed_pico_usd)
    if flavour == Flavour.VENICE and call.dialect == "chat_completions" and not reported.completion:
        listed_pico_usd = 0  # Venice does not bill an answer without output.
    billed = billed_nano_usd(scenario, listed_pico_usd)
    charge(provider, call, billed)
    call.answered_model = model.id
    call.finish = scenario.finish
    return Answer(
        asked=asked,
        flavour=flavour,
        id=call.body_id,
        model=shown_model(asked.model, model, scenario, flavour, call.dialect),
        created=int(call.at),
        usage=reported,
        iterations=iterations,
        billed_nano_usd=billed,
        chunks=scenario.chunks or max(1, min(_USUAL_CHUNKS, reported.output)),
        scenario=scenario,
        gateway_id=gateway_id,
    )


def charge(provider: Provider, call: Call, billed: int) -> None:
    """Book the bill where the key's account pays it."""
    account = provider.account
    if call.flavour == Flavour.AGIPOWER:
        call.bill_type = account.bill_type(call.key_kind)
    else:
        call.bill_type = "metered"
    if call.bill_type == "subscription":
        call.nano_flows = account.use_flows(call.listed_nano_usd)
    else:
        call.billed_nano_usd = billed
        call.currency = call.scenario.currency if call.flavour == Flavour.VENICE else "USD"
        if call.flavour == Flavour.AGIPOWER:
            account.spend(billed)
    call.billed_at = provider.billed_at(call)
