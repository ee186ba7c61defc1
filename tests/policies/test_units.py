"""Limits as people write them, and amounts in every unit."""

from __future__ import annotations

import pytest

from policies.money import EXACT_MAX
from policies.units import CREDITS, Amounts, amount_text, is_nano, parse_limit, policy_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500 USD", ("USD", 500_000_000_000)),
        ("0 USD", ("USD", 0)),
        ("0.50 USD", ("USD", 500_000_000)),
        ("5k USD", ("USD", 5_000_000_000_000)),
        ("  1_000  USD ", ("USD", 1_000_000_000_000)),
        ("9007199.254740991 USD", ("USD", EXACT_MAX)),
        ("2M tokens", ("tokens", 2_000_000)),
        ("2 M tokens", ("tokens", 2_000_000)),
        ("1.5k input tokens", ("input tokens", 1_500)),
        ("10 output tokens", ("output tokens", 10)),
        ("100 calls", ("calls", 100)),
        ("9007199254740991 calls", ("calls", EXACT_MAX)),
        ("3.5 flows", ("flows", 3_500_000_000)),
        ("1 DIEM", ("DIEM", 1_000_000_000)),
        ("1 VCU", ("VCU", 1_000_000_000)),
        ("1 BUNDLED_CREDITS", ("BUNDLED_CREDITS", 1_000_000_000)),
    ],
)
def test_a_limit_is_a_number_and_a_unit(text: str, expected: tuple[str, int]) -> None:
    assert parse_limit(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not an amount"),
        ("500", "is not an amount"),
        ("USD 500", "is not an amount"),
        ("$500", "is not an amount"),
        ("500USD", "is not an amount"),
        ("1e3 USD", "is not an amount"),
        ("1,000 USD", "is not an amount"),
        ("٣ USD", "is not an amount"),
        ("-5 USD", "is negative"),
        ("5 usd", "'usd' is not a unit"),
        ("5 USD a day", "'USD a day' is not a unit"),
        ("0.5 calls", "calls are counted in whole numbers"),
        ("9007199.254740992 USD", "is too large"),
        ("9007199254740992 tokens", "is too large"),
        ("9999999999999999999999999999999999999999M tokens", "is too large"),
    ],
)
def test_other_texts_are_refused_with_a_reason(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_limit(text)


def test_money_and_credits_are_counted_in_nano_units() -> None:
    assert is_nano("USD")
    assert all(is_nano(credit) for credit in CREDITS)
    assert not is_nano("tokens")
    assert not is_nano("calls")


@pytest.mark.parametrize(
    ("unit", "amount", "text"),
    [
        ("USD", 12_500_000_000, "$12.5"),
        ("USD", -12_500_000_000, "-$12.5"),
        ("tokens", 1_200, "1200 tokens"),
        ("DIEM", 3_500_000_000, "3.5 DIEM"),
    ],
)
def test_amounts_are_written_with_their_unit(unit: str, amount: int, text: str) -> None:
    assert amount_text(unit, amount) == text


@pytest.mark.parametrize("text", ["12.5 USD", "1200 tokens", "3.5 DIEM", "0 calls"])
def test_amounts_for_machines_are_written_as_in_policies(text: str) -> None:
    assert policy_text(*parse_limit(text)) == text


def test_a_call_comes_to_an_amount_in_every_unit() -> None:
    amounts = Amounts(nano_usd=7, input_tokens=30, output_tokens=400, credits={"DIEM": 9})

    assert {
        unit: amounts.of(unit)
        for unit in ("USD", "tokens", "input tokens", "output tokens", "calls", "DIEM", "flows")
    } == {
        "USD": 7,
        "tokens": 430,
        "input tokens": 30,
        "output tokens": 400,
        "calls": 1,
        "DIEM": 9,
        "flows": 0,
    }
