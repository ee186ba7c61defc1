"""Cursors of lists."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.admin.cursors import CHARACTERS_MAX, cursor, number_of, place_of


@given(st.integers(0, 2**63 - 1), st.text(max_size=20))
def test_a_list_reads_its_own_cursor(number: int, text: str) -> None:
    assert number_of("calls", cursor("calls", number)) == number
    assert place_of("keys", cursor("keys", number, text)) == [number, text]


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        "é",
        "x" * (CHARACTERS_MAX + 1),
        cursor("audit", 1),
        cursor("calls", "1"),
        cursor("calls", 1, 2),
        cursor("calls"),
        _encoded('["calls",-1]'),
        _encoded('["calls",1.5]'),
        _encoded('["calls",true]'),
        _encoded('["calls",null]'),
        _encoded('["calls",9223372036854775808]'),
        _encoded('["calls",1]x'),
        _encoded('{"calls":1}'),
        _encoded("[" * 150),
        _encoded("7"),
    ],
)
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="leave it out to begin anew"):
        number_of("calls", text)


@given(st.text(max_size=CHARACTERS_MAX))
def test_no_text_is_a_fault(text: str) -> None:
    try:
        assert isinstance(place_of("calls", text), list)
    except ValueError as error:
        assert "none that this list gave" in str(error)  # noqa: PT017 - Both ways are right.
