"""The price of each part of a usage, as whole pico-dollars per token.

Micro-dollars per million tokens × tokens is exactly pico-dollars, so a list price such as $0.15 per
million is the whole number 150,000 here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Final

from policies.money import NANO_PER_UNIT

#: Micro-dollars in a dollar, and pico-dollars per token in a dollar per million tokens.
PICO_PER_TOKEN_PER_USD_PER_MILLION: Final = 1_000_000

# A misplaced comma must not pass as a price (facts/peers.md, 23). The dearest list prices known are
# $600 per million tokens and $0.035 per search; these lie far above.
USD_PER_MILLION_MAX: Final = Decimal(100_000)
USD_PER_COUNT_MAX: Final = Decimal(1_000)
#: More digits than any price has; it bounds the arithmetic that a hostile list can cause.
PRICE_DIGITS_MAX: Final = 60

# What a search costs where a list names tokens alone: the dearest in genai-prices 0.2.3.
WEB_SEARCH_NANO_USD_UNLISTED: Final = 35_000_000


def pico_per_token(usd_per_million: Decimal) -> int:
    """Return pico-dollars per token for dollars per million tokens; below one they round up.

    Raises:
        ValueError: the price is negative, not finite, or absurd.
    """
    return _scaled_up(usd_per_million, PICO_PER_TOKEN_PER_USD_PER_MILLION, USD_PER_MILLION_MAX)


def nano_per_count(usd: Decimal) -> int:
    """Return nano-dollars for the dollars that one search or one call costs, rounded up.

    Raises:
        ValueError: the price is negative, not finite, or absurd.
    """
    return _scaled_up(usd, NANO_PER_UNIT, USD_PER_COUNT_MAX)


def _scaled_up(amount: Decimal, scale: int, maximum: Decimal) -> int:
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"{amount} is not a price")
    if amount > maximum:
        raise ValueError(f"{amount:.6g} US dollars is absurd as a price: the limit is {maximum}")
    if len(amount.as_tuple().digits) > PRICE_DIGITS_MAX:
        raise ValueError(f"a price has at most {PRICE_DIGITS_MAX} digits")
    if 0 < amount * scale < 1:
        return 1
    scaled = Fraction(amount) * scale
    return -(-scaled.numerator // scaled.denominator)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What each part of a usage costs, in pico-dollars per token where no other unit is named."""

    input: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    #: None where the list names no such price; then audio has none: it may be ten times text's.
    audio_input: int | None
    #: The dearest of image and video input. `Usage` counts these as text: only bounds use it.
    media_input: int
    output: int
    #: Of each output token that was reasoning, instead of `output`.
    reasoning: int
    #: None as for `audio_input`.
    audio_output: int | None
    #: Nano-dollars for each search that the provider runs.
    web_search_nano: int
    #: Nano-dollars for each call, whatever it consumes.
    call_nano: int = 0

    @classmethod
    def of(  # noqa: PLR0913 - Every part of a usage may have its own rate.
        cls,
        *,
        input: int,  # noqa: A002 - The part's name, as everywhere.
        output: int,
        cache_read: int | None = None,
        cache_write_5m: int | None = None,
        cache_write_1h: int | None = None,
        audio_input: int | None = None,
        media_input: int | None = None,
        reasoning: int | None = None,
        audio_output: int | None = None,
        web_search_nano: int | None = None,
        call_nano: int = 0,
    ) -> Rates:
        """Return rates with those that a list leaves out filled in; none of them becomes zero.

        What is read from a cache or written to one counts as input, a longer cache life as the
        shorter one, reasoning as output, images and video as text, which is how every vendor that
        lists none bills them; a search as `WEB_SEARCH_NANO_USD_UNLISTED`. Audio stays unpriced.
        """
        read = input if cache_read is None else cache_read
        write_5m = input if cache_write_5m is None else cache_write_5m
        write_1h = write_5m if cache_write_1h is None else cache_write_1h
        return cls(
            input=input,
            cache_read=read,
            cache_write_5m=write_5m,
            cache_write_1h=write_1h,
            audio_input=audio_input,
            media_input=input if media_input is None else media_input,
            output=output,
            reasoning=output if reasoning is None else reasoning,
            audio_output=audio_output,
            web_search_nano=(
                WEB_SEARCH_NANO_USD_UNLISTED if web_search_nano is None else web_search_nano
            ),
            call_nano=call_nano,
        )

    def times(self, factor: Fraction) -> Rates:
        """Return the rates of a tier that multiplies token prices; fees stay as they are."""

        def up(pico: int) -> int:
            return -(-pico * factor.numerator // factor.denominator)

        return replace(
            self,
            input=up(self.input),
            cache_read=up(self.cache_read),
            cache_write_5m=up(self.cache_write_5m),
            cache_write_1h=up(self.cache_write_1h),
            audio_input=None if self.audio_input is None else up(self.audio_input),
            media_input=up(self.media_input),
            output=up(self.output),
            reasoning=up(self.reasoning),
            audio_output=None if self.audio_output is None else up(self.audio_output),
        )
