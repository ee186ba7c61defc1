"""An archive that somebody has changed: the first entry that is concerned is named each time."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from proxy.archive.chain import genesis
from proxy.archive.database import Database
from proxy.archive.kept import read_kept
from proxy.archive.pieces import Damage
from proxy.archive.verify import verify_archive
from proxy.archive.walk import Broken, Verified
from tests.doubles.archived import archive_entries
from tests.doubles.journals import ORGANIZATION, lives, rehash, sign, signed_journal
from tests.doubles.lived_calls import Lives
from tests.doubles.tampering import tamper


def broken(database: Database, **named: object) -> tuple[int | None, Damage]:
    result = verify_archive(database, ORGANIZATION, **named)  # type: ignore[arg-type]  # A test's own.
    assert isinstance(result, Broken), result
    assert result.said
    assert result.where
    return result.number, result.what


def test_a_journal_that_nobody_touched_is_verified(database: Database, tmp_path: Path) -> None:
    key = signed_journal(database, tmp_path)

    result = verify_archive(database, ORGANIZATION)

    assert isinstance(result, Verified)
    assert (result.first, result.last, result.entries) == (1, 22, 22)
    assert (result.checkpoints, result.keys) == (2, (key.id,))
    assert (result.signed_to, result.unsigned_max) == (20, 10)


def test_an_organisation_that_nobody_knows_has_no_entries(database: Database) -> None:
    result = verify_archive(database, "nobody")

    assert isinstance(result, Verified)
    assert (result.entries, result.first, result.last) == (0, 0, 0)
    assert result.last_hash == genesis("nobody")


def test_entries_of_a_newer_version_are_verified_as_well(database: Database) -> None:
    made = Lives()
    made.odd(version=99, kind="telepathy", data='{"é":[1,2]}', more='{"unknown":"x"}')
    archive_entries(database, ORGANIZATION, made.entries)

    assert isinstance(verify_archive(database, ORGANIZATION), Verified)


def test_organisations_do_not_disturb_each_other(database: Database, tmp_path: Path) -> None:
    signed_journal(database, tmp_path)
    archive_entries(database, "other", lives(3).entries)
    tamper(database, "DELETE FROM entries WHERE organization_id <> 1 AND number = 2")

    assert isinstance(verify_archive(database, ORGANIZATION), Verified)
    assert isinstance(verify_archive(database, "other"), Broken)


@pytest.mark.parametrize("number", [1, 10, 22])
@pytest.mark.parametrize(
    "change",
    [
        "stream_id = replace(stream_id, '1', '2')",
        "at_ms = at_ms + 1",
        "version = 2",
        "kind = 'receipt_'",
        "call_id = call_id || '0'",
        "call_id = NULL",
        "data = replace(data, '{', '{ ')",
        "data = data || ' '",
        "moves = '[[]]'",
        "checks = 'null'",
        "more = '{}'",
        "hash = :other",
    ],
)
def test_a_changed_value_is_found_in_every_column(
    database: Database, tmp_path: Path, number: int, change: str
) -> None:
    signed_journal(database, tmp_path)
    statement = f"UPDATE entries SET {change} WHERE number = {number}"
    tamper(database, statement, **({"other": bytes(32)} if ":other" in change else {}))

    assert broken(database) == (number, Damage.CHANGED)


def test_a_hash_that_was_changed_is_told_from_an_entry_that_was(
    database: Database, tmp_path: Path
) -> None:
    signed_journal(database, tmp_path)
    tamper(database, "UPDATE entries SET hash = :h WHERE number = 7", h=bytes(32))

    result = verify_archive(database, ORGANIZATION)

    assert isinstance(result, Broken)
    assert "the hash of entry 7 was changed; what the entry says was not" in result.said


@pytest.mark.parametrize(("number", "month"), [(7, 202_512), (22, 203_001)])
def test_an_entry_filed_elsewhere_is_found(
    database: Database, tmp_path: Path, number: int, month: int
) -> None:
    signed_journal(database, tmp_path)
    if database.dialect == "postgresql":
        tamper(
            database,
            f"CREATE TABLE elsewhere PARTITION OF entries FOR VALUES FROM (1, {month}) "
            f"TO (1, {month + 1})",
        )
    tamper(database, f"UPDATE entries SET month = {month} WHERE number = {number}")

    assert broken(database) == (number, Damage.CHANGED)


@pytest.mark.parametrize("number", [1, 7, 10, 21])
def test_a_deleted_entry_is_named(database: Database, tmp_path: Path, number: int) -> None:
    signed_journal(database, tmp_path)
    tamper(database, f"DELETE FROM entries WHERE number = {number}")

    assert broken(database) == (number, Damage.REMOVED)


def test_an_entry_of_another_organisation_is_missing(database: Database, tmp_path: Path) -> None:
    signed_journal(database, tmp_path)
    archive_entries(database, "other", lives(1).entries)
    tamper(
        database,
        "DELETE FROM entries WHERE organization_id = 2",
        "UPDATE entries SET organization_id = 2 WHERE organization_id = 1 AND number = 5",
    )

    assert broken(database) == (5, Damage.REMOVED)


@pytest.mark.parametrize(("one", "other"), [(3, 4), (7, 15), (21, 22)])
@pytest.mark.parametrize("with_hash", [False, True])
def test_two_that_changed_places_are_named(
    database: Database, tmp_path: Path, one: int, other: int, with_hash: bool
) -> None:
    signed_journal(database, tmp_path)
    tamper(
        database,
        f"UPDATE entries SET number = -1 WHERE number = {one}",
        f"UPDATE entries SET number = {one} WHERE number = {other}",
        f"UPDATE entries SET number = {other} WHERE number = -1",
    )
    if not with_hash:
        with database.read() as connection:
            rows = connection.execute(
                text(f"SELECT number, hash FROM entries WHERE number IN ({one}, {other})")
            ).all()
        hashes = {row.number: row.hash for row in rows}
        for here, there in ((one, other), (other, one)):
            tamper(database, f"UPDATE entries SET hash = :h WHERE number = {here}", h=hashes[there])

    assert broken(database) == (one, Damage.REORDERED)


def test_a_cut_tail_is_told_by_the_head(database: Database, tmp_path: Path) -> None:
    signed_journal(database, tmp_path)
    tamper(database, "DELETE FROM entries WHERE number > 20")

    assert broken(database) == (21, Damage.CUT)


def test_a_cut_tail_is_told_by_a_checkpoint_when_the_head_fits(
    database: Database, tmp_path: Path
) -> None:
    signed_journal(database, tmp_path)
    _cut_behind(database, 15)

    assert broken(database) == (16, Damage.CUT)


def test_a_cut_tail_is_told_by_a_checkpoint_that_was_kept_elsewhere(
    database: Database, tmp_path: Path
) -> None:
    signed_journal(database, tmp_path)
    _cut_behind(database, 15)
    tamper(database, "DELETE FROM checkpoints WHERE number > 15")

    assert isinstance(verify_archive(database, ORGANIZATION), Verified)
    kept = read_kept(tmp_path / "kept", ORGANIZATION).checkpoints
    assert broken(database, kept=kept) == (16, Damage.CUT)


def test_nothing_left_at_all_is_a_cut_as_well(database: Database, tmp_path: Path) -> None:
    signed_journal(database, tmp_path)
    kept = read_kept(tmp_path / "kept", ORGANIZATION).checkpoints
    tamper(
        database,
        "DELETE FROM entries",
        "DELETE FROM checkpoints",
        "DELETE FROM organizations",
    )

    assert broken(database, kept=kept) == (1, Damage.CUT)


def test_rows_behind_the_head_were_added(database: Database, tmp_path: Path) -> None:
    signed_journal(database, tmp_path)
    tamper(database, "UPDATE organizations SET number = 21")

    assert broken(database)[0] == 22


def test_a_changed_head_is_named(database: Database, tmp_path: Path) -> None:
    signed_journal(database, tmp_path)
    tamper(database, "UPDATE organizations SET hash = :h", h=bytes(32))

    result = verify_archive(database, ORGANIZATION)

    assert isinstance(result, Broken)
    assert result.where == "table organizations, name acme"


def test_a_chain_written_anew_is_told_by_its_checkpoints(
    database: Database, tmp_path: Path
) -> None:
    signed_journal(database, tmp_path)
    tamper(database, "UPDATE entries SET data = '{}' WHERE number = 15")
    rehash(database)

    # Somewhere behind the last checkpoint that still fits.
    assert broken(database) == (11, Damage.REWRITTEN)


def test_a_chain_written_anew_without_its_checkpoints_is_told_by_those_kept_elsewhere(
    database: Database, tmp_path: Path
) -> None:
    signed_journal(database, tmp_path)
    tamper(
        database,
        "UPDATE entries SET data = '{}' WHERE number = 15",
        "DELETE FROM checkpoints WHERE number >= 15",
    )
    rehash(database)

    assert isinstance(verify_archive(database, ORGANIZATION), Verified)
    kept = read_kept(tmp_path / "kept", ORGANIZATION).checkpoints
    assert broken(database, kept=kept) == (11, Damage.REWRITTEN)


def test_a_chain_written_and_signed_anew_is_told_by_a_trusted_key(
    database: Database, tmp_path: Path
) -> None:
    key = signed_journal(database, tmp_path)
    tamper(
        database,
        "UPDATE entries SET data = '{}' WHERE number = 15",
        "DELETE FROM checkpoints",
        "DELETE FROM signing_keys",
    )
    rehash(database)
    forger = tmp_path / "forger"
    forger.mkdir()
    sign(database, forger)

    assert isinstance(verify_archive(database, ORGANIZATION), Verified)
    assert broken(database, pinned=[key.public_key]) == (22, Damage.NOT_SIGNED)


def test_a_trusted_key_that_has_signed_nothing_verifies_nothing(database: Database) -> None:
    archive_entries(database, ORGANIZATION, lives(3).entries)

    assert broken(database, pinned=[bytes(31) + b"\x01"]) == (1, Damage.NOT_SIGNED)


def test_a_checkpoint_that_was_removed_is_told_by_those_kept_elsewhere(
    database: Database, tmp_path: Path
) -> None:
    signed_journal(database, tmp_path)
    tamper(database, "DELETE FROM checkpoints WHERE number = 10")

    found = verify_archive(database, ORGANIZATION)
    assert isinstance(found, Verified)
    assert found.unsigned_max == 20
    kept = read_kept(tmp_path / "kept", ORGANIZATION).checkpoints
    assert broken(database, kept=kept) == (10, Damage.REMOVED)


@pytest.mark.parametrize(
    "change", ["at_ms = at_ms + 1", "hash = :other", "signature = :other", "key_id = 'ff'"]
)
def test_a_changed_checkpoint_is_named(database: Database, tmp_path: Path, change: str) -> None:
    signed_journal(database, tmp_path)
    named = {"other": bytes(32)} if ":other" in change else {}
    tamper(database, f"UPDATE checkpoints SET {change} WHERE number = 10", **named)

    assert broken(database) == (10, Damage.NOT_SIGNED)


def test_a_checkpoint_of_another_entry_is_none(database: Database, tmp_path: Path) -> None:
    signed_journal(database, tmp_path)
    tamper(database, "UPDATE checkpoints SET number = 12 WHERE number = 10")

    assert broken(database) == (12, Damage.NOT_SIGNED)


def test_a_key_that_is_not_what_its_id_says_is_named(database: Database, tmp_path: Path) -> None:
    signed_journal(database, tmp_path)
    tamper(database, "UPDATE signing_keys SET public_key = :other", other=bytes(32))

    assert broken(database) == (None, Damage.NOT_SIGNED)


def test_a_journal_may_begin_where_retention_has_left_it(
    database: Database, tmp_path: Path
) -> None:
    signed_journal(database, tmp_path)
    _drop_before(database, 8)

    result = verify_archive(database, ORGANIZATION)

    assert isinstance(result, Verified)
    assert (result.first, result.entries, result.checkpoints) == (8, 15, 2)


def test_a_changed_beginning_is_named(database: Database, tmp_path: Path) -> None:
    signed_journal(database, tmp_path)
    _drop_before(database, 11)
    tamper(database, "UPDATE organizations SET first_hash = :h", h=bytes(32))

    # The checkpoint of the entry before the first one has the hash as it was.
    assert broken(database) == (11, Damage.CHANGED)


def test_entries_before_the_beginning_were_put_there(database: Database, tmp_path: Path) -> None:
    signed_journal(database, tmp_path)
    _drop_before(database, 8)
    tamper(
        database,
        "UPDATE organizations SET first_number = 9, "
        "first_hash = (SELECT hash FROM entries WHERE number = 8)",
    )

    assert broken(database) == (8, Damage.ADDED)


def test_a_row_that_cannot_be_read_is_named(sqlite_archive: Database, tmp_path: Path) -> None:
    signed_journal(sqlite_archive, tmp_path)
    tamper(
        sqlite_archive,
        "UPDATE entries SET data = CAST(x'7bff7d' AS TEXT) WHERE number = 9",
    )

    assert broken(sqlite_archive) == (9, Damage.UNREADABLE)


@pytest.mark.parametrize(
    "change", ["hash = 'text'", "data = x'00'", "at_ms = 'soon'", "month = 'may'"]
)
def test_a_row_of_other_types_is_named(
    sqlite_archive: Database, tmp_path: Path, change: str
) -> None:
    signed_journal(sqlite_archive, tmp_path)
    tamper(sqlite_archive, f"UPDATE entries SET {change} WHERE number = 9")

    assert broken(sqlite_archive) == (9, Damage.UNREADABLE)


def test_progress_is_told(database: Database) -> None:
    archive_entries(database, ORGANIZATION, lives(1_000).entries)
    told: list[int] = []

    assert isinstance(verify_archive(database, ORGANIZATION, progress=told.append), Verified)
    assert told == [1_000, 2_000]


def test_what_is_written_meanwhile_is_verified_as_well(database: Database) -> None:
    made = lives(1_000).entries
    archive_entries(database, ORGANIZATION, made[:1_500])
    more = [made[1_500:]]

    def write(_: int) -> None:
        if more:
            archive_entries(database, ORGANIZATION, more.pop())

    result = verify_archive(database, ORGANIZATION, progress=write)

    assert isinstance(result, Verified)
    assert result.entries == len(made)


def _cut_behind(database: Database, number: int) -> None:
    """Cut the tail, and let the head fit: what somebody does who knows the tables."""
    tamper(
        database,
        f"DELETE FROM entries WHERE number > {number}",
        f"UPDATE organizations SET number = {number}, "
        f"hash = (SELECT hash FROM entries WHERE number = {number})",
    )


def _drop_before(database: Database, number: int) -> None:
    tamper(
        database,
        f"UPDATE organizations SET first_number = {number}, "
        f"first_hash = (SELECT hash FROM entries WHERE number = {number - 1})",
        f"DELETE FROM entries WHERE number < {number}",
    )
