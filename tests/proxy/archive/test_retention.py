"""Months that are old enough are dropped whole, when a checkpoint proves what follows."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select

from policies.call_ids import new_call_id
from proxy.archive.checkpoints import Checkpoints
from proxy.archive.database import Database
from proxy.archive.retention import Dropped, Retention
from proxy.archive.signing import KEY_FILE
from proxy.archive.stream import StreamEntry
from proxy.archive.tables import calls, entries, organizations, spend_days
from proxy.archive.writer import Chain
from proxy.archive_settings import ArchiveSettings
from tests.doubles.archived import archive_entries
from tests.doubles.fake_clock import NOON_MS, FakeClock
from tests.doubles.journal_rows import asked, entry, settled

pytestmark = pytest.mark.postgres

MONTH_MS = 31 * 86_400_000


def lived(at_ms: int, call_id: str | None = None) -> list[StreamEntry]:
    call_id = call_id or new_call_id(at_ms)
    return [
        entry("admitted", call_id, asked(), at_ms=at_ms),
        entry("settle", call_id, settled(), at_ms=at_ms),
    ]


def fill(database: Database, organization: str = "acme") -> Chain:
    """Archive two entries in each of the last three months."""
    for months in (2, 1):
        archive_entries(database, organization, lived(NOON_MS - months * MONTH_MS))
    return archive_entries(database, organization, lived(NOON_MS))


def sign(database: Database, folder: Path, chain: Chain) -> None:
    Checkpoints(
        database,
        "acme",
        key_file=folder / KEY_FILE,
        settings=ArchiveSettings(),
        clock=FakeClock(),
    ).sign(chain)


def drop(database: Database, chain: Chain, retention_ms: int | None = MONTH_MS) -> Dropped:
    return Retention(database, retention_ms, FakeClock()).drop(chain)


def left(database: Database) -> list[int]:
    with database.read() as connection:
        return list(connection.execute(select(entries.c.number).order_by("number")).scalars())


def test_old_months_are_dropped_and_the_chain_begins_behind_them(
    postgres_archive: Database, tmp_path: Path
) -> None:
    chain = fill(postgres_archive)
    sign(postgres_archive, tmp_path, chain)
    with postgres_archive.read() as connection:
        last = connection.execute(select(entries.c.hash).where(entries.c.number == 2)).scalar()

    dropped = drop(postgres_archive, chain)

    assert dropped == Dropped(("entries_1_202609", "calls_1_202609"), 2)
    assert left(postgres_archive) == [3, 4, 5, 6]
    with postgres_archive.read() as connection:
        row = connection.execute(select(organizations)).one()
        assert (row.first_number, row.first_hash) == (3, last)
        assert connection.execute(select(func.count()).select_from(calls)).scalar() == 2


def test_sums_outlive_what_they_were_made_of(postgres_archive: Database, tmp_path: Path) -> None:
    chain = fill(postgres_archive)
    sign(postgres_archive, tmp_path, chain)

    drop(postgres_archive, chain)

    with postgres_archive.read() as connection:
        assert connection.execute(select(func.sum(spend_days.c.calls))).scalar() == 3


def test_nothing_goes_that_no_checkpoint_proves(postgres_archive: Database) -> None:
    chain = fill(postgres_archive)

    dropped = drop(postgres_archive, chain)

    assert dropped.waiting == (202_609,)
    assert left(postgres_archive) == [1, 2, 3, 4, 5, 6]


def test_the_end_of_the_chain_stays_however_old(postgres_archive: Database, tmp_path: Path) -> None:
    chain = archive_entries(postgres_archive, "acme", lived(NOON_MS - 12 * MONTH_MS))
    sign(postgres_archive, tmp_path, chain)

    assert drop(postgres_archive, chain).waiting == (202_511,)
    assert left(postgres_archive) == [1, 2]


def test_without_a_retention_everything_stays(postgres_archive: Database, tmp_path: Path) -> None:
    chain = fill(postgres_archive)
    sign(postgres_archive, tmp_path, chain)

    assert drop(postgres_archive, chain, None) == Dropped()
    assert len(left(postgres_archive)) == 6


def test_another_organisations_months_are_not_touched(
    postgres_archive: Database, tmp_path: Path
) -> None:
    chain = fill(postgres_archive)
    fill(postgres_archive, "globex")
    sign(postgres_archive, tmp_path, chain)

    drop(postgres_archive, chain)

    assert left(postgres_archive) == [1, 2, 3, 3, 4, 4, 5, 5, 6, 6]


def test_calls_without_a_month_go_by_their_time(postgres_archive: Database) -> None:
    archive_entries(postgres_archive, "acme", lived(NOON_MS - 3 * MONTH_MS, "old"))
    chain = archive_entries(postgres_archive, "acme", lived(NOON_MS, "new"))

    drop(postgres_archive, chain)

    with postgres_archive.read() as connection:
        assert connection.execute(select(calls.c.call_id)).scalars().all() == ["new"]


def test_what_becomes_of_a_dropped_call_makes_no_partition_anew(
    postgres_archive: Database, tmp_path: Path
) -> None:
    old = new_call_id(NOON_MS - 2 * MONTH_MS)
    archive_entries(postgres_archive, "acme", lived(NOON_MS - 2 * MONTH_MS, old))
    chain = archive_entries(postgres_archive, "acme", lived(NOON_MS))
    sign(postgres_archive, tmp_path, chain)
    drop(postgres_archive, chain)

    archive_entries(postgres_archive, "acme", [entry("receipt", old, {"nano_usd": 9})])

    assert drop(postgres_archive, chain) == Dropped()


def test_a_file_keeps_everything(sqlite_archive: Database, tmp_path: Path) -> None:
    chain = fill(sqlite_archive)
    sign(sqlite_archive, tmp_path, chain)

    assert drop(sqlite_archive, chain) == Dropped()
    assert len(left(sqlite_archive)) == 6
