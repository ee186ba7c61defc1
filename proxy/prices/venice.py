"""Venice's model list: `model_spec.pricing` in dollars and DIEM (facts: providers.md, 2.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final

from policies.money import NANO_PER_UNIT
from policies.pricing import Price
from proxy.prices.figures import (
    NotAPrice,
    decimal,
    mapping,
    nano,
    pico,
    sequence,
    tokens,
    tokens_if_any,
)
from proxy.prices.lists import PriceList
from proxy.prices.steps import INPUT, OUTPUT, Step, tiers_of

SOURCE: Final = "venice list"

#: Per search-augmented request, scraped page and search on X; the list does not name it.
WEB_SEARCH_USD: Final = Decimal("0.01")

_ITEMS: Final = {
    "input": INPUT,
    "output": OUTPUT,
    "cache_input": "cache_read",
    "cache_write": "cache_write_5m",
}
#: Credits that are worth a dollar; each call is charged to one of the account's currencies.
_DOLLAR_CREDITS: Final = ("BUNDLED_CREDITS", "EARNED_CREDITS")
#: DIEM, and its former name.
_DIEM_CREDITS: Final = ("DIEM", "VCU")


def read(payload: object) -> PriceList:
    """Return the prices of `GET /models`; models that are not priced by tokens are left out.

    Raises:
        NotAPrice: it is no such list.
    """
    rows = sequence(mapping(payload, "the price list").get("data"), "'data' of the list")
    prices: dict[str, Price] = {}
    refused: dict[str, str] = {}
    aliases: dict[str, str] = {}
    for row in rows:
        if not isinstance(row, Mapping):
            continue
        model = row.get("id")
        if not isinstance(model, str) or not model:
            continue
        try:
            spec = mapping(row.get("model_spec"), "model_spec")
            pricing = mapping(spec.get("pricing"), "pricing")
            if "input" in pricing:
                prices[model] = _price(model, spec, pricing)
                aliases.update(dict.fromkeys(_traits(spec), model))
        except NotAPrice as error:
            refused[model] = str(error)
    return PriceList(prices=prices, refused=refused, aliases=aliases)


def _traits(spec: Mapping[str, object]) -> list[str]:
    """Return names such as `default` under which the model is known, too."""
    traits = spec.get("traits")
    if not isinstance(traits, Sequence) or isinstance(traits, str):
        return []
    return [trait for trait in traits if isinstance(trait, str)]


def _price(model: str, spec: Mapping[str, object], pricing: Mapping[str, object]) -> Price:
    extended = pricing.get("extended")
    longer = mapping(extended, "extended") if extended is not None else {}
    # The list does not say which side the threshold itself is on: it counts as extended.
    threshold = tokens(longer.get("context_token_threshold"), "threshold") if longer else None
    parts: dict[str, tuple[Step, ...]] = {}
    for item, part in _ITEMS.items():
        steps = []
        if item in pricing:
            usd = _usd(pricing, item)
            below = threshold if item in longer else None
            steps.append(Step(amount=pico(usd, item), below_input=below))
        if item in longer:
            usd = _usd(longer, item)
            steps.append(Step(amount=pico(usd, f"extended {item}"), from_input=threshold or 0))
        if steps:
            parts[part] = tuple(steps)
    parts["web_search_nano"] = (Step(amount=nano(WEB_SEARCH_USD, "web search")),)
    return Price(
        model=model,
        tiers=tiers_of(parts),
        context_window=tokens_if_any(spec.get("availableContextTokens")),
        max_output_tokens=tokens_if_any(spec.get("maxCompletionTokens")),
        credits_per_usd=_credits(pricing, longer),
        output_priced=OUTPUT in parts,
        source=SOURCE,
    )


def _usd(pricing: Mapping[str, object], item: str) -> Decimal:
    return decimal(mapping(pricing[item], item).get("usd"), f"{item} in US dollars")


def _credits(*pricings: Mapping[str, object]) -> dict[str, int]:
    """Return nano-credits per dollar, DIEM at the worst rate of all items; so far it is 1."""
    worst = Fraction(1)
    for pricing in pricings:
        for item in _ITEMS:
            both = pricing.get(item)
            if isinstance(both, Mapping) and both.get("diem") is not None:
                usd = _usd(pricing, item)
                diem = decimal(both["diem"], f"{item} in DIEM")
                if usd > 0:
                    worst = max(worst, Fraction(diem) / Fraction(usd))
    nano_diem = -(-worst.numerator * NANO_PER_UNIT // worst.denominator)
    return {
        **dict.fromkeys(_DOLLAR_CREDITS, NANO_PER_UNIT),
        **dict.fromkeys(_DIEM_CREDITS, nano_diem),
    }
