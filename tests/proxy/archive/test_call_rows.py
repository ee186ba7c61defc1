"""Rows of calls by their ids."""

from __future__ import annotations

from sqlalchemy import select

from proxy.archive.call_rows import call_row, numbers_of, teams_of
from proxy.archive.database import Database
from proxy.archive.tables import calls
from tests.doubles.archived import archive_entries
from tests.doubles.fake_clock import NOON_MS
from tests.doubles.lived_calls import Lives

MONTH_MS = 31 * 86_400_000


def test_a_call_is_found_in_the_month_that_its_id_tells(database: Database) -> None:
    lives = Lives()
    made = [lives.call("receipted", at_ms=NOON_MS - months * MONTH_MS) for months in range(3)]
    number = archive_entries(database, "acme", lives.entries).organization_id

    with database.read() as connection:
        rows = [call_row(connection, number, each, teams=None) for each in made]
        months = set(connection.execute(select(calls.c.month)).scalars())

    assert [row.call_id for row in rows if row is not None] == made
    assert [list(numbers_of(row)) for row in rows if row is not None] == [
        [1, 2, 3],
        [4, 5, 6],
        [7, 8, 9],
    ]
    assert months == {202611, 202610, 202609}


def test_a_team_finds_its_own(database: Database) -> None:
    lives = Lives()
    made = lives.call(team="ü" * 190)
    number = archive_entries(database, "acme", lives.entries).organization_id

    with database.read() as connection:
        own = call_row(connection, number, made, teams=frozenset({"ü" * 190}))
        others = call_row(connection, number, made, teams=frozenset({"ü" * 189, "red"}))

    assert own is not None
    assert others is None


def test_the_teams_of_more_calls_than_one_statement_takes(database: Database) -> None:
    lives = Lives()
    teams = {lives.call("refused", team=f"team-{index % 7}"): index % 7 for index in range(1_100)}
    number = archive_entries(database, "acme", lives.entries).organization_id

    with database.read() as connection:
        found = teams_of(connection, number, [*teams, "call_unknown", *teams])

    assert found == {call_id: f"team-{index}" for call_id, index in teams.items()}


def test_numbers_are_in_order_and_whatever_else_stands_there_is_left_out() -> None:
    class Row:
        entries = "12,7,,x,9"

    assert list(numbers_of(Row())) == [7, 9, 12]  # type: ignore[arg-type]  # It has what is read.
