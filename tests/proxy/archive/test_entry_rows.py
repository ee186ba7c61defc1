"""Entries out of rows."""

from __future__ import annotations

from proxy.archive.database import Database
from proxy.archive.entry_rows import entries_by_number
from tests.doubles.archived import archive_entries
from tests.doubles.fake_clock import NOON_MS
from tests.doubles.lived_calls import Lives


def test_entries_come_as_they_stood_and_in_order(database: Database) -> None:
    lives = Lives()
    lives.call("receipted")
    lives.odd(kind="key_created", more='{"forced": "1"}')
    number = archive_entries(database, "acme", lives.entries).organization_id

    with database.read() as connection:
        found = entries_by_number(connection, number, [4, 99, 1])

    assert [entry.number for entry in found] == [1, 4]
    assert found[0].checks == lives.entries[0].checks
    assert (found[0].stream_id, found[0].at_ms, found[0].version) == (f"{NOON_MS}-0", NOON_MS, 1)
    assert (found[1].call_id, found[1].more) == (None, '{"forced": "1"}')
