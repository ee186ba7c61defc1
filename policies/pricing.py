"""What a model costs: usage to money, and the most that a token can cost.

A call is summed in pico-dollars and rounded once, upwards, to nano-dollars. Where prices come from
is `proxy/prices`' business; how they are chosen, and what a missing one counts as, is decided in
docs/decisions/0003-prices.md.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from policies.money import NANO_PER_UNIT, PICO_PER_NANO, Money, nano_from_pico
from policies.rates import Rates
from policies.units import Amounts
from policies.usage import Usage

#: Service tiers that cost the standard price or less. Any other must be priced by name.
TIERS_AT_MOST_STANDARD: Final = frozenset(
    {
        "",
        "auto",
        "batch",
        "default",
        "flex",
        "off_peak",
        "offpeak",
        "on_demand",
        "provisioned_throughput",
        "scale",
        "standard",
        "standard_only",
        "traffic_type_unspecified",
        "unspecified",
    }
)


@dataclass(frozen=True, slots=True)
class Unpriced:
    """What this costs is not known; it is never taken as nothing."""

    #: A sentence without a full stop, for a refusal and for the journal.
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """Rates that hold for calls of a size: a long-context tier reprices the whole call."""

    #: The smallest total input, cached or not, that has these rates.
    from_input_tokens: int = 0
    #: The smallest total output that has them; a few lists tell short answers from long ones.
    from_output_tokens: int = 0
    rates: Rates


Tiers = tuple[Tier, ...]


class Ceiling(NamedTuple):
    """The most that one unit of each part can cost, over every tier that a call may reach."""

    #: Pico-dollars per token.
    input: int
    output: int
    #: Nano-dollars.
    web_search_nano: int
    call_nano: int


# From (input, output) tokens on: the dearest input for text, text that may be cached for an hour,
# media, and media that may be cached so; the dearest output for text and for audio; search; call;
# and whether audio has a price at all.
_Reach = tuple[int, int, tuple[int, int, int, int], tuple[int, int], int, int, bool]

#: The version at the end of a tool's name: `code_execution_20250825`, `web_search_preview_2025_03_11`.
_TOOL_VERSION: Final = re.compile(r"(?:_preview)?(?:_\d{8}|_\d{4}_\d{2}_\d{2})?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What one model costs at one provider. A call keeps the price that it was quoted with."""

    model: str
    #: For calls in no service tier, or in one that is at most as dear.
    tiers: Tiers
    #: By the service tier's name, as `tier_word` spells it.
    service_tiers: Mapping[str, Tiers] = field(default_factory=dict)
    #: Tokens of input at most; a longer request is refused by the provider.
    context_window: int | None = None
    #: Tokens of output per choice at most.
    max_output_tokens: int | None = None
    #: Tokens that one byte of a request can become; more than one for a tokenizer that normalises.
    tokens_per_byte_max: int = 1
    #: Nano-dollars per call of a tool that the provider runs, by its kind.
    tool_fees: Mapping[str, int] = field(default_factory=dict)
    #: Nano-credits for one dollar, by the credit's name (DIEM, flows).
    credits_per_usd: Mapping[str, int] = field(default_factory=dict)
    #: Without it a call that has output is unpriced: a list of embeddings names no such price.
    output_priced: bool = True
    #: Fees for images, video or audio that no token count shows, such as `video perSecond`: with any
    #: of them, a call that may contain media is unpriced.
    unpriced_media: tuple[str, ...] = ()
    #: Who says so, such as `configuration` or `genai-prices 0.2.3`.
    source: str
    #: Names these very rates and limits: equal versions cost the same.
    version: str = field(init=False)
    #: Tokens of input from which on the last tier of any table holds.
    last_tier_from: int = field(init=False, repr=False, compare=False)
    _reach: Mapping[str, tuple[_Reach, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the tiers, and prepare what every quote would work out again.

        Raises:
            ValueError: a size of call has no rates, or a service tier no name.
        """
        if "" in map(tier_word, self.service_tiers):
            raise ValueError("a service tier needs a name")
        standard_tiers = _in_order(self.tiers)
        named = {tier_word(word): _in_order(tiers) for word, tiers in self.service_tiers.items()}
        standard = _reach_of(standard_tiers)
        # A tier that is asked for may be granted or not: the answer says which. Both are reachable.
        reach = {word: standard + _reach_of(tiers) for word, tiers in named.items()}
        object.__setattr__(self, "tiers", standard_tiers)
        object.__setattr__(self, "service_tiers", named)
        object.__setattr__(self, "_reach", {"": standard, **reach})
        every = [tier for tiers in (standard_tiers, *named.values()) for tier in tiers]
        last_tier_from = max(tier.from_input_tokens for tier in every)
        object.__setattr__(self, "last_tier_from", last_tier_from)
        object.__setattr__(self, "version", self._hash())

    def _hash(self) -> str:
        said = (
            self.tiers,
            sorted(self.service_tiers.items()),
            self.context_window,
            self.max_output_tokens,
            self.tokens_per_byte_max,
            sorted(self.tool_fees.items()),
            self.output_priced,
            self.unpriced_media,
        )
        return hashlib.sha256(repr(said).encode()).hexdigest()[:12]

    def cost(self, usage: Usage, service_tier: str | None = None) -> Money | Unpriced:
        """Return what a usage costs, rounded up once; for quotes and for settlements alike.

        Raises:
            AmountOutOfRange: it is more than the ledger can count.
        """
        tiers = self.tiers if service_tier is None else self._table(service_tier)
        if tiers is None:
            return _unknown_tier(self.model, service_tier)
        output_tokens = usage.output_tokens
        audio_tokens = usage.audio_output_tokens
        if not self.output_priced and (output_tokens or audio_tokens):
            return Unpriced(f"the price list names no price for output of {self.model}")
        if len(tiers) == 1:
            rates = tiers[0].rates
        else:
            rates = _rates_at(tiers, usage.total_input_tokens, output_tokens + audio_tokens)
        audio_pico = 0
        if usage.audio_input_tokens or audio_tokens:
            priced = self._audio_pico(usage, rates)
            if isinstance(priced, Unpriced):
                return priced
            audio_pico = priced
        # Reasoning is a part of the output, whatever a provider says beyond that.
        reasoning_tokens = min(usage.reasoning_tokens, output_tokens)
        nano = usage.web_searches * rates.web_search_nano + rates.call_nano
        pico = (
            usage.input_tokens * rates.input
            + usage.cache_read_tokens * rates.cache_read
            + usage.cache_write_5m_tokens * rates.cache_write_5m
            + usage.cache_write_1h_tokens * rates.cache_write_1h
            + (output_tokens - reasoning_tokens) * rates.output
            + reasoning_tokens * rates.reasoning
            + audio_pico
            + nano * PICO_PER_NANO
        )
        return Money(nano_from_pico(pico))

    def amounts(self, usage: Usage, service_tier: str | None = None) -> Amounts | Unpriced:
        """Return what a usage comes to in every unit that a budget may count."""
        cost = self.cost(usage, service_tier)
        if isinstance(cost, Unpriced):
            return cost
        return Amounts(
            nano_usd=cost.nano_usd,
            input_tokens=usage.total_input_tokens,
            output_tokens=usage.total_output_tokens,
            credits=self.credits(cost.nano_usd),
        )

    def credits(self, nano_usd: int) -> dict[str, int]:
        """Return nano-credits for nano-dollars, by credit, rounded up."""
        return {
            name: -(-nano_usd * per_usd // NANO_PER_UNIT)
            for name, per_usd in self.credits_per_usd.items()
        }

    def ceiling(
        self,
        *,
        input_tokens: int,
        output_tokens: int,
        service_tier: str | None = None,
        media: bool = False,
        hour_cache: bool = False,
        audio: bool = False,
    ) -> Ceiling | Unpriced:
        """Return the dearest rate of each part over every tier that so many tokens may reach.

        Args:
            media: the input or the output may be something else than text.
            hour_cache: the input may be written to a cache that lives for an hour.
            audio: the input or the output may be audio, which text's price says nothing about.
        """
        reach = self._reach[""] if service_tier is None else self._reach_for(service_tier)
        if reach is None:
            return _unknown_tier(self.model, service_tier)
        if output_tokens and not self.output_priced:
            return Unpriced(f"the price list names no price for output of {self.model}")
        if self.unpriced_media and (media or audio):
            return self._unpriced_media()
        media = media or audio
        column = 2 * media + hour_cache
        dearest_input = dearest_output = search = call = 0
        for from_input, from_output, inputs, outputs, search_nano, call_nano, has_audio in reach:
            if from_input <= input_tokens and from_output <= output_tokens:
                if audio and not has_audio:
                    return self._unpriced_audio()
                dearest_input = max(dearest_input, inputs[column])
                dearest_output = max(dearest_output, outputs[media])
                search = max(search, search_nano)
                call = max(call, call_nano)
        return Ceiling(dearest_input, dearest_output, search, call)

    def tool_fee(self, kind: str) -> int | None:
        """Return nano-dollars for one call of a tool that the provider runs; None: nobody says.

        A fee holds for every version of a tool unless one of its own is stated. Searches that a
        `Usage` counts are in its `cost` already, at the rate for searches.
        """
        fee = self.tool_fees.get(kind)
        return self.tool_fees.get(_TOOL_VERSION.sub("", kind)) if fee is None else fee

    def _audio_pico(self, usage: Usage, rates: Rates) -> int | Unpriced:
        if self.unpriced_media:
            return self._unpriced_media()
        pico = 0
        for tokens, rate in (
            (usage.audio_input_tokens, rates.audio_input),
            (usage.audio_output_tokens, rates.audio_output),
        ):
            if tokens and rate is None:
                return self._unpriced_audio()
            pico += tokens * (rate or 0)
        return pico

    def _unpriced_audio(self) -> Unpriced:
        return Unpriced(f"the price list names no price for audio of {self.model}")

    def _unpriced_media(self) -> Unpriced:
        items = ", ".join(self.unpriced_media)
        return Unpriced(f"{self.model} has fees for media that tokens do not show: {items}")

    def _table(self, service_tier: str) -> Tiers | None:
        word = tier_word(service_tier)
        named = self.service_tiers.get(word)
        if named is None and word in TIERS_AT_MOST_STANDARD:
            return self.tiers
        return named

    def _reach_for(self, service_tier: str) -> tuple[_Reach, ...] | None:
        word = tier_word(service_tier)
        named = self._reach.get(word)
        if named is None and word in TIERS_AT_MOST_STANDARD:
            return self._reach[""]
        return named


def tier_word(service_tier: str) -> str:
    """Return a service tier's name in one spelling: Vertex' `ON_DEMAND_PRIORITY` is `priority`."""
    return service_tier.strip().casefold().replace("-", "_").removeprefix("on_demand_")


def _unknown_tier(model: str, service_tier: str | None) -> Unpriced:
    return Unpriced(f"what {model} costs in service tier '{service_tier}' is not known")


def _in_order(tiers: Tiers) -> Tiers:
    """Return tiers by size.

    Raises:
        ValueError: a size of call has no rates, or two.
    """
    ordered = tuple(
        sorted(tiers, key=lambda tier: (tier.from_input_tokens, tier.from_output_tokens))
    )
    starts = [(tier.from_input_tokens, tier.from_output_tokens) for tier in ordered]
    if len(set(starts)) != len(starts):
        raise ValueError("two tiers begin at the same size")
    if (0, 0) not in starts or any((size, 0) not in starts for size, _ in starts):
        raise ValueError("the tiers leave out a size of call")
    return ordered


def _rates_at(tiers: Tiers, input_tokens: int, output_tokens: int) -> Rates:
    for tier in reversed(tiers):
        if tier.from_input_tokens <= input_tokens and tier.from_output_tokens <= output_tokens:
            return tier.rates
    raise AssertionError("the first tier begins at zero")  # pragma: no cover - `_in_order` checks.


def _reach_of(tiers: Tiers) -> tuple[_Reach, ...]:
    reach = []
    for tier in tiers:
        rates = tier.rates
        text = max(rates.input, rates.cache_read, rates.cache_write_5m)
        media = max(text, rates.audio_input or 0, rates.media_input)
        hour = rates.cache_write_1h
        output = max(rates.output, rates.reasoning)
        reach.append(
            (
                tier.from_input_tokens,
                tier.from_output_tokens,
                (text, max(text, hour), media, max(media, hour)),
                (output, max(output, rates.audio_output or 0)),
                rates.web_search_nano,
                rates.call_nano,
                rates.audio_input is not None or rates.audio_output is not None,
            )
        )
    return tuple(reach)
