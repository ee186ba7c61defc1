"""The columns of a call."""

from __future__ import annotations

from dataclasses import fields

from proxy.archive.export.columns import CALL_COLUMNS, Kind
from proxy.archive.lines import CallLine
from tests.doubles.exported_calls import call


def test_every_field_of_a_call_is_a_column() -> None:
    spelt = {"at_ms": "at", "ended_ms": "ended"}
    named = {
        spelt.get(field.name, field.name.replace("_nano_usd", "_usd")) for field in fields(CallLine)
    }

    assert {column.name for column in CALL_COLUMNS} == named


def test_values_are_those_of_the_call() -> None:
    line = call(charged_nano_usd=7, at_ms=5)
    values = {column.name: column.value(line) for column in CALL_COLUMNS}

    assert (values["charged_usd"], values["at"], values["team"]) == (7, 5, "red")


def test_amounts_are_dollars_and_nothing_else_is() -> None:
    dollars = {column.name for column in CALL_COLUMNS if column.kind is Kind.DOLLARS}

    assert dollars == {"quoted_usd", "settled_usd", "receipted_usd", "charged_usd"}
