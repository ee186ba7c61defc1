"""Venice's cost in the answer (facts: providers.md, 2.1)."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.money import EXACT_MAX
from proxy.receipts.adapters.venice import Venice
from proxy.receipts.receipt import Final, UnknownId
from tests.proxy.receipts.adapters.configured import JSON, NAMES, Configured, makes_sense, read

ID = "chatcmpl-a81fbc2d81a7a083bb83ccf9f44c6e5e"


def adapter(billing_key: str = "") -> Venice:
    return Venice(Configured(kind="venice", billing_key=billing_key))


def outcome(cost: object, **more: Any) -> dict[str, Any]:
    return {"certainty": "exact", "reported_cost": cost, "generation_ids": [ID], **more}


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        # The documented sample: {"diem": 0, "usd": 0.00042}.
        ({"USD": "0.00042", "DIEM": "0"}, Final(nano_usd=420_000, generation_id=ID)),
        ({"USD": "0.00042"}, Final(nano_usd=420_000, generation_id=ID)),
        (
            {"USD": "0", "DIEM": "6e-7"},
            Final(nano_usd=600, credits={"DIEM": 600}, currency="DIEM", generation_id=ID),
        ),
        (
            {"USD": "0.1", "DIEM": "0.2"},
            Final(
                nano_usd=300_000_000,
                credits={"DIEM": 200_000_000},
                currency="USD+DIEM",
                generation_id=ID,
            ),
        ),
        # Without output nothing is billed.
        ({"USD": "0", "DIEM": "0"}, Final(nano_usd=0, generation_id=ID)),
        # Rounded once: each part alone would be one nano-dollar.
        (
            {"USD": "0.0000000004", "DIEM": "0.0000000004"},
            Final(nano_usd=1, credits={"DIEM": 1}, currency="USD+DIEM", generation_id=ID),
        ),
    ],
)
def test_the_answers_own_cost_is_its_receipt(cost: dict[str, str], expected: Final) -> None:
    assert adapter().at_once(outcome(cost)) == expected


@pytest.mark.parametrize(
    "told",
    [
        outcome({"USD": "1"}, cut=True),
        outcome({"USD": "1"}, certainty="at_least"),
        outcome({"USD": "1", "EARNED_CREDITS": "1"}),
        outcome({"USD": "1", "DIEM": "-1"}),
        outcome({"USD": "9000000", "DIEM": "9000000"}),
        outcome({"DIEM": "99999999"}),
        outcome(None),
        {},
    ],
    ids=str,
)
def test_what_was_cut_or_makes_no_sense_is_no_receipt(told: dict[str, Any]) -> None:
    assert adapter().at_once(told) is None


def test_the_ledger_is_the_truth_where_it_can_be_read() -> None:
    assert adapter("VENICE_ADMIN_KEY_x").at_once(outcome({"USD": "1"})) is None
    assert adapter("VENICE_ADMIN_KEY_x").never is None


def test_without_an_admin_key_no_bill_will_come() -> None:
    assert "set billing_key" in (adapter().never or "")


def test_no_id_can_be_looked_up() -> None:
    assert adapter().targets(ID) == ()
    assert read(adapter(), {"data": []}, ID) == UnknownId()


AMOUNTS = st.decimals(min_value=0, max_value=4_000_000, allow_nan=False, places=14)


@given(AMOUNTS, AMOUNTS)
def test_both_currencies_are_added_exactly_and_rounded_up_once(usd: Decimal, diem: Decimal) -> None:
    receipt = adapter().at_once(outcome({"USD": str(usd), "DIEM": str(diem)}))

    assert receipt is not None
    assert receipt.nano_usd == math.ceil((Fraction(usd) + Fraction(diem)) * 1_000_000_000)
    assert receipt.credits.get("DIEM", 0) == math.ceil(Fraction(diem) * 1_000_000_000)
    assert receipt.nano_usd <= EXACT_MAX


@given(st.dictionaries(NAMES, JSON))
def test_it_never_raises(anything: dict[str, Any]) -> None:
    assert (receipt := adapter().at_once(anything)) is None or makes_sense(receipt)
