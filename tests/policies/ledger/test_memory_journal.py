"""The list that stands for the journal's stream."""

from __future__ import annotations

import pytest

from policies.ledger.memory_journal import MemoryJournal
from tests.doubles.fake_clock import FakeClock


@pytest.fixture
def journal(clock: FakeClock) -> MemoryJournal:
    return MemoryJournal(clock)


def test_entries_are_read_in_order_and_behind_an_id(
    journal: MemoryJournal, clock: FakeClock
) -> None:
    for number in range(4):
        journal.write("exported", "", f"{number}")
        clock.advance(1)

    entries = journal.read("-", 10)

    assert [entry.data for entry in entries] == ["0", "1", "2", "3"]
    assert entries[3].at_ms - entries[0].at_ms == 3
    assert [entry.data for entry in journal.read(entries[1].id, 1)] == ["2"]
    assert journal.read(entries[3].id, 10) == []


def test_what_is_no_json_is_not_taken(journal: MemoryJournal) -> None:
    with pytest.raises(ValueError, match="Expecting"):
        journal.write("exported", "", "no JSON")

    assert journal.read("-", 10) == []


def test_a_value_is_written_when_it_changes(journal: MemoryJournal) -> None:
    said = [journal.once("t", "n", value, kind="k", data="{}") for value in "aaba"]

    assert said == [True, False, True, True]
    assert len(journal.read("-", 10)) == 3
