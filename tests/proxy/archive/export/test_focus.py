"""FOCUS 1.2: the columns that the specification asks for, and what a call comes to in them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.archive.export.columns import Kind
from proxy.archive.export.csv import cell
from proxy.archive.export.focus import HOUR_MS, columns, is_charged
from proxy.archive.lines import CallLine
from tests.doubles.exported_calls import call
from tests.doubles.fake_clock import NOON_MS

# Columns of the cost and usage dataset whose feature level is mandatory, as its pages list them.
MANDATORY = {
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
    "ServiceSubcategory",
}
# Those of them that may be empty.
NULLABLE = {"BillingAccountName", "ChargeClass"}


def row(line: CallLine) -> dict[str, Any]:
    return {column.name: cell(column.kind, column.value(line)) for column in columns("acme")}


def test_every_mandatory_column_is_there_and_filled() -> None:
    told = row(call())

    assert set(told) >= MANDATORY
    assert [name for name in MANDATORY - NULLABLE if told[name] == ""] == []


def test_our_own_columns_say_that_they_are_ours() -> None:
    own = [column.name for column in columns("acme")][len(MANDATORY) :]

    assert all(name.startswith("x_") for name in own[-13:])
    assert all(name[0].isupper() or name.startswith("x_") for name in row(call()))


def test_what_a_call_is_charged_is_its_cost() -> None:
    told = row(call())

    assert {told[f"{name}Cost"] for name in ("Billed", "Effective", "Contracted")} == {"1.1"}
    assert (told["ListCost"], told["x_CostBasis"]) == ("1", "receipt")
    assert told["BillingCurrency"] == "USD"
    assert (told["SubAccountId"], told["SkuId"], told["PublisherName"]) == (
        "red",
        "acme/mini",
        "acme",
    )


@pytest.mark.parametrize(
    ("changed", "basis", "listed"),
    [
        ({"receipted_nano_usd": None}, "meter", "1"),
        ({"receipted_nano_usd": None, "settled_nano_usd": None}, "reservation", "1.1"),
    ],
)
def test_the_basis_of_a_cost_is_told(changed: dict[str, Any], basis: str, listed: str) -> None:
    told = row(call(**changed))

    assert (told["x_CostBasis"], told["ListCost"]) == (basis, listed)


def test_the_hour_of_a_call_lies_within_its_month() -> None:
    last = 1_798_761_599_999  # The last millisecond of 2026.
    told = row(call(at_ms=last))

    assert told["BillingPeriodStart"] == "2026-12-01T00:00:00Z"
    assert told["BillingPeriodEnd"] == told["ChargePeriodEnd"] == "2027-01-01T00:00:00Z"
    assert told["ChargePeriodStart"] == "2026-12-31T23:00:00Z"
    assert NOON_MS % HOUR_MS == 0


def test_usage_is_counted_in_tokens_where_they_are_known() -> None:
    assert (row(call())["ConsumedQuantity"], row(call())["ConsumedUnit"]) == ("120", "Tokens")
    told = row(call(input_tokens=None, output_tokens=None))
    assert (told["PricingQuantity"], told["PricingUnit"]) == ("1", "Requests")


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        (None, {"user": "alice"}),
        ('{"a":"b","n":1}', {"a": "b", "n": 1, "user": "alice"}),
        ('{"user":"other"}', {"user": "other"}),
        ('{"nested":{"a":1},"list":[1]}', {"user": "alice"}),
        ("[1]", {"user": "alice"}),
        ("rubbish", {"user": "alice"}),
        ("[" * 50_000, {"user": "alice"}),
    ],
)
def test_tags_are_a_flat_object(tags: str | None, told: dict[str, Any]) -> None:
    assert json.loads(row(call(tags=tags))["Tags"]) == told


@pytest.mark.parametrize(
    ("changed", "charged"),
    [
        ({"state": "receipted"}, True),
        ({"state": "unreceipted"}, True),
        ({"state": "expired"}, True),
        ({"state": "settled", "charged_nano_usd": 0}, True),
        ({"state": "reserved", "charged_nano_usd": None}, False),
        ({"state": "refused", "charged_nano_usd": None}, False),
        ({"state": "released", "charged_nano_usd": 0}, False),
    ],
)
def test_only_what_was_charged_is_a_charge(changed: dict[str, Any], charged: bool) -> None:
    assert is_charged(call(**changed)) is charged


def test_costs_and_quantities_are_numbers() -> None:
    kinds = {column.name: column.kind for column in columns("acme")}

    assert all(kind is Kind.DOLLARS for name, kind in kinds.items() if name.endswith("Cost"))
