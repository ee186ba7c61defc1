"""What an entry's values may be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proxy.archive.chain import ChainedEntry
from proxy.archive.pieces import well_formed

ENTRY = ChainedEntry(
    number=1,
    stream_id="1-0",
    at_ms=1,
    version=1,
    kind="settle",
    call_id="call_x",
    data="{}",
    moves="[]",
)


def test_an_entry_as_it_should_be_is_one() -> None:
    assert well_formed(ENTRY)
    assert well_formed(replace(ENTRY, call_id=None, checks="[]", more="{}"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("number", "1"),
        ("number", True),
        ("at_ms", 1.5),
        ("version", None),
        ("stream_id", 1),
        ("kind", None),
        ("data", b"{}"),
        ("moves", []),
        ("call_id", 7),
        ("checks", {}),
        ("more", 1),
    ],
)
def test_a_value_of_another_type_makes_it_none(name: str, value: Any) -> None:
    assert not well_formed(replace(ENTRY, **{name: value}))
