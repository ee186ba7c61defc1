"""Batches come into the archive whole, in order, and once; of two writers the database lets one pass."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select, text

from policies.call_ids import new_call_id
from proxy.archive.chain import ChainedEntry, genesis, link
from proxy.archive.database import ArchiveUnavailable, Database, open_database
from proxy.archive.tables import calls, entries, metadata, organizations
from proxy.archive.writer import ArchiveMoved, Chain, Writer
from proxy.archive_settings import ArchiveSettings
from tests.doubles.archived import archive_entries
from tests.doubles.fake_clock import NOON_MS, FakeClock
from tests.doubles.journal_rows import asked, entry, life

MONTH_MS = 31 * 86_400_000


def writer(database: Database, organization: str = "acme", now_ms: int = NOON_MS) -> Writer:
    return Writer(database, organization, FakeClock(now_ms))


def stored(database: Database, organization_id: int = 1) -> list[tuple[ChainedEntry, bytes]]:
    names = tuple(ChainedEntry.__dataclass_fields__)
    wanted = select(*(entries.c[name] for name in names), entries.c.hash).where(
        entries.c.organization_id == organization_id
    )
    with database.read() as connection:
        rows = connection.execute(wanted.order_by(entries.c.number)).all()
    return [(ChainedEntry(**dict(zip(names, row, strict=False))), row.hash) for row in rows]


def derived(database: Database) -> dict[str, list[Any]]:
    """Return every derived row, but for what depends on when it was written."""
    names = ("calls", "spend_days", "spend_keys", "counters", "counter_hours", "counter_spenders")
    with database.read() as connection:
        return {
            name: sorted(map(repr, connection.execute(metadata.tables[name].select())))
            for name in names
        }


def assert_chained(database: Database, organization: str = "acme") -> None:
    last = genesis(organization)
    for number, (each, hash_) in enumerate(stored(database), start=1):
        assert each.number == number
        last = link(last, each)
        assert hash_ == last
    assert writer(database, organization).chain().hash == last


def test_a_new_organisation_begins_at_its_own_hash(database: Database) -> None:
    chain = writer(database).chain()

    assert (chain.number, chain.hash, chain.stream_id) == (0, genesis("acme"), "0-0")
    assert writer(database).chain() == chain


def test_entries_are_kept_as_they_are_and_chained(database: Database) -> None:
    given_entries = [*life(1), *life(2), entry("key_created", None, {"actor": "é ☃ \" '"})]

    chain = archive_entries(database, "acme", given_entries, batch=2)

    assert [each for each, _ in stored(database)] == [
        each.numbered(number) for number, each in enumerate(given_entries, start=1)
    ]
    assert_chained(database)
    assert (chain.number, chain.stream_id) == (5, given_entries[-1].stream_id)


def test_an_empty_batch_writes_nothing(database: Database) -> None:
    chain = writer(database).chain()

    assert writer(database).write(chain, []).chain == chain
    assert stored(database) == []


def test_of_two_writers_one_passes(database: Database) -> None:
    chain = writer(database).chain()
    writer(database).write(chain, life(1))

    with pytest.raises(ArchiveMoved):
        writer(database).write(chain, life(2))

    assert len(stored(database)) == 2
    assert_chained(database)


def test_a_chain_of_another_archive_is_not_gone_on_from(database: Database) -> None:
    chain = archive_entries(database, "acme", life(1))

    with pytest.raises(ArchiveMoved):
        writer(database).write(replace(chain, hash=b"another"), life(2))

    assert len(stored(database)) == 2


def test_organisations_have_chains_of_their_own(database: Database) -> None:
    archive_entries(database, "acme", life(1))
    archive_entries(database, "globex", life(1))
    archive_entries(database, "acme", life(2))

    assert [each.number for each, _ in stored(database, 1)] == [1, 2, 3, 4]
    assert [each.number for each, _ in stored(database, 2)] == [1, 2]
    assert_chained(database, "acme")


def test_a_batch_that_breaks_off_leaves_nothing(sqlite_archive: Database) -> None:
    archive_entries(sqlite_archive, "acme", life(1))
    before = derived(sqlite_archive)
    with sqlite_archive.begin() as connection:
        connection.execute(text("DROP TABLE counter_spenders"))
    chain = writer(sqlite_archive).chain()

    with pytest.raises(ArchiveUnavailable, match="counter_spenders"):
        writer(sqlite_archive).write(chain, life(2))

    assert len(stored(sqlite_archive)) == 2
    assert writer(sqlite_archive).chain() == chain
    with sqlite_archive.read() as connection:
        rows = sorted(map(repr, connection.execute(calls.select())))
    assert rows == before["calls"]


def test_entries_of_a_newer_version_are_kept_and_told(database: Database) -> None:
    newer = entry("teleported", version=7, data=asked())

    written = writer(database).write(writer(database).chain(), [newer, *life(2)])

    assert written.newer == {7: 1}
    assert len(stored(database)) == 3
    assert_chained(database)
    with database.read() as connection:
        assert connection.execute(select(calls.c.call_id)).scalars().all() == ["call_2"]


def test_entries_are_filed_by_month_and_months_never_go_back(database: Database) -> None:
    clock = FakeClock(NOON_MS + MONTH_MS)
    chain = Writer(database, "acme", clock).chain()
    for at_ms in (NOON_MS, NOON_MS + MONTH_MS, NOON_MS):
        chain = Writer(database, "acme", clock).write(chain, life(at_ms, at_ms=at_ms)).chain

    with database.read() as connection:
        months = connection.execute(select(entries.c.month).order_by(entries.c.number)).scalars()
        assert list(months) == [202_611, 202_611, 202_612, 202_612, 202_612, 202_612]


def test_a_clock_that_jumps_ahead_files_nothing_beyond_the_next_month(database: Database) -> None:
    at_ms = NOON_MS + 40 * 12 * MONTH_MS

    chain = writer(database).write(writer(database).chain(), life(1, at_ms=at_ms)).chain

    assert chain.month == 202_612


def test_calls_of_any_month_find_a_place(database: Database) -> None:
    times = (NOON_MS, NOON_MS - 20 * MONTH_MS, NOON_MS + 300 * MONTH_MS, 5)
    ids = [new_call_id(at_ms) for at_ms in times]

    archive_entries(database, "acme", [entry("admitted", each, asked()) for each in ids])
    archive_entries(database, "acme", [entry("release", each) for each in ids])

    with database.read() as connection:
        rows = connection.execute(select(calls.c.call_id, calls.c.state)).all()
    assert {row.call_id: row.state for row in rows} == dict.fromkeys(ids, "released")


def test_next_month_is_prepared(postgres_archive: Database) -> None:
    chain = writer(postgres_archive).chain()

    writer(postgres_archive).prepare(chain)

    with postgres_archive.read() as connection:
        for name in ("entries_1_202611", "entries_1_202612", "calls_1_202611", "calls_1_202612"):
            assert connection.execute(text(f"SELECT to_regclass('{name}')")).scalar() is not None


@pytest.mark.parametrize(
    "odd",
    [
        entry("admitted", data=asked(team="\0", model="m" * 10_000, user="\ud800")),
        entry("admitted", data=asked(tags={"a": "\0\ud800"}, key=7)),
        entry("admitted", data=asked(quote={"nano_usd": 2**63})),
        entry("settle", data=asked(), moves=[["c" * 50_000, "USD", 1, 1, 1, 1, 1]]),
        entry("x" * 200, "c" * 400),
    ],
)
def test_odd_contents_do_not_stop_it(database: Database, odd: Any) -> None:
    archive_entries(database, "acme", [*life(1), odd, *life(2)])

    assert_chained(database)
    assert len(stored(database)) == 5


def test_names_as_long_as_they_get_fit_the_indexes(database: Database) -> None:
    def noise(length: int) -> str:
        return "".join(random.Random(length).choices("abcdefghijklmnop0123456789ÄÖÜ", k=length))

    who = asked(team=noise(901), user=noise(902), key=noise(903), model=noise(904))
    who["provider"] = noise(905)
    moves = [[noise(5_000), noise(300), 1, 1, 1, 1, 1]]

    archive_entries(database, "acme", [entry("admitted", data=who, moves=moves)])

    assert_chained(database)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    return lambda: tmp_path_factory.mktemp("archive")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.lists(st.integers(1, 7), min_size=1, max_size=20))
def test_any_batches_leave_the_same_tables(
    folder: Callable[[], Path], seed: int, sizes: list[int]
) -> None:
    chance = random.Random(seed)
    given_entries = [each for number in range(8) for each in life(number, nano_usd=number)]
    chance.shuffle(given_entries)
    left = []
    for batches in (sizes, [len(given_entries)]):
        database = open_database(ArchiveSettings(), folder())
        chain, at = writer(database).chain(), 0
        while at < len(given_entries):
            size = batches[at % len(batches)]
            chain = writer(database).write(chain, given_entries[at : at + size]).chain
            at += size
        left.append((derived(database), chain))
        database.close()

    assert left[0] == left[1]


def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path: Path) -> None:
    database = open_database(ArchiveSettings(), tmp_path)
    chain = archive_entries(database, "acme", life(1))
    limit(database, 1)
    bulky = [entry("exported", None, {"note": "x" * 1_000_000})]

    with pytest.raises(ArchiveUnavailable, match="full"):
        writer(database).write(chain, bulky)

    limit(database, 1_000_000)
    assert writer(database).chain() == chain
    assert writer(database).write(chain, bulky).chain.number == 3
    assert_chained(database)
    database.close()


def limit(database: Database, pages: int) -> None:
    """Let the file grow to so many pages, as on a disk of that size; it never shrinks."""

    def bounded(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    database.engine.dispose()
    event.listen(database.engine, "connect", bounded)


def test_the_head_is_one_row(database: Database) -> None:
    chain: Chain = archive_entries(database, "acme", [*life(1), *life(2)])

    with database.read() as connection:
        row = connection.execute(select(organizations)).one()
    assert (row.number, row.hash) == (chain.number, chain.hash)
    assert (row.first_number, row.first_hash) == (1, genesis("acme"))
