"""Numbers as price lists write them: read exactly, or refused with a reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from typing import Final

from policies.rates import nano_per_count, pico_per_token

#: Above the largest context window on any list by two orders of magnitude.
TOKENS_MAX: Final = 1_000_000_000


#: What a message shows of a value that came from outside, in characters.
SHOWN_MAX: Final = 60


class NotAPrice(ValueError):
    """A list says something that cannot be taken as a price; the message says what."""


class Uncounted(NotAPrice):
    """A list names a fee that nothing known beforehand counts, so the model has no price."""


def decimal(value: object, what: str) -> Decimal:
    """Return a number of a list; a number that YAML read as a float is what its author wrote.

    Raises:
        NotAPrice: it is no number, or not a finite one.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise NotAPrice(f"{what}: {_shown(value)} is not a number")
    try:
        # The shortest text of a float, not the binary fraction next to it, is what was written.
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except InvalidOperation:
        raise NotAPrice(f"{what}: {_shown(value)} is not a number") from None
    if not number.is_finite():
        raise NotAPrice(f"{what}: {_shown(value)} is not a number")
    return number


def pico(usd_per_million: object, what: str) -> int:
    """Return pico-dollars per token for a list's dollars per million tokens.

    Raises:
        NotAPrice: it is no price.
    """
    amount = decimal(usd_per_million, what)
    try:
        return pico_per_token(amount)
    except ValueError as error:
        raise NotAPrice(f"{what}: {error}") from error


def nano(usd: object, what: str) -> int:
    """Return nano-dollars for a list's dollars per call, search or piece.

    Raises:
        NotAPrice: it is no price.
    """
    amount = decimal(usd, what)
    try:
        return nano_per_count(amount)
    except ValueError as error:
        raise NotAPrice(f"{what}: {error}") from error


def tokens(value: object, what: str) -> int:
    """Return a number of tokens that must be whole and above zero.

    Raises:
        NotAPrice: it is something else.
    """
    number = decimal(value, what)
    if not 0 < number <= TOKENS_MAX or number != number.to_integral_value():
        raise NotAPrice(f"{what}: {_shown(value)} is not a number of tokens")
    return int(number)


def tokens_if_any(value: object) -> int | None:
    """Return a number of tokens; None for anything else, because it only limits."""
    try:
        return tokens(value, "limit")
    except ValueError:
        return None


def at_least(thousands: Decimal, scale: int) -> int:
    """Return the smallest whole number of tokens that is not below so many thousands."""
    return int((thousands * scale).to_integral_value(rounding=ROUND_CEILING))


def above(thousands: Decimal, scale: int) -> int:
    """Return the smallest whole number of tokens that is above so many thousands."""
    return int((thousands * scale).to_integral_value(rounding=ROUND_FLOOR)) + 1


def mapping(value: object, what: str) -> Mapping[str, object]:
    """Return a JSON or YAML object.

    Raises:
        NotAPrice: it is something else.
    """
    if not isinstance(value, Mapping):
        raise NotAPrice(f"{what}: {_shown(value)} is not an object")
    return value


def sequence(value: object, what: str) -> Sequence[object]:
    """Return a JSON or YAML list.

    Raises:
        NotAPrice: it is something else.
    """
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise NotAPrice(f"{what}: {_shown(value)} is not a list")
    return value


def _shown(value: object) -> str:
    """Return a value as a message may show it: it came from outside and may be long."""
    text = repr(value)
    return text if len(text) <= SHOWN_MAX else f"{text[: SHOWN_MAX - 3]}..."
