"""Entries come from the archive in order, each once, whatever is between the batches."""

from __future__ import annotations

import pytest

from proxy.archive.backtest import past as module
from proxy.archive.backtest.past import acts_below, entries_of, go_through, numbers_between
from proxy.archive.backtest.records import Recorded
from proxy.archive.database import Database
from proxy.archive.heads import organization_number
from proxy.archive.scan import DISORDER_MS, Span
from tests.doubles.archived import archive_entries
from tests.doubles.fake_clock import NOON_MS
from tests.doubles.journal_rows import entry, life

HOUR_MS = 3_600_000
ORG = "acme"


def filled(database: Database, calls: int = 5) -> None:
    rows = [row for at in range(calls) for row in life(at, at_ms=NOON_MS + at * HOUR_MS)]
    archive_entries(database, ORG, rows)
    archive_entries(database, "other", life(99))


def numbers(database: Database, span: Span) -> list[int]:
    found: list[Recorded] = []
    go_through(database, ORG, span, found.append)
    return [each.number for each in found]


def test_all_of_it_is_gone_through_in_batches(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 3)
    filled(database)
    span, first = numbers_between(database, ORG, None, None)
    told: list[tuple[int, int]] = []
    found: list[Recorded] = []

    read = go_through(database, ORG, span, found.append, lambda *at: told.append(at))

    assert first
    assert [each.number for each in found] == list(range(1, 11))
    assert {each.call_id for each in found} == {f"call_{at}" for at in range(5)}
    assert (read.entries, read.unreadable) == (10, 0)
    assert told == [(3, 10), (6, 10), (9, 10), (10, 10)]


def test_of_a_time_there_may_be_a_little_more_and_nothing_less(database: Database) -> None:
    filled(database)

    since, first = numbers_between(database, ORG, NOON_MS + 2 * HOUR_MS + DISORDER_MS, None)
    until, _ = numbers_between(database, ORG, None, NOON_MS + HOUR_MS)

    assert not first
    assert numbers(database, since)[0] in (3, 5)
    assert numbers(database, since)[-1] == 10
    assert numbers(database, until)[-1] in (2, 4)


def test_of_an_organisation_without_an_archive_there_is_nothing(database: Database) -> None:
    span, first = numbers_between(database, "nobody", None, None)

    assert (span.low, span.high, first) == (0, 0, True)
    assert go_through(database, "nobody", Span(0, 10), lambda _: None).entries == 0
    assert acts_below(database, "nobody", 10, ("grant_made",)) == []


def test_what_cannot_be_read_is_counted(database: Database) -> None:
    archive_entries(database, ORG, [entry("admitted", version=99), *life(1)])

    read = go_through(database, ORG, Span(1, 4), lambda _: None)

    assert (read.entries, read.unreadable) == (3, 1)


def test_acts_of_a_kind_are_found_up_to_a_number(database: Database) -> None:
    acts = [entry("grant_made", None, {"n": at}, sequence=at) for at in range(4)]
    other = entry("signed_in", None)
    archive_entries(database, ORG, [*acts[:2], other, *life(1), *acts[2:]])

    found = acts_below(database, ORG, 7, ("grant_made", "grant_ended"))

    assert [(each.number, each.data) for each in found] == [
        (1, '{"n": 0}'),
        (2, '{"n": 1}'),
        (6, '{"n": 2}'),
    ]


def test_entries_are_found_by_their_numbers(database: Database) -> None:
    filled(database)

    with database.read() as connection:
        own = organization_number(connection, ORG)
        assert own is not None
        found = entries_of(connection, own, [2, 5, 999])

    assert sorted(found) == [2, 5]
    assert found[2].kind == "settle"
