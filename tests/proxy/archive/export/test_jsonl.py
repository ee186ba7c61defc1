"""The journal as lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.archive.database import Database
from proxy.archive.export.question import Format, Question
from proxy.archive.filters import CallFilter
from tests.doubles.archived import archive_entries
from tests.doubles.journals import (
    ORGANIZATION,
    exported,
    lives,
    question,
    sign,
    signed_journal,
)
from tests.doubles.lived_calls import Lives


def documents(written: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.splitlines()]


def test_a_journal_says_who_signs_what_and_where_it_ends(
    database: Database, tmp_path: Path
) -> None:
    key = signed_journal(database, tmp_path)

    header, first_key, *rest, trailer = documents(exported(database))

    assert (header["organization"], header["first_number"]) == (ORGANIZATION, 1)
    assert header["asked"] == {"format": "jsonl"}
    assert first_key["public_key"] == key.public_key.hex()
    assert [each["number"] for each in rest if "number" in each] == list(range(1, 23))
    assert [each["checkpoint"] for each in rest if "checkpoint" in each] == [10, 20]
    behind = rest.index(next(each for each in rest if each.get("checkpoint") == 10)) - 1
    assert rest[behind]["number"] == 10
    assert (trailer["last_number"], trailer["entries"], trailer["checkpoints"]) == (22, 22, 2)
    assert trailer["last_hash"] == rest[-1]["hash"]


def test_texts_are_as_they_stood_in_the_journal(database: Database) -> None:
    made = Lives()
    made.odd(kind="new", data='{ "é" : 1.10 }', version=9, more='{"z": "<b>"}')
    archive_entries(database, ORGANIZATION, made.entries)

    entry = documents(exported(database))[1]

    assert (entry["data"], entry["more"], entry["version"]) == (
        '{ "é" : 1.10 }',
        '{"z": "<b>"}',
        9,
    )


def test_a_key_that_was_changed_is_told_as_well(database: Database, tmp_path: Path) -> None:
    signed_journal(database, tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    sign(database, other)

    keys = [each["key"] for each in documents(exported(database)) if "public_key" in each]

    assert len(keys) == 2


def test_kinds_leave_the_others_out(database: Database) -> None:
    archive_entries(database, ORGANIZATION, lives(6).entries)

    header, *entries, trailer = documents(exported(database, question(kinds=("refused",))))

    assert [entry["kind"] for entry in entries] == ["refused"]
    assert (header["first_hash"], trailer["last_hash"]) == (None, None)
    assert header["asked"]["kinds"] == ["refused"]


def test_a_filter_of_calls_gives_the_whole_life_of_each(database: Database) -> None:
    made = Lives()
    red = made.call("receipted", team="red")
    made.call(team="blue")
    made.act("settings_loaded")
    archive_entries(database, ORGANIZATION, made.entries)

    _, *entries, _ = documents(exported(database, question(team="red")))

    assert {entry["call_id"] for entry in entries} == {red}
    assert [entry["kind"] for entry in entries] == ["admitted", "settle", "receipt"]


def test_kinds_and_calls_can_be_asked_for_together(database: Database) -> None:
    archive_entries(database, ORGANIZATION, lives(6).entries)

    _, *entries, _ = documents(
        exported(database, question(state="receipted", kinds=("receipt", "refused")))
    )

    assert [entry["kind"] for entry in entries] == ["receipt"]


@pytest.mark.parametrize("teams", [frozenset[str](), frozenset({"blue"})])
def test_a_role_of_teams_sees_theirs_alone(database: Database, teams: frozenset[str]) -> None:
    made = Lives()
    made.call(team="red")
    blue = made.call(team="blue")
    made.act("settings_loaded")
    archive_entries(database, ORGANIZATION, made.entries)
    asked = Question(format=Format.JSONL, calls=CallFilter(teams=teams))

    _, *entries, _ = documents(exported(database, asked))

    assert {entry["call_id"] for entry in entries} == ({blue} if teams else set())
