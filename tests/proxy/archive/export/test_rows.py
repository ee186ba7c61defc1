"""Rows of the archive, in batches."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.archive.database import ArchiveUnavailable, Database
from proxy.archive.export import rows
from proxy.archive.filters import CallFilter
from proxy.archive.scan import Span
from tests.doubles.archived import archive_entries
from tests.doubles.fake_clock import NOON_MS
from tests.doubles.journals import ENDS, ORGANIZATION, lives, signed_journal
from tests.doubles.lived_calls import Lives
from tests.doubles.tampering import tamper

ALL = Span(0, 1_000_000)


def found(database: Database, **asked: object) -> list[str]:
    wanted = CallFilter(**{"teams": None, **asked})  # type: ignore[arg-type]  # A test's own.
    return [
        line.call_id
        for batch in rows.call_batches(database, 1, wanted, ALL)
        for line, _ in batch.calls
    ]


def test_entries_come_in_order_and_once(database: Database) -> None:
    made = lives(1_200).entries
    archive_entries(database, ORGANIZATION, made)

    batches = list(rows.entry_batches(database, 1, ALL))

    numbers = [stored.entry.number for batch in batches for stored in batch]
    assert numbers == list(range(1, len(made) + 1))
    assert len(batches) == 2
    assert [stored.entry.data for batch in batches for stored in batch] == [
        entry.data for entry in made
    ]


def test_a_span_and_kinds_are_kept_to(database: Database) -> None:
    archive_entries(database, ORGANIZATION, lives(6).entries)

    (batch,) = rows.entry_batches(database, 1, Span(3, 8))
    assert [stored.entry.number for stored in batch] == [3, 4, 5, 6, 7]
    (batch,) = rows.entry_batches(database, 1, ALL, ("refused", "receipt"))
    assert {stored.entry.kind for stored in batch} == {"refused", "receipt"}


def test_a_number_that_is_there_twice_is_never_parted(database: Database) -> None:
    archive_entries(database, ORGANIZATION, lives(6).entries)
    columns = "stream_id, at_ms, version, kind, call_id, data, moves, checks, more, hash"
    if database.dialect == "postgresql":
        tamper(
            database,
            "CREATE TABLE twice PARTITION OF entries FOR VALUES FROM (1, 203001) TO (1, 203002)",
        )
    tamper(
        database,
        f"INSERT INTO entries (organization_id, number, month, {columns}) "
        f"SELECT organization_id, number, 203001, {columns} FROM entries WHERE number = 4",
    )

    batches, span = [], ALL
    while batch := rows.entry_batch(database, 1, span, count=4):
        batches.append([stored.entry.number for stored in batch])
        span = Span(batches[-1][-1] + 1, ALL.high)

    assert [number for numbers in batches for number in numbers].count(4) == 2


def test_entries_are_found_by_their_numbers(database: Database) -> None:
    archive_entries(database, ORGANIZATION, lives(600).entries)

    some = rows.entries_numbered(database, 1, [*range(1, 1_201, 2), 1_000_000])

    assert sorted(some) == list(range(1, 1_201, 2))


def test_checkpoints_and_keys_are_found(database: Database, tmp_path: Path) -> None:
    key = signed_journal(database, tmp_path, signed=3)

    assert [each.number for each in rows.checkpoints_within(database, 1, Span(11, 31))] == [20, 30]
    assert [each.id for each in rows.public_keys(database)] == [key.id]


@pytest.mark.parametrize("state", ["settled", "receipted", "refused", "expired", "released"])
def test_calls_are_chosen_by_their_state(database: Database, state: str) -> None:
    archive_entries(database, ORGANIZATION, lives(12).entries)

    assert len(found(database, state=state)) == 12 // len(ENDS)


def test_calls_are_chosen_by_who_and_what_and_when(database: Database) -> None:
    made = Lives()
    red = made.call(team="red", user="alice", model="acme/mini")
    blue = made.call(team="blue", user="bob", model="acme/max", key="key_2", provider="two")
    late = made.call(team="blue", user=None, model="50%_off", at_ms=NOON_MS + 60_000)
    archive_entries(database, ORGANIZATION, made.entries)

    assert found(database) == [red, blue, late]
    assert found(database, team="blue") == [blue, late]
    assert found(database, user="bob") == [blue]
    assert found(database, key_id="key_2") == [blue]
    assert found(database, provider="two") == [blue]
    assert found(database, model="acme/max") == [blue]
    assert found(database, model="acme/*") == [red, blue]
    assert found(database, model="*%_*") == [late]
    assert found(database, model="ACME/*") == []
    assert found(database, since_ms=NOON_MS + 1) == [late]
    assert found(database, until_ms=NOON_MS + 1) == [red, blue]
    assert found(database, teams=frozenset({"blue"})) == [blue, late]
    assert found(database, teams=frozenset()) == []


def test_names_that_are_kept_cut_are_found_by_the_whole_of_them(database: Database) -> None:
    made, team, model = Lives(), "t" * 300, "m" * 300
    wanted = made.call(team=team, model=model)
    made.call(team="t" * 299, model="m" * 299)
    archive_entries(database, ORGANIZATION, made.entries)

    assert found(database, team=team) == [wanted]
    assert found(database, model=model) == [wanted]
    assert found(database, teams=frozenset({team})) == [wanted]


def test_a_batch_in_which_nothing_fits_says_how_far_it_looked(database: Database) -> None:
    archive_entries(database, ORGANIZATION, lives(6).entries)
    wanted = CallFilter(teams=None, model="no*")

    (batch,) = rows.call_batches(database, 1, wanted, ALL)

    assert batch.calls == []
    assert batch.done > 0


def test_a_row_that_cannot_be_read_is_a_fault_of_the_archive(sqlite_archive: Database) -> None:
    archive_entries(sqlite_archive, ORGANIZATION, lives(2).entries)
    tamper(sqlite_archive, "UPDATE entries SET hash = 'text' WHERE number = 2")

    with pytest.raises(ArchiveUnavailable):
        rows.entry_batch(sqlite_archive, 1, ALL)
