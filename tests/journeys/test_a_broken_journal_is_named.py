"""Calls are made, archived and signed; then somebody changes the evidence, and the place is named."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import Table, delete, insert, select, text

from proxy.archive.database import Database, open_database
from proxy.archive.export.question import Format, Question
from proxy.archive.export.stream import chunks
from proxy.archive.filters import CallFilter
from proxy.archive.kept import read_kept
from proxy.archive.pieces import Damage
from proxy.archive.tables import checkpoints, entries, organizations, signing_keys
from proxy.archive.verify import verify_archive
from proxy.archive.verify_file import verify_file
from proxy.archive.walk import Broken, Verified
from proxy.archive.work import ArchiveWork
from proxy.archive_settings import ArchiveSettings
from tests.doubles.archived import postgres_server
from tests.doubles.archiving import Listener
from tests.doubles.fake_clock import NOON_MS, FakeClock
from tests.doubles.running import Running, running
from tests.doubles.tampering import tamper

BUDGETS: Final = "[{name: team, limit: 1000 USD, window: month}]"
EVIDENCE: Final = (entries, checkpoints, signing_keys, organizations)
CALLS: Final = 12
#: The entry that something is done to: in the middle, and between two checkpoints.
PLACE: Final = 13

HEAD_FITS: Final = (
    "UPDATE organizations SET number = 12, hash = (SELECT hash FROM entries WHERE number = 12)"
)
LAST_SIGNED: Final = "(SELECT max(number) FROM checkpoints)"

# What is done to the database, and what is said about it.
TAMPERING: Final[dict[str, tuple[int | None, Damage, tuple[str, ...]]]] = {
    "one byte of what it says": (
        PLACE,
        Damage.CHANGED,
        ("UPDATE entries SET data = data || ' ' WHERE number = 13",),
    ),
    "what it moved": (
        PLACE,
        Damage.CHANGED,
        ("UPDATE entries SET moves = replace(moves, ']', ',9]') WHERE number = 13",),
    ),
    "a time": (
        PLACE,
        Damage.CHANGED,
        ("UPDATE entries SET at_ms = at_ms - 1 WHERE number = 13",),
    ),
    "one row": (PLACE, Damage.REMOVED, ("DELETE FROM entries WHERE number = 13",)),
    "many rows": (
        PLACE,
        Damage.REMOVED,
        ("DELETE FROM entries WHERE number BETWEEN 13 AND 17",),
    ),
    "two swapped": (
        PLACE,
        Damage.REORDERED,
        (
            "UPDATE entries SET number = number - 27 WHERE number IN (13, 14)",
            "UPDATE entries SET number = -number WHERE number < 0",
        ),
    ),
    "the tail": (PLACE, Damage.CUT, ("DELETE FROM entries WHERE number >= 13",)),
    "the tail, and the head made to fit": (
        PLACE,
        Damage.CUT,
        ("DELETE FROM entries WHERE number >= 13", HEAD_FITS),
    ),
    "a signature": (
        None,
        Damage.NOT_SIGNED,
        (f"UPDATE checkpoints SET at_ms = at_ms + 1 WHERE number = {LAST_SIGNED}",),
    ),
}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        opened = open_database(ArchiveSettings(), tmp_path)
        yield opened
        opened.close()
        return
    with postgres_server() as server, server.database_url() as url:
        opened = open_database(ArchiveSettings(url=url), tmp_path)
        yield opened
        opened.close()


async def archive_some_calls(
    proxy: Running, database: Database, organization: str, folder: Path
) -> None:
    """Make calls; archive the journal in small batches, and sign it often."""
    clock = FakeClock(NOON_MS)
    work = ArchiveWork(
        proxy.app.commands,
        proxy.app.ledger.keys,
        database,
        organization,
        settings=ArchiveSettings.model_validate(
            {"batch": 4, "checkpoint_entries": 4, "checkpoint_file": folder / "kept"}
        ),
        data_dir=folder,
        clock=clock,
        watch=Listener(),
    )
    for _ in range(CALLS):
        assert (await proxy.chat())[0] == 200
    await proxy.settled()
    await work.flush()


@contextmanager
def put_back(database: Database) -> Iterator[None]:
    """Put the evidence back as it was, at the end."""
    with database.read() as connection:
        before = {table: connection.execute(select(table)).mappings().all() for table in EVIDENCE}
    yield
    with database.begin() as connection:
        if database.dialect == "postgresql":
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        for table, rows in before.items():
            _refill(connection.execute, table, [dict(row) for row in rows])


def _refill(execute: object, table: Table, rows: list[dict[str, object]]) -> None:
    assert callable(execute)
    execute(delete(table))
    if rows:
        execute(insert(table), rows)


async def test_whatever_is_done_to_a_journal_the_place_is_named(
    tmp_path: Path, redis_url: str, organization: str, database: Database
) -> None:
    async with running(tmp_path / "proxy", redis_url, organization, budgets=BUDGETS) as proxy:
        await archive_some_calls(proxy, database, organization, tmp_path)
    kept = read_kept(tmp_path / "kept", organization).checkpoints
    whole = verify_archive(database, organization, kept=kept)
    assert isinstance(whole, Verified)
    assert whole.entries >= 2 * CALLS
    assert whole.checkpoints >= 3

    for name, (number, what, statements) in TAMPERING.items():
        with put_back(database):
            tamper(database, *statements)
            result = verify_archive(database, organization)
            assert isinstance(result, Broken), name
            assert result.what is what, name
            assert number is None or result.number == number, name
            _assert_an_export_tells_it_as_well(database, organization, tmp_path, result)
    assert verify_archive(database, organization, kept=kept) == whole


def _assert_an_export_tells_it_as_well(
    database: Database, organization: str, folder: Path, found: Broken
) -> None:
    file = folder / "broken.jsonl"
    file.write_bytes(exported(database, organization))

    # A head that was made to fit is all that an export can know of: its checkpoints tell the rest.
    kept = read_kept(folder / "kept", organization).checkpoints
    result = verify_file(file, kept=kept)
    assert isinstance(result, Broken)
    assert result.number == found.number


def exported(database: Database, organization: str) -> bytes:
    question = Question(format=Format.JSONL, calls=CallFilter(teams=None))
    made = chunks(database, organization, question, exported_ms=NOON_MS + 3_600_000)
    return b"".join(chunk.data for chunk in made)


async def test_no_byte_of_an_export_can_be_changed(
    tmp_path: Path, redis_url: str, organization: str, database: Database
) -> None:
    async with running(tmp_path / "proxy", redis_url, organization, budgets=BUDGETS) as proxy:
        await archive_some_calls(proxy, database, organization, tmp_path)
    whole, file = exported(database, organization), tmp_path / "journal.jsonl"
    file.write_bytes(whole)
    assert isinstance(verify_file(file, organization=organization), Verified)
    chance = random.Random(organization)

    for at in range(0, len(whole), 211):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << chance.randrange(8)
        file.write_bytes(flipped)
        assert isinstance(verify_file(file), Broken), at
    for end in range(0, len(whole) - 1, 997):
        file.write_bytes(whole[:end])
        assert isinstance(verify_file(file), Broken), end
