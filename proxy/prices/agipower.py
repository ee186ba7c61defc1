"""AGIPower's model lists: `pricings` with conditions on size (facts: providers.md, 1.8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from policies.pricing import Price
from proxy.prices.figures import (
    NotAPrice,
    Uncounted,
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
_KNOWN_UNITS: Final = frozenset({"perMTokens", "perCount", "perSecond"})
_TOKENS_PER: Final = {"kTokens": 1_000, "tokens": 1}
#: Fee items by the piece, and the parts that they price.
_COUNT_ITEMS: Final = {"web_search": "web_search_nano", "request": "call_nano"}
#: What an item is about when it cannot concern a call in text: `video`, `image_output` and so on.
_MEDIA: Final = ("audio", "image", "video")


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
    uncounted: set[str] = set()
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
            if isinstance(error, Uncounted):
                uncounted.add(model)
    return PriceList(prices=prices, refused=refused, uncounted=frozenset(uncounted))


def _price(model: str, row: Mapping[str, object]) -> Price:
    pricings = mapping(row.get("pricings"), "pricings")
    unpriced = _unpriced_media(pricings, row.get("output_modalities"))
    parts = _parts(pricings)
    images = [step.amount for step in _steps("image", pricings.get("image"), "perCount")]
    return Price(
        model=model,
        tiers=tiers_of(parts),
        context_window=tokens_if_any(row.get("context_length", row.get("inputTokenLimit"))),
        max_output_tokens=tokens_if_any(row.get("outputTokenLimit")),
        tool_fees={"image_generation": max(images)} if images else {},
        output_priced=OUTPUT in parts,
        unpriced_media=unpriced,
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
    for item, part in _COUNT_ITEMS.items():
        if steps := _steps(item, pricings.get(item), "perCount"):
            parts[part] = steps
    return parts


def _unpriced_media(pricings: Mapping[str, object], made: object) -> tuple[str, ...]:
    """Return the fees for media that no count of tokens or calls shows, such as `video perSecond`.

    Raises:
        Uncounted: there is such a fee that a call in text may cause, too.
        NotAPrice: a fee cannot be read.
    """
    modalities = made if isinstance(made, Sequence) else ()
    unpriced = []
    for item, rows in pricings.items():
        for unit in _uncounted_units(item, rows):
            about = [medium for medium in _MEDIA if medium in item]
            if not about and unit not in _KNOWN_UNITS and item in {*_TOKEN_ITEMS, *_COUNT_ITEMS}:
                raise NotAPrice(f"{item}: the unit '{unit}' is not known")
            if not about or any(medium in modalities for medium in about):
                raise Uncounted(f"{item}: what is charged for '{unit}' is not counted")
            unpriced.append(f"{item} {unit}")
    return tuple(dict.fromkeys(unpriced))


def _uncounted_units(item: str, rows: object) -> Iterator[str]:
    """Yield the unit of each fee of an item that is not zero, where nothing is counted by it."""
    for row in sequence(rows, item) if rows is not None else ():
        fields = mapping(row, item)
        unit = fields.get("unit")
        counted = (unit == "perMTokens" and item in _TOKEN_ITEMS) or (
            unit == "perCount" and item in _COUNT_ITEMS
        )
        if not counted and decimal(fields.get("value"), item) != 0:
            yield str(unit)


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
        if fields.get("unit") == unit:
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
