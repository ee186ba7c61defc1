"""Calls as comma-separated values that a spreadsheet may open."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.money import EXACT_MAX
from proxy.archive.export.columns import CALL_COLUMNS, Kind
from proxy.archive.export.csv import CsvRows, cell, time_text
from tests.doubles.exported_calls import call

NASTY = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "'=1", "'x"]


def read(written: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(written.decode(), newline="")))


def test_a_call_is_a_row() -> None:
    rows = CsvRows(CALL_COLUMNS)

    written = rows.beginning() + rows.batch([call(), call(number=2, user=None)]) + rows.ending()

    one, two = read(written)
    assert one["number"] == "1"
    assert one["at"] == "2026-11-23T13:00:00Z"
    assert one["ended"] == "2026-11-23T13:00:01.500Z"
    assert one["charged_usd"] == "1.1"
    assert one["streamed"] == "true"
    assert one["refused_by"] == ""
    assert one["tags"] == '{"project":"atlas"}'
    assert two["user"] == ""
    assert written.endswith(b"\r\n")


@given(st.text())
def test_any_text_comes_back_and_is_no_formula(text: str) -> None:
    rows = CsvRows(CALL_COLUMNS)

    (row,) = read(rows.beginning() + rows.batch([call(user=text)]))

    told = row["user"]
    assert not told.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert told in {text, f"'{text}"}


@pytest.mark.parametrize("text", NASTY)
def test_what_a_spreadsheet_would_compute_is_marked(text: str) -> None:
    assert cell(Kind.TEXT, text) == f"'{text}"


def test_negative_amounts_stay_numbers() -> None:
    assert cell(Kind.DOLLARS, -1_500_000_000) == "-1.5"


@given(st.integers(-EXACT_MAX, EXACT_MAX))
def test_amounts_are_exact(nano_usd: int) -> None:
    told = cell(Kind.DOLLARS, nano_usd)

    assert Decimal(told) * 1_000_000_000 == nano_usd
    assert "e" not in told.lower()


def test_half_a_pair_does_not_end_the_export() -> None:
    rows = CsvRows(CALL_COLUMNS)

    assert read(rows.beginning() + rows.batch([call(model="a\ud800b")]))[0]["model"] == "a?b"


def test_times_are_in_utc() -> None:
    assert time_text(0) == "1970-01-01T00:00:00Z"
    assert time_text(1) == "1970-01-01T00:00:00.001Z"
