"""What can be asked to be exported."""

from __future__ import annotations

import pytest

from proxy.archive.export.question import MEDIA_TYPES, SUFFIXES, Format, Question
from proxy.archive.filters import BadFilter, CallFilter
from tests.doubles.journals import question


def test_every_form_has_a_media_type_and_a_suffix() -> None:
    assert set(MEDIA_TYPES) == set(SUFFIXES) == set(Format)


def test_a_stretch_by_time_alone_is_chained() -> None:
    assert question().chained
    assert question(since_ms=1, until_ms=2).chained


@pytest.mark.parametrize(
    "asked",
    [
        question(team="red"),
        question(model="acme/*"),
        question(state="settled"),
        question(kinds=("settle",)),
        question(Format.CSV),
        Question(format=Format.JSONL, calls=CallFilter(teams=frozenset())),
    ],
)
def test_what_leaves_entries_out_is_not_chained(asked: Question) -> None:
    assert not asked.chained


def test_calls_have_no_kinds() -> None:
    with pytest.raises(BadFilter, match="jsonl"):
        question(Format.CSV, kinds=("settle",))


@pytest.mark.parametrize("kinds", [("",), ("a\0",), ("x",) * 51])
def test_kinds_that_make_no_sense_are_refused(kinds: tuple[str, ...]) -> None:
    with pytest.raises(BadFilter):
        question(kinds=kinds)


def test_what_was_asked_for_is_told_as_json() -> None:
    asked = Question(
        format=Format.JSONL,
        calls=CallFilter(teams=frozenset({"red", "blue"}), since_ms=5),
        kinds=("settle",),
    )

    assert asked.document() == {
        "format": "jsonl",
        "teams": ["blue", "red"],
        "since_ms": 5,
        "kinds": ["settle"],
    }
