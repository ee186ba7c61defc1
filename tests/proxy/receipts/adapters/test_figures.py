"""Numbers in receipts: taken exactly as written, rounded up once, or refused."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.money import EXACT_MAX
from proxy.receipts.adapters.figures import Unreadable, amount, nano, nano_of, shown, tokens

AMOUNTS = st.decimals(min_value=0, max_value=9_000_000, allow_nan=False, places=13)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal("0.0052"), 5_200_000),
        ("0.051006", 51_006_000),
        (Decimal("6e-7"), 600),
        ("6e-7", 600),
        ("6E-7", 600),
        ("+1.5e+1", 15_000_000_000),
        (3, 3_000_000_000),
        ("0", 0),
        (0, 0),
        ("-0.0", 0),
        ("0e-99", 0),
        (Decimal("1e-60"), 1),
        ("0.0000000001", 1),
        ("0.0000000010", 1),
        ("0.0000000011", 2),
        ("9007199.254740991", EXACT_MAX),
    ],
    ids=repr,
)
def test_money_is_a_number_or_a_text(value: object, expected: int) -> None:
    assert nano(value, "billAmount") == expected


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        [],
        {},
        0.1,
        "",
        " 1",
        "1 ",
        "1\n",
        "1_000",
        "1,5",
        "$1",
        "٣",
        "0x10",
        "free",
        "NaN",
        "sNaN",
        "Infinity",
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
        Decimal("-Infinity"),
    ],
    ids=repr,
)
def test_what_is_no_number_is_no_amount(value: object) -> None:
    with pytest.raises(Unreadable, match=r"billAmount .* is not an amount"):
        nano(value, "billAmount")


@pytest.mark.parametrize("value", [-1, "-0.0000000001", Decimal("-6e-7"), Decimal("-1E+9999999")])
def test_no_call_is_billed_with_less_than_nothing(value: object) -> None:
    with pytest.raises(Unreadable, match="is negative"):
        nano(value, "billAmount")


@pytest.mark.parametrize(
    "value",
    ["9007199.2547409911", "1e16", Decimal("1E+9999999"), 10**4_000, 10**16, "1e999"],
    ids=["sum", "1e16", "huge", "digits", "int", "1e999"],
)
def test_what_no_counter_holds_is_no_amount(value: object) -> None:
    with pytest.raises(Unreadable, match="is more than can be counted"):
        nano(value, "billAmount")


@pytest.mark.parametrize("value", ["1e-61", Decimal("1E-9999999"), "1.5e-60"])
def test_a_number_of_decimals_that_no_money_has(value: object) -> None:
    with pytest.raises(Unreadable, match="has more decimals than money has"):
        nano(value, "billAmount")


@given(AMOUNTS)
def test_every_way_of_writing_an_amount_is_the_same_and_rounded_up(number: Decimal) -> None:
    exact = math.ceil(Fraction(number) * 1_000_000_000)

    assert nano(number, "a") == nano(str(number), "a") == nano(f"{number:e}", "a") == exact


@given(st.integers(min_value=0, max_value=9_000_000))
def test_whole_amounts_lose_nothing(number: int) -> None:
    assert nano(number, "a") == number * 1_000_000_000


@given(st.one_of(st.text(), st.integers(), st.floats(), st.decimals(), st.booleans()))
def test_anything_is_an_amount_or_is_refused(value: object) -> None:
    try:
        number = amount(value, "a")
    except Unreadable:
        return

    assert number >= 0


def test_a_sum_may_be_more_than_its_parts_could_be() -> None:
    assert nano_of(Decimal("1.0000000001"), "a") == 1_000_000_001
    with pytest.raises(Unreadable, match="more than can be counted"):
        nano_of(Decimal(10_000_000), "a")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, None), (0, 0), (128, 128), ("128", 128), (Decimal("128.0"), 128), ("1e3", 1_000)],
    ids=repr,
)
def test_tokens_are_whole(value: object, expected: int | None) -> None:
    assert tokens(value, "prompt_tokens") == expected


@pytest.mark.parametrize("value", [True, -1, "1.5", Decimal("0.5"), 2**40 + 1, "many", []])
def test_what_cannot_be_a_number_of_tokens(value: object) -> None:
    with pytest.raises(Unreadable, match="prompt_tokens"):
        tokens(value, "prompt_tokens")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a" * 1_000, "'" + "a" * 56 + "..."),
        ("\ud800", "'\\ud800'"),
        (10**4_000, "(int)"),
        ([[[]]], "(list)"),
        (Decimal("6E-7"), "6e-7"),
        (None, "None"),
    ],
)
def test_a_reason_shows_little_of_what_came(value: object, text: str) -> None:
    assert shown(value) == text
