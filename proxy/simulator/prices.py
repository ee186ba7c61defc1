"""Own price arithmetic: integers of pico-dollars, rounded up to nano-dollars once per call."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

from proxy.simulator.usage import Usage

PICO_PER_NANO: Final = 1_000
#: One micro-dollar per million tokens is one pico-dollar per token.
MICRO_PER_DOLLAR: Final = 1_000_000
PICO_PER_DOLLAR: Final = 10**12


class Bound(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A condition on a token count, in thousands of tokens as the provider's list has it."""

    unit: str = "kTokens"
    gte: float | None = None
    gt: float | None = None
    lt: float | None = None
    lte: float | None = None

    def holds(self, tokens: int) -> bool:
        """Whether `tokens` lies within all the limits that are set."""
        return (
            (self.gte is None or tokens >= self.gte * 1_000)
            and (self.gt is None or tokens > self.gt * 1_000)
            and (self.lt is None or tokens < self.lt * 1_000)
            and (self.lte is None or tokens <= self.lte * 1_000)
        )


class Tier(msgspec.Struct, frozen=True):
    """One price with the sizes of a call it is valid for."""

    #: Micro-dollars per million tokens, or per count for web searches.
    micro_usd: int
    prompt: Bound | None = None
    completion: Bound | None = None

    def holds(self, usage: Usage) -> bool:
        """Whether this price applies to a call of such a size."""
        return (self.prompt is None or self.prompt.holds(usage.prompt)) and (
            self.completion is None or self.completion.holds(usage.completion)
        )


#: Fee item code (`prompt`, `completion`, `input_cache_read`, …) to its tiers.
Prices = dict[str, tuple[Tier, ...]]


class Item(msgspec.Struct, frozen=True):
    """One line of a bill: `pico_usd` for `count` units of a fee item."""

    code: str
    count: int
    micro_usd: int
    pico_usd: int


def rate(prices: Prices, code: str, usage: Usage) -> int:
    """The micro-dollars that one million units of a fee item cost in a call of this size."""
    for candidate in (code, *_STAND_INS.get(code, ())):
        for tier in prices.get(candidate, ()):
            if tier.holds(usage):
                return tier.micro_usd
    return 0


#: What a list without an own price for the item charges instead, first match wins.
_STAND_INS: Final[dict[str, tuple[str, ...]]] = {
    "input_cache_read": ("prompt",),
    "input_cache_write_5_min": ("input_cache_write", "prompt"),
    "input_cache_write_1_h": ("input_cache_write", "prompt"),
}


def itemise(prices: Prices, usage: Usage) -> list[Item]:
    """The bill of one call; reasoning is billed as completion."""
    counts = (
        ("prompt", usage.input),
        ("completion", usage.completion),
        ("input_cache_read", usage.cache_read),
        ("input_cache_write_5_min", usage.cache_write_5m),
        ("input_cache_write_1_h", usage.cache_write_1h),
    )
    items = []
    for code, count in counts:
        if count or code in {"prompt", "completion"}:
            micro_usd = rate(prices, code, usage)
            items.append(Item(code, count, micro_usd, count * micro_usd))
    if usage.web_searches:
        micro_usd = rate(prices, "web_search", usage)
        # A count is not divided by a million: its price is in dollars, not dollars per million.
        pico_usd = usage.web_searches * micro_usd * (PICO_PER_DOLLAR // MICRO_PER_DOLLAR)
        items.append(Item("web_search", usage.web_searches, micro_usd, pico_usd))
    return items


def nano_usd(pico_usd: int) -> int:
    """Rounded up, so that nothing is ever given away."""
    return -(-pico_usd // PICO_PER_NANO)


def list_price_pico_usd(prices: Prices, usage: Usage) -> int:
    """What the price list asks for this usage, unrounded."""
    return sum(item.pico_usd for item in itemise(prices, usage))


def shares(items: Sequence[Item], billed_nano_usd: int) -> list[int]:
    """Divide a bill among its items by their list prices; the shares add up to it exactly."""
    whole = sum(item.pico_usd for item in items)
    parts = [billed_nano_usd * item.pico_usd // whole if whole else 0 for item in items]
    if parts:
        parts[-1] += billed_nano_usd - sum(parts)
    return parts


def usd(nano_usd_: int) -> Decimal:
    """Nano-dollars as the dollars that stand in an answer."""
    return Decimal(nano_usd_).scaleb(-9)
