"""Checkpoints that were kept elsewhere, and what is believed of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.archive.database import Database
from proxy.archive.export.lines import checkpoint_line
from proxy.archive.kept import FILE_BYTES_MAX, NoCheckpoints, read_kept
from proxy.archive.signing import load_or_make
from tests.doubles.journals import ORGANIZATION, signed_journal


@pytest.fixture
def file(sqlite_archive: Database, tmp_path: Path) -> Path:
    """One line of a key, and two checkpoints."""
    signed_journal(sqlite_archive, tmp_path)
    return tmp_path / "kept"


def test_checkpoints_are_found_by_their_numbers(file: Path) -> None:
    kept = read_kept(file, ORGANIZATION)

    assert list(kept.checkpoints) == [10, 20]
    assert kept.faults == ()
    assert kept.checkpoints[10].where == "line 2 of kept"


def test_a_line_that_broke_off_is_not_believed_and_the_others_are(file: Path) -> None:
    whole = file.read_bytes().splitlines(keepends=True)
    broken_off = [whole[0], whole[1][:40] + b"\n", *whole[2:]]
    file.write_bytes(b"".join(broken_off) + b'{"checkpoint":3')

    kept = read_kept(file, ORGANIZATION)

    assert list(kept.checkpoints) == [20]
    assert [fault.partition(":")[0] for fault in kept.faults] == ["line 2 of kept"]


def test_a_checkpoint_that_was_changed_is_not_believed(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b'"checkpoint":10', b'"checkpoint":11'))

    kept = read_kept(file, ORGANIZATION)

    assert list(kept.checkpoints) == [20]
    assert "signature" in kept.faults[0]


def test_checkpoints_of_another_organisation_are_not_believed(file: Path) -> None:
    with pytest.raises(NoCheckpoints, match="'other'"):
        read_kept(file, "other")


def test_only_trusted_keys_count_where_some_are_named(file: Path) -> None:
    with pytest.raises(NoCheckpoints, match="not one of those that are trusted"):
        read_kept(file, ORGANIZATION, pinned=(bytes(31) + b"\x01",))


def test_a_journal_that_was_forked_is_said(file: Path, tmp_path: Path) -> None:
    # The same key has signed another entry 10: a copy was restored and went on by itself.
    key = load_or_make(tmp_path / "key.pem")
    fork = key.checkpoint(ORGANIZATION, 10, 0, bytes(32))
    file.write_bytes(file.read_bytes() + checkpoint_line(fork))

    kept = read_kept(file, ORGANIZATION)

    assert kept.checkpoints[10].hash != bytes(32)
    assert "forked" in kept.faults[0]


@pytest.mark.parametrize("written", [b"", b"rubbish\n", b"{}\n", b'{"bursar_journal":1}\n'])
def test_a_file_of_something_else_is_refused(tmp_path: Path, written: bytes) -> None:
    file = tmp_path / "kept"
    file.write_bytes(written)

    with pytest.raises(NoCheckpoints):
        read_kept(file, ORGANIZATION)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoCheckpoints, match="cannot be read"):
        read_kept(tmp_path / "nothing", ORGANIZATION)


def test_a_file_that_is_far_too_large_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "kept"
    with file.open("wb") as made:
        made.truncate(FILE_BYTES_MAX + 1)

    with pytest.raises(NoCheckpoints, match="larger"):
        read_kept(file, ORGANIZATION)
