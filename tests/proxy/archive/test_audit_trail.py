"""Pages of the journal: each entry that fits comes once, newest first, and to nobody else."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from proxy.archive import audit_trail, scan
from proxy.archive.chain import ChainedEntry
from proxy.archive.database import Database
from proxy.archive.filters import AuditFilter, BadFilter
from tests.doubles.archived import archive_entries
from tests.doubles.fake_clock import NOON_MS
from tests.doubles.lived_calls import Lives

MINUTE_MS = 60_000


def all_of(database: Database, wanted: AuditFilter, *, count_max: int = 4) -> list[ChainedEntry]:
    found: list[ChainedEntry] = []
    before: int | None = None
    for _ in range(1_000):
        with database.read() as connection:
            page = audit_trail.page(connection, 1, wanted, before=before, count_max=count_max)
        assert len(page.items) <= count_max
        found += page.items
        if page.next is None:
            return found
        assert before is None or page.next < before
        before = page.next
    pytest.fail("pages without end")


def a_journal() -> Lives:
    lives = Lives()
    states = ("settled", "receipted", "refused", "expired", "released")
    for index in range(40):
        at_ms = NOON_MS + index * MINUTE_MS
        lives.call(states[index % 5], at_ms=at_ms, team=("red", "blue")[index % 2])
        if index % 4 == 0:
            lives.act("key_created", at_ms=at_ms, actor=("ann", "ben")[index % 8 // 4], key="k")
        if index % 10 == 0:
            lives.act("policies_loaded", at_ms=at_ms, actor="ann", version="1")
    return lives


def filled(database: Database, lives: Lives) -> list[ChainedEntry]:
    archive_entries(database, "acme", lives.entries)
    return all_of(database, AuditFilter(teams=None), count_max=1_000)


def test_newest_first_and_each_once_as_it_stood(database: Database) -> None:
    lives = a_journal()

    found = filled(database, lives)

    assert [entry.number for entry in found] == list(range(len(lives.entries), 0, -1))
    for entry, written in zip(reversed(found), lives.entries, strict=True):
        assert (entry.kind, entry.call_id, entry.at_ms) == (
            written.kind,
            written.call_id,
            written.at_ms,
        )
        assert (entry.data, entry.moves, entry.checks) == (
            written.data,
            written.moves,
            written.checks,
        )
    assert all_of(database, AuditFilter(teams=None)) == found


def test_every_filter_and_every_pair_of_filters(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "LOOKED_THROUGH_MAX", 9)
    monkeypatch.setattr(audit_trail, "_LOOK_ENTRIES", 6)
    lives = a_journal()
    everything = filled(database, lives)
    team_of = {
        entry.call_id: "red" if '"team": "red"' in entry.data else "blue"
        for entry in everything
        if entry.call_id is not None and entry.checks is not None
    }
    made = next(entry.call_id for entry in everything[20:] if entry.call_id is not None)
    fits: dict[str, Callable[[ChainedEntry, Any], bool]] = {
        "kind": lambda entry, kind: entry.kind == kind,
        "call_id": lambda entry, call_id: entry.call_id == call_id,
        "since_ms": lambda entry, at_ms: entry.at_ms >= at_ms,
        "until_ms": lambda entry, at_ms: entry.at_ms < at_ms,
        "acts_only": lambda entry, acts: entry.call_id is None or not acts,
        "actor": lambda entry, actor: f'"actor": "{actor}"' in entry.data,
        "teams": lambda entry, teams: team_of.get(entry.call_id or "") in teams,
    }
    values: dict[str, list[Any]] = {
        "kind": ["receipt", "key_created", "never_heard_of"],
        "call_id": [made],
        "since_ms": [NOON_MS + 10 * MINUTE_MS],
        "until_ms": [NOON_MS + 25 * MINUTE_MS],
        "acts_only": [True],
        "actor": ["ann", "nobody"],
        "teams": [frozenset({"red"}), frozenset()],
    }
    pairs = [(name, value) for name, each in values.items() for value in each]

    for (name, value), (other, second) in product(pairs, pairs):
        try:
            wanted = AuditFilter(**{"teams": None, name: value, other: second})
        except BadFilter:
            assert "call_id" in {name, other}
            continue
        asked = {name: value, other: second}
        expected = [
            entry
            for entry in everything
            if all(fits[each](entry, meant) for each, meant in asked.items())
        ]
        assert all_of(database, wanted) == expected, asked


def test_a_viewer_of_a_team_sees_no_act_and_no_other_team(database: Database) -> None:
    everything = filled(database, a_journal())

    seen = all_of(database, AuditFilter(teams=frozenset({"blue"})))

    assert seen
    assert all(entry.call_id is not None for entry in seen)
    hidden = [entry.call_id for entry in everything if '"team": "red"' in entry.data]
    assert not {entry.call_id for entry in seen} & set(hidden)
    made = hidden[0]
    assert all_of(database, AuditFilter(teams=frozenset({"blue"}), call_id=made)) == []
    assert all_of(database, AuditFilter(teams=None, call_id=made)) != []


def test_entries_that_nobody_can_read_harm_no_one(database: Database) -> None:
    lives = Lives()
    lives.odd(kind="key_created", data="[" * 5_000)
    lives.odd(kind="key_created", data='"ann"')
    lives.odd(kind="key_created", data='{"actor": ["ann"]}')
    lives.odd(kind="settle", call_id="ghost", data="")
    lives.act("key_created", actor="ann")
    found = filled(database, lives)

    assert len(found) == 5
    assert [e.number for e in all_of(database, AuditFilter(teams=None, actor="ann"))] == [5]
    assert all_of(database, AuditFilter(teams=frozenset({"red"}))) == []
    assert all_of(database, AuditFilter(teams=None, call_id="ghost")) == []


def test_an_actor_is_looked_for_page_by_page(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page ends where the look ended, however rare the one who is looked for."""
    monkeypatch.setattr(audit_trail, "_LOOK_ENTRIES", 2)
    monkeypatch.setattr(audit_trail, "_LOOKS_MAX", 2)
    lives = Lives()
    lives.act("key_created", actor="rare")
    for _ in range(30):
        lives.act("key_created", actor="often")
    archive_entries(database, "acme", lives.entries)
    wanted = AuditFilter(teams=None, actor="rare")

    with database.read() as connection:
        first = audit_trail.page(connection, 1, wanted, before=None, count_max=10)

    assert first.items == ()
    assert first.next is not None
    assert [entry.number for entry in all_of(database, wanted)] == [1]


def test_a_page_that_cannot_be_is_refused(sqlite_archive: Database) -> None:
    with sqlite_archive.read() as connection, pytest.raises(BadFilter, match="cursor"):
        audit_trail.page(connection, 1, AuditFilter(teams=None), before=-5, count_max=1)
