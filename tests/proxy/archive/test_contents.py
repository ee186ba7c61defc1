"""What an entry says is read as far as it can be; what cannot be read says nothing."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.archive.chain import ChainedEntry
from proxy.archive.contents import amount, contents_of, counter_of, name_of
from tests.doubles.journal_rows import check, entry, move

PLAIN = entry("admitted", data={"team": "red"}, moves=[move(spent=1)]).numbered(1)


def with_texts(data: str = "{}", moves: str = "[]", checks: str | None = None) -> ChainedEntry:
    return dataclasses.replace(PLAIN, data=data, moves=moves, checks=checks)


def test_data_and_movements_are_read() -> None:
    found = contents_of(PLAIN)

    assert found.data == {"team": "red"}
    assert [(each.counter, each.spent_change) for each in found.moves] == [
        ("team-month:USD:red:2026-11", 1)
    ]


def test_the_first_enforced_budget_without_room_refused() -> None:
    checks = [check(short=False), check("b:USD::x", short=True, mode="shadow")]
    checks += [check("c:USD::x", short=True), check("d:USD::x", short=True)]

    found = contents_of(entry("refused", checks=checks).numbered(1))

    assert [short.budget for short in found.refusing()] == ["c", "d"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "NaN", '"x"', "[" * 100_000, "\x00", '{"a":' * 5_000]
)
def test_data_that_is_no_object_is_empty(text: str) -> None:
    assert contents_of(with_texts(data=text)).data == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1]",
        "[[]]",
        '[["c","USD",1,2,3]]',
        '[["c","USD",1.5,2,3,4,5]]',
        '[["c","USD",true,2,3,4,5]]',
        '[["c","USD","1",2,3,4,5]]',
        '[["c","USD",99999999999999999999,2,3,4,5]]',
        '[[null,"USD",1,2,3,4,5]]',
    ],
)
def test_movements_that_are_none_are_left_out(text: str) -> None:
    assert contents_of(with_texts(moves=text)).moves == ()


@pytest.mark.parametrize("text", ["", "{}", "[1]", "[[1,2]]", str([[1] * 14])])
def test_checks_that_are_none_are_left_out(text: str) -> None:
    assert contents_of(with_texts(checks=text)).short == ()


@pytest.mark.parametrize("value", [None, True, -1, 1.0, "1", 2**60, [1]])
def test_what_is_no_amount_is_none(value: object) -> None:
    assert amount(value) is None


def test_an_amount_is_taken_as_it_is() -> None:
    assert amount(0) == 0
    assert amount(2**52) == 2**52


@pytest.mark.parametrize("value", [None, 1, ["x"], True])
def test_what_is_no_text_names_nothing(value: object) -> None:
    assert name_of(value) == ""


def test_long_names_are_cut_and_stay_apart() -> None:
    one, other = name_of("é" * 150 + "1"), name_of("é" * 150 + "2")

    assert len(one.encode()) <= 200
    assert one != other


@given(st.text(max_size=300))
def test_names_are_texts_that_both_databases_take(text: str) -> None:
    for kept in (name_of(text), counter_of(text), name_of(text + "\ud800\0")):
        assert "\0" not in kept
        assert kept.encode()[:201] == kept.encode() or kept == counter_of(text)


@given(st.text(alphabet="abc-_ é", max_size=60))
def test_ordinary_names_stay_as_they_are(text: str) -> None:
    assert name_of(text) == text
