"""Entries of the journal as the admin API shows them."""

from __future__ import annotations

import json

import pytest

from policies.journal import Movement
from proxy.admin.journal_rows import archived_row, checks_in, movement_row, movements_in
from proxy.archive.chain import ChainedEntry


def entry(data: str = "{}", moves: str = "[]", checks: str | None = None) -> ChainedEntry:
    return ChainedEntry(
        number=1,
        stream_id="1-0",
        at_ms=0,
        version=1,
        kind="settle",
        call_id=None,
        data=data,
        moves=moves,
        checks=checks,
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"a": [1, "\\u00e9"]}', {"a": [1, "é"]}),
        ("null", None),
        ("", ""),
        ("{", "{"),
        ('{"a": NaN}', {"a": "NaN"}),
        ('{"a": "\\ud800"}', '{"a": "\\ud800"}'),
        ("1" * 5_000, "1" * 5_000),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_whatever_was_said_can_be_sent(text: str, shown: object) -> None:
    row = archived_row(entry(data=text))

    assert json.loads(row.model_dump_json())["data"] == shown


@pytest.mark.parametrize("text", ["", "{}", "[1]", "[[]]", '[["all"]]', "[" * 100_000])
def test_what_cannot_be_read_is_left_out(text: str) -> None:
    assert movements_in(entry(moves=text)) == ()
    assert checks_in(entry(checks=text)) == ()


def test_a_movement_says_whose_counter_it_was() -> None:
    moved = Movement(
        counter="each:USD:al%20ice:2026-11",
        unit="tokens",
        spent_change=5,
        reserved_change=-7,
        spent=5,
        reserved=0,
        overrun=0,
    )

    row = movement_row(moved)

    assert (row.budget, row.subject, row.spent_change, row.reserved_change) == (
        "each",
        "al ice",
        5,
        -7,
    )


def test_a_counter_with_a_name_of_another_form_is_shown_by_it() -> None:
    moved = Movement(
        counter="odd",
        unit="calls",
        spent_change=1,
        reserved_change=0,
        spent=1,
        reserved=0,
        overrun=0,
    )

    assert (movement_row(moved).budget, movement_row(moved).subject) == ("odd", None)
