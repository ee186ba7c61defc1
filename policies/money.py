"""Money is a whole number of nano-dollars; it is rounded here, once, upwards, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal
from typing import Final

from policies.errors import AmountOutOfRange

NANO_PER_UNIT: Final = 1_000_000_000
PICO_PER_NANO: Final = 1_000

# Redis' Lua counts in doubles, whose integers are exact up to 2**53. One less, so that a sum that
# lies just above a limit can never be rounded down to the limit itself.
EXACT_MAX: Final = 2**53 - 1

# With the common context, the product of an amount of more than 28 digits would be rounded to the
# nearest before it is rounded up. These digits hold every exact amount, so up stays up.
_UPWARDS: Final = Context(prec=28, rounding=ROUND_CEILING)


def exact(amount: int) -> int:
    """Return the amount if every counter can hold it exactly, in whatever unit it is.

    Raises:
        AmountOutOfRange: its magnitude is above `EXACT_MAX`.
    """
    if -EXACT_MAX <= amount <= EXACT_MAX:
        return amount
    message = f"{amount} is outside the exact range of ±{EXACT_MAX} (about 9.0 million whole units)"
    raise AmountOutOfRange(message)


def nano_from_pico(pico: int) -> int:
    """Return nano-units for pico-units, rounded up: a fraction is never given away."""
    return -(-pico // PICO_PER_NANO)


def nano_from_decimal(amount: Decimal) -> int:
    """Return nano-units for whole units (dollars, Flows, DIEM), rounded up.

    Raises:
        AmountOutOfRange: the amount is not finite, or too large to count exactly.
    """
    if not amount.is_finite() or abs(amount) > EXACT_MAX:
        message = f"{amount} is not an amount that can be counted exactly"
        raise AmountOutOfRange(message)
    nano = _UPWARDS.multiply(amount, NANO_PER_UNIT)
    return exact(int(nano.to_integral_value(rounding=ROUND_CEILING)))


def decimal_text(nano: int) -> str:
    """Return nano-units as decimal text in whole units, without exponent and trailing zeros."""
    sign = "-" if nano < 0 else ""
    whole, fraction = divmod(abs(nano), NANO_PER_UNIT)
    digits = f"{fraction:09d}".rstrip("0")
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount of US dollars, as a whole number of nano-dollars; negative for a credit."""

    nano_usd: int

    def __post_init__(self) -> None:
        """Refuse an amount that the ledger could not count exactly."""
        exact(self.nano_usd)

    @classmethod
    def from_usd(cls, amount: Decimal) -> Money:
        """Return dollars as `Money`, rounded up to the nano-dollar."""
        return cls(nano_from_decimal(amount))

    @property
    def usd(self) -> str:
        """The amount in dollars, as decimal text."""
        return decimal_text(self.nano_usd)

    def __add__(self, other: Money) -> Money:
        """Return the sum."""
        return Money(self.nano_usd + other.nano_usd)

    def __sub__(self, other: Money) -> Money:
        """Return the difference."""
        return Money(self.nano_usd - other.nano_usd)

    def __str__(self) -> str:
        """Return the amount as people write it."""
        return f"${self.usd}" if self.nano_usd >= 0 else f"-${self.usd[1:]}"
