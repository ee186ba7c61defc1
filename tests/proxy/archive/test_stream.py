"""Rows of the stream are kept as they are, whoever wrote them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.archive.stream import NO_VERSION, read_row

ROW = {
    "v": "1",
    "kind": "admitted",
    "call": "call_1",
    "at": "1795438800000",
    "data": "{}",
    "moves": "[]",
}


def row(fields: dict[str, str], stream_id: str = "7-1") -> tuple[bytes, list[bytes]]:
    flat = [text.encode() for pair in fields.items() for text in pair]
    return stream_id.encode(), flat


def test_an_entry_of_the_ledger_is_read() -> None:
    found = read_row(row({**ROW, "checks": "[1]"}))

    assert (found.stream_id, found.version, found.kind) == ("7-1", 1, "admitted")
    assert (found.call_id, found.at_ms) == ("call_1", 1_795_438_800_000)
    assert (found.data, found.moves, found.checks, found.more) == ("{}", "[]", "[1]", None)


def test_what_is_about_no_call_has_no_call_id() -> None:
    assert read_row(row({**ROW, "call": ""})).call_id is None


def test_fields_that_nobody_knows_are_kept() -> None:
    found = read_row(row({**ROW, "forced": "1", "colour": "é"}))

    assert json.loads(found.more or "") == {"forced": "1", "colour": "é"}


def test_a_newer_version_is_kept_with_its_number() -> None:
    assert read_row(row({**ROW, "v": "2"})).version == 2


@pytest.mark.parametrize(
    "broken",
    [
        {"v": "one"},
        {"v": "-1"},
        {"v": "99999"},
        {"at": "soon"},
        {"at": "9" * 30},
        {"at": "٣"},
        {"kind": "k" * 1_000},
        {"call": "c" * 1_000},
    ],
)
def test_a_row_that_is_no_entry_is_kept_whole(broken: dict[str, str]) -> None:
    found = read_row(row({**ROW, **broken}, "1795438800000-3"))

    assert found.version == NO_VERSION
    assert found.at_ms == 1_795_438_800_000
    assert json.loads(found.more or "") == {**ROW, **broken}


def test_a_row_without_its_data_is_kept_whole() -> None:
    assert read_row(row({"v": "1", "kind": "x", "at": "1"})).version == NO_VERSION


@given(st.binary(max_size=30), st.lists(st.binary(max_size=30), max_size=16))
def test_no_row_is_a_fault(stream_id: bytes, flat: list[bytes]) -> None:
    found = read_row((stream_id, flat))

    for text in (found.stream_id, found.kind, found.data, found.moves, found.more or ""):
        assert "\0" not in text
        text.encode()
