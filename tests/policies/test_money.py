"""Money: exact, rounded upwards, and readable."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal, localcontext

import pytest

from policies.errors import AmountOutOfRange
from policies.money import (
    EXACT_MAX,
    Money,
    decimal_text,
    exact,
    nano_from_decimal,
    nano_from_pico,
)


@pytest.mark.parametrize("amount", [0, 1, -1, EXACT_MAX, -EXACT_MAX])
def test_amounts_that_a_double_holds_are_exact(amount: int) -> None:
    assert exact(amount) == amount


@pytest.mark.parametrize("amount", [EXACT_MAX + 1, -EXACT_MAX - 1, 10**30])
def test_larger_amounts_are_refused(amount: int) -> None:
    with pytest.raises(AmountOutOfRange, match=r"about 9\.0 million"):
        exact(amount)


@pytest.mark.parametrize(
    ("pico", "nano"), [(0, 0), (1, 1), (999, 1), (1_000, 1), (1_001, 2), (-1, 0), (-1_001, -1)]
)
def test_a_fraction_of_a_nano_dollar_is_never_given_away(pico: int, nano: int) -> None:
    assert nano_from_pico(pico) == nano


@pytest.mark.parametrize(
    ("amount", "nano"),
    [
        ("0", 0),
        ("1", 10**9),
        ("0.000000001", 1),
        ("0.0000000011", 2),
        ("-0.0000000011", -1),
        ("6e-7", 600),
        ("1e-900", 1),
        ("9007199.254740991", EXACT_MAX),
        ("1.0000000000000000000000000000000000000001", 10**9 + 1),
        ("0.9999999999999999999999999999999999999999", 10**9),
    ],
)
def test_whole_units_become_nano_units_rounded_up(amount: str, nano: int) -> None:
    assert nano_from_decimal(Decimal(amount)) == nano


@pytest.mark.parametrize(
    "amount", ["NaN", "sNaN", "Infinity", "-Infinity", "1e400", "-1e30", "9007199.254740992"]
)
def test_amounts_that_cannot_be_counted_are_refused(amount: str) -> None:
    with pytest.raises(AmountOutOfRange):
        nano_from_decimal(Decimal(amount))


def test_the_context_of_the_caller_does_not_matter() -> None:
    with localcontext(prec=3, rounding=ROUND_DOWN):
        assert nano_from_decimal(Decimal("1234.567890123")) == 1_234_567_890_123


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (0, "0"),
        (1, "0.000000001"),
        (1_500_000, "0.0015"),
        (10**9, "1"),
        (12_500_000_000, "12.5"),
        (-1, "-0.000000001"),
        (-12_500_000_000, "-12.5"),
    ],
)
def test_amounts_are_written_without_exponents_and_trailing_zeros(nano: int, text: str) -> None:
    assert decimal_text(nano) == text


def test_money_adds_up() -> None:
    assert Money(3) + Money(4) == Money(7)
    assert Money(3) - Money(4) == Money(-1)
    assert Money(1) < Money(2)


def test_money_that_cannot_be_counted_does_not_come_to_be() -> None:
    with pytest.raises(AmountOutOfRange):
        Money(EXACT_MAX) + Money(1)


def test_money_is_written_as_people_write_it() -> None:
    money = Money.from_usd(Decimal("12.5"))

    assert money == Money(12_500_000_000)
    assert money.usd == "12.5"
    assert str(money) == "$12.5"
    assert str(Money(0) - money) == "-$12.5"
