"""AGIPower's model lists: `pricings` with conditions on size (facts: providers.md, 1.8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from policies.pricing import Price
from proxy.prices.figures import (
    NotAPrice,
    above,
    at_least,
    decimal,
    mapping,
    nano,
    pico,
    sequence,
    tokens_if_any,
)
from proxy.prices.lists import PriceList
from proxy.prices.steps import INPUT, OUTPUT, REASONING_SURCHARGE, Parts, Step, tiers_of

SOURCE: Final = "agipower list"

#: Fee items per million tokens, and the parts that they price.
_TOKEN_ITEMS: Final[Mapping[str, tuple[str, ...]]] = {
    "prompt": (INPUT,),
    "completion": (OUTPUT,),
    "input_cache_read": ("cache_read",),
    "input_cache_write": ("cache_write_5m", "cache_write_1h"),
    "input_cache_write_5_min": ("cache_write_5m",),
    "input_cache_write_1_h": ("cache_write_1h",),
    # It comes on top of `completion`.
    "internal_reasoning": (REASONING_SURCHARGE,),
    # The list does not say whether it means what goes in or what comes out.
    "audio": ("audio_input", "audio_output"),
    "image": ("media_input",),
    "video": ("media_input",),
    "audio_and_video": ("media_input", "audio_input", "audio_output"),
}
#: Items that give way to a more exact one of the same part.
_GENERAL_ITEMS: Final = frozenset({"input_cache_write"})
_TOKENS_PER: Final = {"kTokens": 1_000, "tokens": 1}
_KNOWN_UNITS: Final = frozenset({"perMTokens", "perCount", "perSecond"})


@dataclass(frozen=True, slots=True)
class _Sizes:
    start: int = 0
    below: int | None = None


def read(payload: object) -> PriceList:
    """Return the prices of `GET /v1/models` or of the Vertex list, whichever this is.

    Raises:
        NotAPrice: it is neither.
    """
    whole = mapping(payload, "the price list")
    rows = sequence(whole.get("data", whole.get("models")), "'data' or 'models' of the list")
    prices: dict[str, Price] = {}
    refused: dict[str, str] = {}
    for row in rows:
        if not isinstance(row, Mapping):
            continue
        model = row.get("id", row.get("name"))
        if not isinstance(model, str) or not model:
            continue
        model = model.removeprefix("models/")
        try:
            prices[model] = _price(model, row)
        except NotAPrice as error:
            refused[model] = str(error)
    return PriceList(prices=prices, refused=refused)


def _price(model: str, row: Mapping[str, object]) -> Price:
    pricings = mapping(row.get("pricings"), "pricings")
    parts = _parts(pricings)
    images = [step.amount for step in _steps("image", pricings.get("image"), "perCount")]
    return Price(
        model=model,
        tiers=tiers_of(parts),
        context_window=tokens_if_any(row.get("context_length", row.get("inputTokenLimit"))),
        max_output_tokens=tokens_if_any(row.get("outputTokenLimit")),
        tool_fees={"image_generation": max(images)} if images else {},
        output_priced=OUTPUT in parts,
        source=SOURCE,
    )


def _parts(pricings: Mapping[str, object]) -> Parts:
    parts: dict[str, tuple[Step, ...]] = {}
    general_first = sorted(_TOKEN_ITEMS, key=lambda item: item not in _GENERAL_ITEMS)
    exact: set[str] = set()
    for item in general_first:
        steps = _steps(item, pricings.get(item), "perMTokens")
        for part in _TOKEN_ITEMS[item] if steps else ():
            # Several items of one part, of which the usage does not tell: the dearest holds.
            parts[part] = (*parts[part], *steps) if part in exact else steps
            if item not in _GENERAL_ITEMS:
                exact.add(part)
    searches = _steps("web_search", pricings.get("web_search"), "perCount")
    return {**parts, "web_search_nano": searches} if searches else parts


def _steps(item: str, rows: object, unit: str) -> tuple[Step, ...]:
    """Return the steps of one fee item that are in this unit.

    Raises:
        NotAPrice: a row is no price in US dollars.
    """
    if rows is None:
        return ()
    steps = []
    for row in sequence(rows, item):
        fields = mapping(row, item)
        if fields.get("currency") != "USD":
            raise NotAPrice(f"{item}: the currency is not USD but {fields.get('currency')!r}")
        if fields.get("unit") not in _KNOWN_UNITS:
            raise NotAPrice(f"{item}: the unit {fields.get('unit')!r} is not known")
        if fields["unit"] == unit:
            steps.append(_step(item, fields))
    return tuple(steps)


def _step(item: str, fields: Mapping[str, object]) -> Step:
    value = fields.get("value")
    conditions = mapping(fields.get("conditions") or {}, f"{item}: conditions")
    # A condition on anything else is taken to hold, so that the dearest price counts.
    prompt = _sizes(item, conditions.get("prompt_tokens"))
    completion = _sizes(item, conditions.get("completion_tokens"))
    return Step(
        amount=pico(value, item) if fields["unit"] == "perMTokens" else nano(value, item),
        from_input=prompt.start,
        below_input=prompt.below,
        from_output=completion.start,
        below_output=completion.below,
    )


def _sizes(item: str, condition: object) -> _Sizes:
    """Return the sizes that a condition names; no condition holds for every size."""
    if condition is None:
        return _Sizes()
    fields = mapping(condition, f"{item}: condition")
    scale = _TOKENS_PER.get(str(fields.get("unit")))
    if scale is None:
        raise NotAPrice(f"{item}: a condition in {fields.get('unit')!r} is not known")
    bounds = {
        name: decimal(value, f"{item}: {name}")
        for name in ("gte", "gt", "lt", "lte")
        if (value := fields.get(name)) is not None
    }
    starts = [at_least(bounds["gte"], scale)] if "gte" in bounds else []
    starts += [above(bounds["gt"], scale)] if "gt" in bounds else []
    ends = [at_least(bounds["lt"], scale)] if "lt" in bounds else []
    ends += [above(bounds["lte"], scale)] if "lte" in bounds else []
    start, below = max([0, *starts]), min(ends, default=None)
    if below is not None and below <= start:
        raise NotAPrice(f"{item}: a condition that no call can meet")
    return _Sizes(start, below)
