"""What a budget counts: dollars, tokens, calls, or a provider's own credits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Final

from policies.errors import AmountOutOfRange
from policies.money import decimal_text, exact, nano_from_decimal

USD: Final = "USD"
TOKENS: Final = "tokens"
INPUT_TOKENS: Final = "input tokens"
OUTPUT_TOKENS: Final = "output tokens"
CALLS: Final = "calls"
#: Credits that providers are known to count in. The set is open: Venice added one this year.
CREDITS: Final = frozenset({"flows", "DIEM", "VCU", "BUNDLED_CREDITS", "EARNED_CREDITS"})
WHOLE_UNITS: Final = frozenset({TOKENS, INPUT_TOKENS, OUTPUT_TOKENS, CALLS})

_LIMIT: Final = re.compile(
    r"^\s*(?P<number>[0-9][0-9_]*(?:\.[0-9]+)?)\s*(?P<scale>[kM]?)\s+(?P<unit>\S.*?)\s*$"
)
_SCALE: Final = {"": 1, "k": 1_000, "M": 1_000_000}


def is_nano(unit: str) -> bool:
    """Tell whether amounts of this unit are whole numbers of nano-units (else of whole units)."""
    return unit not in WHOLE_UNITS


def parse_limit(text: str) -> tuple[str, int]:
    """Return the unit and the amount of a text such as `500 USD` or `2M tokens`.

    The amount is in nano-units for money and credits, in whole units for tokens and calls.

    Raises:
        ValueError: the text is not an amount, its unit is unknown, or it is out of range.
    """
    match = _LIMIT.match(text)
    if match is None and text.strip().startswith("-"):
        message = f"'{text}' is negative: a limit is zero or more"
        raise ValueError(message)
    if match is None:
        message = (
            f"'{text}' is not an amount: write a number and a unit, "
            "such as '500 USD' or '2M tokens'"
        )
        raise ValueError(message)
    unit = match["unit"]
    known = (USD, *sorted(WHOLE_UNITS), *sorted(CREDITS))
    if unit not in known:
        message = f"'{unit}' is not a unit that can be counted: use one of {', '.join(known)}"
        raise ValueError(message)
    try:
        amount = Decimal(match["number"].replace("_", "")) * _SCALE[match["scale"]]
        if is_nano(unit):
            return unit, nano_from_decimal(amount)
        if amount != amount.to_integral_value():
            message = f"'{text}': {unit} are counted in whole numbers"
            raise ValueError(message)
        return unit, exact(int(amount))
    except (AmountOutOfRange, InvalidOperation) as error:
        message = (
            f"'{text}' is too large: budgets count exactly up to about 9.0 million dollars "
            "or credits, and 9.0 quadrillion tokens or calls"
        )
        raise ValueError(message) from error


def amount_text(unit: str, amount: int) -> str:
    """Return an amount as people write it: `$12.5`, `1200 tokens`, `3.5 DIEM`."""
    if unit == USD:
        return f"${decimal_text(amount)}" if amount >= 0 else f"-${decimal_text(-amount)}"
    return f"{decimal_text(amount)} {unit}" if is_nano(unit) else f"{amount} {unit}"


def policy_text(unit: str, amount: int) -> str:
    """Return an amount as policies write it, for machines to read: `12.5 USD`, `1200 tokens`."""
    return f"{decimal_text(amount)} {unit}" if is_nano(unit) else f"{amount} {unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """What one call comes to in every unit that a budget may count."""

    #: Nano-dollars.
    nano_usd: int = 0
    #: All input tokens: uncached, read from a cache and written to one.
    input_tokens: int = 0
    output_tokens: int = 0
    calls: int = 1
    #: Nano-units by the name of a provider's credit.
    credits: Mapping[str, int] = field(default_factory=dict)

    def of(self, unit: str) -> int:
        """Return the amount in one unit; zero for a credit that the call does not touch."""
        if unit == USD:
            return self.nano_usd
        if unit == TOKENS:
            return self.input_tokens + self.output_tokens
        if unit == INPUT_TOKENS:
            return self.input_tokens
        if unit == OUTPUT_TOKENS:
            return self.output_tokens
        if unit == CALLS:
            return self.calls
        return self.credits.get(unit, 0)
