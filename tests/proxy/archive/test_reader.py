"""The archive as others read it: without waiting on the loop, and never another organisation's."""

from __future__ import annotations

import pytest

from proxy.archive.database import ArchiveUnavailable, Database
from proxy.archive.filters import AuditFilter, BadFilter, CallFilter
from proxy.archive.reader import ArchiveReader
from tests.doubles.archived import archive_entries
from tests.doubles.lived_calls import DOLLAR, MONTH, Lives

EVERYBODY = CallFilter(teams=None)
RED = f"red-month:USD::{MONTH}"


async def test_every_question_has_its_answer(database: Database) -> None:
    lives = Lives()
    made = lives.call("receipted", dollars=2)
    lives.act("key_created", actor="ann")
    archive_entries(database, "acme", lives.entries)
    reader = ArchiveReader(database, "acme")

    calls = await reader.calls(EVERYBODY, before=None, count_max=10)
    assert [line.call_id for line in calls.items] == [made]
    life = await reader.call(made, teams=None)
    assert life is not None
    assert len(life.entries) == 3
    [spent] = await reader.spend(("team",), since_ms=None, until_ms=None, teams=None)
    assert spent.charged_nano_usd == 2 * DOLLAR + DOLLAR // 10
    [counter] = await reader.counters([RED])
    assert [line.counter for line in await reader.counters_of("red-month")] == [counter.counter]
    hours = await reader.burn_down(RED)
    assert sum(hour.spent for hour in hours) == counter.spent == spent.charged_nano_usd
    assert await reader.burn_downs([RED]) == {RED: hours}
    assert [line.user for line in await reader.spenders(RED)] == ["alice"]
    acts = AuditFilter(teams=None, acts_only=True)
    [act] = (await reader.audit(acts, before=None, count_max=10)).items
    assert act.kind == "key_created"
    assert (await reader.head()).number == 4


async def test_an_organisation_that_nothing_is_archived_of(database: Database) -> None:
    lives = Lives()
    made = lives.call()
    archive_entries(database, "other", lives.entries)
    reader = ArchiveReader(database, "acme")

    assert (await reader.calls(EVERYBODY, before=None, count_max=10)).items == ()
    assert await reader.call(made, teams=None) is None
    assert await reader.spend((), since_ms=None, until_ms=None, teams=None) == ()
    assert await reader.burn_down(RED) == ()
    assert await reader.counters([RED]) == await reader.counters_of("red-month") == ()
    assert await reader.spenders(RED) == ()
    everything = AuditFilter(teams=None)
    assert (await reader.audit(everything, before=None, count_max=10)).items == ()
    assert (await reader.head()).number == 0


async def test_what_comes_later_is_seen(database: Database) -> None:
    reader = ArchiveReader(database, "acme")
    assert (await reader.head()).number == 0
    lives = Lives()
    lives.call()

    archive_entries(database, "acme", lives.entries)

    assert (await reader.head()).number == 2


async def test_a_question_that_makes_no_sense(database: Database) -> None:
    reader = ArchiveReader(database, "acme")

    with pytest.raises(BadFilter, match="limit"):
        await reader.calls(EVERYBODY, before=None, count_max=0)


async def test_a_database_that_is_gone(sqlite_archive: Database) -> None:
    reader = ArchiveReader(sqlite_archive, "acme")
    with sqlite_archive.begin() as connection:
        connection.exec_driver_sql("DROP TABLE organizations")

    with pytest.raises(ArchiveUnavailable):
        await reader.head()
