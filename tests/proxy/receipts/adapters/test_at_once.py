"""Whether an answer's own cost can be believed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.receipts.adapters.at_once import first_id, told
from tests.proxy.receipts.adapters.configured import JSON, NAMES


def outcome(cost: object, **more: Any) -> dict[str, Any]:
    return {"certainty": "exact", "finish": "stop", "reported_cost": cost, **more}


def test_a_whole_answer_is_believed() -> None:
    cost = {"USD": "0.00042", "DIEM": "1e-5"}

    assert told(outcome(cost), "USD", "DIEM") == {
        "USD": Decimal("0.00042"),
        "DIEM": Decimal("0.00001"),
    }


@pytest.mark.parametrize(
    ("more", "believed"),
    [
        ({"client_left": True}, True),
        ({"cut": True}, False),
        ({"error": "overloaded"}, False),
        ({"certainty": "at_least"}, False),
        # A model without a price, or without tokens: the end must have been seen.
        ({"certainty": "unpriced"}, True),
        ({"certainty": "unknown"}, True),
        ({"certainty": "unpriced", "finish": None}, False),
        ({"certainty": "unknown", "finish": None}, False),
        # Embeddings have no reason to stop.
        ({"certainty": "exact", "finish": None}, True),
    ],
)
def test_only_a_whole_answer_is_believed(more: dict[str, Any], believed: bool) -> None:
    assert (told(outcome({"USD": "1"}, **more), "USD") is not None) is believed


@pytest.mark.parametrize(
    "cost",
    [
        None,
        {},
        [],
        "0.1",
        {"DIEM": "1"},
        {"USD": "1", "XYZ": "1"},
        {"USD": "-1"},
        {"USD": "NaN"},
        {"USD": None},
        {"USD": True},
        {"USD": "1e99"},
        {"USD": ["1"]},
    ],
    ids=str,
)
def test_a_cost_that_cannot_be_is_none(cost: object) -> None:
    assert told(outcome(cost), "USD") is None
    assert told({"certainty": "exact"}, "USD") is None


@pytest.mark.parametrize(
    ("ids", "expected"),
    [(["a", "b"], "a"), (("a",), "a"), ([], ""), (None, ""), ("abc", ""), ([7], ""), ({}, "")],
)
def test_the_likeliest_id(ids: object, expected: str) -> None:
    assert first_id({"generation_ids": ids}) == expected
    assert first_id({}) == ""


@given(st.dictionaries(NAMES, JSON))
def test_it_never_raises(anything: dict[str, Any]) -> None:
    amounts = told(anything, "USD", "DIEM")

    assert amounts is None or all(number >= 0 for number in amounts.values())
    assert isinstance(first_id(anything), str)
