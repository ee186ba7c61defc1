"""Numbers as providers write them into receipts: read exactly, or refused with a reason."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from policies.errors import AmountOutOfRange
from policies.money import nano_from_decimal
from proxy.dialects.counts import TOKENS_MAX

#: What a reason shows of a value that came from outside, in characters.
SHOWN_MAX: Final = 60
# Ledgers of providers have ten to twenty decimals; whoever writes more means something else. With
# both bounds a sum of a few amounts is exact in a hundred digits.
_DECIMALS_MAX: Final = 60
_MAGNITUDE_MAX: Final = 15
# `Decimal` also takes blanks, underscores and the digits of other scripts for a number.
_TEXT: Final = re.compile(r"[+-]?\d{1,40}(?:\.\d{1,60})?(?:[eE][+-]?\d{1,3})?", re.ASCII)


class Unreadable(ValueError):
    """What came cannot be taken for a receipt; the message says why."""


def amount(value: object, what: str) -> Decimal:
    """Return money that was billed, in whole units: a JSON number, or one in a text.

    Args:
        value: an `int`, a `Decimal` or a text; a float is never money.
        what: how the provider calls it.

    Raises:
        Unreadable: it is no amount, or a negative one, or one that no call can have cost.
    """
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise Unreadable(f"{what} {shown(value)} is not an amount")
    if isinstance(value, str) and not _TEXT.fullmatch(value):
        raise Unreadable(f"{what} {shown(value)} is not an amount")
    number = Decimal(value)
    if not number.is_finite():
        raise Unreadable(f"{what} {shown(value)} is not an amount")
    if not number:
        return Decimal(0)
    if number < 0:
        raise Unreadable(f"{what} {shown(value)} is negative")
    exponent = number.as_tuple().exponent
    if number.adjusted() > _MAGNITUDE_MAX or not isinstance(exponent, int):
        raise Unreadable(f"{what} {shown(value)} is more than can be counted")
    if exponent < -_DECIMALS_MAX:
        raise Unreadable(f"{what} {shown(value)} has more decimals than money has")
    return number


def nano(value: object, what: str) -> int:
    """Return money that was billed, in nano-units, rounded up.

    Raises:
        Unreadable: it is no amount, or a negative one, or one that no call can have cost.
    """
    return nano_of(amount(value, what), what)


def nano_of(number: Decimal, what: str) -> int:
    """Return an amount in nano-units, rounded up.

    Raises:
        Unreadable: it is more than a counter can hold.
    """
    try:
        return nano_from_decimal(number)
    except AmountOutOfRange:
        raise Unreadable(f"{what} {shown(number)} is more than can be counted") from None


def tokens(value: object, what: str) -> int | None:
    """Return a number of tokens; None: null, which is what some servers write for zero.

    Raises:
        Unreadable: it is something else.
    """
    if value is None:
        return None
    number = amount(value, what)
    if number > TOKENS_MAX or number != number.to_integral_value():
        raise Unreadable(f"{what} {shown(value)} is not a number of tokens")
    return int(number)


def shown(value: object) -> str:
    """Return a value as a reason may show it: it came from outside and may be long."""
    text = f"{value:g}" if isinstance(value, Decimal) else _represented(value)
    return text if len(text) <= SHOWN_MAX else f"{text[: SHOWN_MAX - 3]}..."


def _represented(value: object) -> str:
    # The text of a list a million levels deep, or of an int of a million digits, is not to be had.
    if isinstance(value, str):
        return repr(value[:SHOWN_MAX])
    if isinstance(value, bool | None) or (isinstance(value, int) and abs(value) < 10**SHOWN_MAX):
        return repr(value)
    return f"({type(value).__name__})"
