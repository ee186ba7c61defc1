"""Money is never lost in rounding, and comes back from text as it went in."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from policies.money import EXACT_MAX, NANO_PER_UNIT, decimal_text, nano_from_decimal, nano_from_pico
from policies.units import CREDITS, WHOLE_UNITS, is_nano, parse_limit

amounts = st.integers(-EXACT_MAX, EXACT_MAX)
# More digits than any sane price, and exponents far beyond it.
decimals = st.builds(
    lambda sign, digits, exponent: Decimal((sign, tuple(map(int, str(digits))), exponent)),
    st.integers(0, 1),
    st.integers(0, 10**45),
    st.integers(-60, 0),
).filter(lambda amount: abs(amount) < 9_000_000)


@given(decimals)
def test_rounding_goes_up_by_less_than_one_nano_unit(amount: Decimal) -> None:
    nano = nano_from_decimal(amount)

    exact = Fraction(amount) * NANO_PER_UNIT

    assert 0 <= nano - exact < 1


@given(st.integers(-(10**20), 10**20))
def test_pico_units_round_up_by_less_than_one_nano_unit(pico: int) -> None:
    assert 0 <= nano_from_pico(pico) - Fraction(pico, 1_000) < 1


@given(decimals, decimals)
def test_a_larger_amount_never_rounds_to_less(one: Decimal, other: Decimal) -> None:
    small, large = sorted((one, other))

    assert nano_from_decimal(small) <= nano_from_decimal(large)


@given(amounts)
def test_text_and_back_is_the_same_amount(nano: int) -> None:
    text = decimal_text(nano)

    assert nano_from_decimal(Decimal(text)) == nano
    assert "e" not in text.lower()
    assert "." not in text or not text.endswith("0")


@given(
    amount=st.integers(0, EXACT_MAX),
    unit=st.sampled_from(["USD", *sorted(WHOLE_UNITS), *sorted(CREDITS)]),
)
def test_a_limit_is_read_as_it_was_written(amount: int, unit: str) -> None:
    text = decimal_text(amount) if is_nano(unit) else str(amount)

    assert parse_limit(f"{text} {unit}") == (unit, amount)


@given(st.text() | st.from_regex(r"[-+]?[0-9_.]{1,25} ?[kM]? (USD|tokens|calls|DIEM|EUR)"))
def test_any_text_is_a_countable_limit_or_refused(text: str) -> None:
    with suppress(ValueError):
        unit, amount = parse_limit(text)

        assert unit
        assert 0 <= amount <= EXACT_MAX
