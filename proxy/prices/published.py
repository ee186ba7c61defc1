"""Published list prices (genai-prices, MIT): the data in the wheel, read offline.

Its own arithmetic takes a quarter of a millisecond per call (facts: prices-and-tokens.md), so a
model's prices are compiled once and used as integers; the tests hold the two against each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.metadata import version
from typing import Final

from genai_prices.types import (
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from policies.clock import utc
from policies.pricing import Price, Tiers, tier_word
from proxy.prices.figures import NotAPrice, nano, pico, tokens_if_any
from proxy.prices.names import bare
from proxy.prices.steps import INPUT, OUTPUT, Step, tiers_of

SOURCE: Final = f"genai-prices {version('genai-prices')}"

#: Whose prices a kind of provider has. Venice is not here: it adds to what others publish.
_PROVIDER_OF_KIND: Final = {
    "anthropic": "anthropic",
    "google": "google",
    "openai": "openai",
    "openrouter": "openrouter",
}
#: Kinds that pass on the prices of whoever made the model, named before the slash.
_KINDS_BY_OWNER: Final = frozenset({"agipower", "vercel"})
_PROVIDER_OF_OWNER: Final = {
    "amazon": "aws",
    "meta-llama": "meta",
    "mistralai": "mistral",
    "moonshot": "moonshotai",
    "xai": "x-ai",
    "z-ai": "zai",
}

#: Keys of the data and the parts that they price; of several keys for a part the dearest counts.
_TOKEN_KEYS: Final = {
    "input_mtok": INPUT,
    "output_mtok": OUTPUT,
    # `Usage` does not tell images from text; models that make them answer with little else.
    "output_image_mtok": OUTPUT,
    "output_video_mtok": OUTPUT,
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write_5m",
    "cache_write_5m_mtok": "cache_write_5m",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "audio_input",
    "input_image_mtok": "media_input",
    "input_video_mtok": "media_input",
    "output_reasoning_mtok": "reasoning",
    "output_audio_mtok": "audio_output",
}
#: Prices of a thousand pieces.
_COUNT_KEYS: Final = {"web_searches_kcount": "web_search_nano", "requests_kcount": "call_nano"}
#: A search in the caller's own files is a tool of the provider.
_FILE_SEARCH_KEY: Final = "storage_searches_kcount"
#: What the data may make a variant depend on that this proxy calls a service tier.
_TIER_KEYS: Final = frozenset({"service_tier", "speed", "processing"})

_Prices = Mapping[str, Decimal | TieredPrices]


@dataclass(frozen=True, slots=True)
class Published:
    """A published price, and until when it may be kept."""

    price: Price
    #: The id of the model in the data; a caller may write it in many ways.
    model: str
    #: Milliseconds since the epoch; None while no later price is announced.
    until_ms: int | None


class PublishedPrices:
    """Looks published prices up."""

    def __init__(self, providers: Sequence[Provider] | None = None) -> None:
        """Take the data of the wheel, or others for a test."""
        self._given = providers

    @property
    def _providers(self) -> Sequence[Provider]:
        if self._given is None:
            from genai_prices.data import providers  # noqa: PLC0415 - A fifth of a second, once.

            self._given = providers
        return self._given

    def find(self, kind: str, spellings: tuple[str, ...], now_ms: int) -> Published | None:
        """Return the price of a model at a kind of provider, by the first name that is known."""
        at = utc(now_ms)
        for name in spellings:
            for provider in self._providers_for(kind, name):
                reference = name if kind == "openrouter" else bare(name)
                info = provider.find_model(reference, all_providers=list(self._providers))
                if info is not None and (price := compiled(name, info, at)) is not None:
                    return Published(price, info.id, _until_ms(info, at))
        return None

    def _providers_for(self, kind: str, name: str) -> Iterator[Provider]:
        wanted = _PROVIDER_OF_KIND.get(kind)
        if kind in _KINDS_BY_OWNER:
            owner = name.partition("/")[0].casefold() if "/" in name else ""
            wanted = _PROVIDER_OF_OWNER.get(owner, owner)
        for provider in self._providers:
            if wanted == provider.id or (wanted == "" and _claims(provider, name)):
                yield provider


# The published data leave these out for some models, and SDKs send no limit of their own: without them
# a plain google-genai call had no bound. Google's model pages: 1,048,576 tokens in, 65,536 out, for
# every Gemini 2.5 and 3.
_GEMINI: Final = ("gemini-2.5", "gemini-3")
_GEMINI_LIMITS: Final = (1_048_576, 65_536)


def _claims(provider: Provider, name: str) -> bool:
    """Tell whether a model's name alone says that it is this provider's."""
    return provider.model_match is not None and provider.model_match.is_match(name.lower())


def compiled(model: str, info: ModelInfo, at: datetime) -> Price | None:
    """Return the compiled price; None when the model is not priced by tokens."""
    alternatives = [_stated(prices) for prices in _alternatives(info, at)]
    standard = alternatives[0]
    try:
        tiers = _tiers(alternatives)
        named = {
            word: _tiers([{**prices, **changed} for prices in alternatives])
            for word, changed in _service_tiers(info, at).items()
        }
        file_search = standard.get(_FILE_SEARCH_KEY)
        fees = {} if file_search is None else {"file_search": _per_piece(file_search)}
    except NotAPrice:
        return None
    window, output = _GEMINI_LIMITS if info.id.startswith(_GEMINI) else (None, None)
    return Price(
        model=model,
        tiers=tiers,
        service_tiers=named,
        context_window=tokens_if_any(info.context_window) or window,
        max_output_tokens=output,
        tool_fees=fees,
        output_priced=any(_TOKEN_KEYS.get(key) == OUTPUT for key in standard),
        source=SOURCE,
    )


def _alternatives(info: ModelInfo, at: datetime) -> list[ModelPrice]:
    """Return the prices of this day: several where they depend on the hour.

    A call may outlast the hour that it was quoted in, so the dearest counts, and no discount by
    the hour is given; the receipt has it.
    """
    if isinstance(info.prices, ModelPrice):
        return [info.prices]
    found = []
    for conditional in reversed(info.prices):
        if isinstance(conditional.constraint, TimeOfDateConstraint):
            found.append(conditional.prices)
        elif conditional.constraint is None or conditional.constraint.active(at):
            return [*found, conditional.prices]
    return [*found, info.prices[0].prices]


def _service_tiers(info: ModelInfo, at: datetime) -> dict[str, dict[str, Decimal | TieredPrices]]:
    """Return what each service tier prices otherwise; of two variants the first counts."""
    found: dict[str, dict[str, Decimal | TieredPrices]] = {}
    for variant in info.price_variants or ():
        if len(variant.when) == 1 and variant.when.keys() <= _TIER_KEYS and _active(variant, at):
            word = tier_word(next(iter(variant.when.values())))
            changed = found.setdefault(word, {})
            for key, value in _stated(variant.prices).items():
                changed.setdefault(key, value)
    return found


def _active(variant: PriceVariant, at: datetime) -> bool:
    return variant.constraint is None or variant.constraint.active(at)


def _stated(prices: ModelPrice) -> dict[str, Decimal | TieredPrices]:
    return {
        key: value
        for key, value in vars(prices).items()
        if isinstance(value, Decimal | TieredPrices)
    }


def _tiers(alternatives: Sequence[_Prices]) -> Tiers:
    parts: dict[str, tuple[Step, ...]] = {}
    for prices in alternatives:
        for key, value in prices.items():
            if (part := _TOKEN_KEYS.get(key)) is not None:
                parts[part] = parts.get(part, ()) + _steps(key, value)
            elif (fee := _COUNT_KEYS.get(key)) is not None:
                parts[fee] = (*parts.get(fee, ()), Step(amount=_per_piece(value)))
    return tiers_of(parts)


def _steps(key: str, value: Decimal | TieredPrices) -> tuple[Step, ...]:
    """Return the steps of one key: a tier holds for calls with more input than its start."""
    if isinstance(value, Decimal):
        return (Step(amount=pico(value, key)),)
    starts = [tier.start + 1 for tier in value.tiers]
    amounts = [value.base, *(tier.price for tier in value.tiers)]
    return tuple(
        Step(amount=pico(amount, key), from_input=start, below_input=below)
        for amount, start, below in zip(amounts, [0, *starts], [*starts, None], strict=True)
    )


def _per_piece(per_thousand: Decimal | TieredPrices) -> int:
    """Return nano-dollars for one piece, at the dearest tier."""
    if isinstance(per_thousand, TieredPrices):
        return max(_per_piece(price) for price in (per_thousand.base, *_tier_prices(per_thousand)))
    return nano(per_thousand / 1_000, "price per thousand")


def _tier_prices(tiered: TieredPrices) -> list[Decimal]:
    return [tier.price for tier in tiered.tiers]


def _until_ms(info: ModelInfo, at: datetime) -> int | None:
    """Return when the next announced price begins."""
    conditions: list[ConditionalPrice | PriceVariant] = list(info.price_variants or ())
    if not isinstance(info.prices, ModelPrice):
        conditions += info.prices
    today = at.date()
    later = [
        condition.constraint.start_date
        for condition in conditions
        if isinstance(condition.constraint, StartDateConstraint)
        and condition.constraint.start_date > today
    ]
    if not later:
        return None
    midnight = datetime.combine(min(later), datetime.min.time(), tzinfo=UTC)
    return (midnight - datetime.fromtimestamp(0, tz=UTC)) // timedelta(milliseconds=1)
