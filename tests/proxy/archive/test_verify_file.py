"""An exported journal that somebody has changed: each byte counts, and the place is named."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.archive.chain import genesis, link
from proxy.archive.database import Database
from proxy.archive.export import lines
from proxy.archive.kept import read_kept
from proxy.archive.pieces import Damage, StoredEntry
from proxy.archive.verify_file import NotVerifiable, organization_of, verify_file
from proxy.archive.walk import Broken, Verified
from tests.doubles.archived import sqlite_database
from tests.doubles.fake_clock import NOON_MS
from tests.doubles.journals import ORGANIZATION, exported, question, signed_journal
from tests.doubles.tampering import tamper


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with checkpoints that were kept, and the export of a journal."""
    made = tmp_path_factory.mktemp("journal")
    database = sqlite_database(made)
    signed_journal(database, made)
    (made / "good").write_bytes(exported(database))
    (made / "early").write_bytes(exported(database, question(until_ms=NOON_MS + 5_000)))
    (made / "late").write_bytes(exported(database, question(since_ms=NOON_MS + 5_000)))
    (made / "settled").write_bytes(exported(database, question(kinds=("settle",))))
    database.close()
    return made


@pytest.fixture
def good(folder: Path) -> list[bytes]:
    """The lines: header, key, 22 entries with 2 checkpoints, trailer."""
    return (folder / "good").read_bytes().splitlines(keepends=True)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def broken(
    path: Path, written: list[bytes] | bytes, **named: Any
) -> tuple[int | None, Damage, str]:
    path.write_bytes(written if isinstance(written, bytes) else b"".join(written))
    result = verify_file(path, **named)
    assert isinstance(result, Broken), result
    assert result.said
    return result.number, result.what, result.where


def line_of(good: list[bytes], number: int) -> int:
    """Return the index of an entry's line."""
    start = b'{"number":%d,' % number
    return next(index for index, line in enumerate(good) if line.startswith(start))


def resealed(written: list[bytes]) -> list[bytes]:
    """Give a file the trailer that fits what it says now, as a careful forger would."""
    from hashlib import sha256  # noqa: PLC0415 - Only here.

    trailer = json.loads(written[-1])
    entries = [line for line in written if line.startswith(b'{"number"')]
    trailer["entries"] = len(entries)
    trailer["checkpoints"] = sum(line.startswith(b'{"checkpoint"') for line in written)
    trailer["last_number"] = json.loads(entries[-1])["number"]
    trailer["last_hash"] = json.loads(entries[-1])["hash"]
    trailer["sha256"] = sha256(b"".join(written[:-1])).hexdigest()
    return [*written[:-1], json.dumps(trailer, separators=(",", ":")).encode() + b"\n"]


def changed(line: bytes, **values: Any) -> bytes:
    return json.dumps({**json.loads(line), **values}, separators=(",", ":")).encode() + b"\n"


def test_an_export_that_nobody_touched_is_verified(folder: Path) -> None:
    result = verify_file(folder / "good", organization=ORGANIZATION)

    assert isinstance(result, Verified)
    assert (result.first, result.last, result.entries, result.checkpoints) == (1, 22, 22, 2)


@pytest.mark.parametrize(("name", "first", "last"), [("early", 1, 9), ("late", 5, 22)])
def test_a_stretch_is_verified_for_itself(folder: Path, name: str, first: int, last: int) -> None:
    kept = read_kept(folder / "kept", ORGANIZATION).checkpoints

    result = verify_file(folder / name, kept=kept)

    assert isinstance(result, Verified)
    assert (result.first, result.last) == (first, last)


def test_a_compressed_export_is_verified(good: list[bytes], file: Path) -> None:
    file.write_bytes(gzip.compress(b"".join(good)))

    assert isinstance(verify_file(file), Verified)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_byte_can_be_changed(
    folder: Path, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = bytearray((folder / "good").read_bytes())
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    file = folder / "flipped"
    file.write_bytes(whole)

    assert isinstance(verify_file(file), Broken)


@pytest.mark.parametrize(
    "change",
    [
        {"stream_id": "1-1"},
        {"at_ms": 1},
        {"version": 2},
        {"kind": "receipt"},
        {"call_id": None},
        {"data": '{"nano_usd":0}'},
        {"moves": "[]"},
        {"checks": "[]"},
        {"more": "{}"},
        {"hash": "00" * 32},
    ],
)
@pytest.mark.parametrize("number", [1, 9, 22])
def test_a_changed_entry_is_named(
    good: list[bytes], file: Path, number: int, change: dict[str, Any]
) -> None:
    at = line_of(good, number)
    if json.loads(good[at])[next(iter(change))] == next(iter(change.values())):
        change = {next(iter(change)): "other"}
    good[at] = changed(good[at], **change)

    assert broken(file, good) == (number, Damage.CHANGED, f"line {at + 1}")


def test_a_changed_number_is_named(good: list[bytes], file: Path) -> None:
    at = line_of(good, 9)
    good[at] = changed(good[at], number=90)

    assert broken(file, good) == (9, Damage.CHANGED, f"line {at + 1}")


@pytest.mark.parametrize("number", [1, 9, 21])
def test_a_removed_entry_is_named(good: list[bytes], file: Path, number: int) -> None:
    at = line_of(good, number)
    del good[at]

    assert broken(file, resealed(good)) == (number, Damage.REMOVED, f"line {at + 1}")


@pytest.mark.parametrize(("one", "other"), [(3, 4), (8, 15), (21, 22)])
def test_two_lines_that_changed_places_are_named(
    good: list[bytes], file: Path, one: int, other: int
) -> None:
    here, there = line_of(good, one), line_of(good, other)
    good[here], good[there] = good[there], good[here]

    assert broken(file, good) == (one, Damage.REORDERED, f"line {here + 1}")


def test_two_that_changed_places_with_their_numbers_are_named(
    good: list[bytes], file: Path
) -> None:
    here, there = line_of(good, 8), line_of(good, 15)
    good[here], good[there] = changed(good[there], number=8), changed(good[here], number=15)

    assert broken(file, good) == (8, Damage.REORDERED, f"line {here + 1}")


def test_a_line_that_comes_twice_is_named(good: list[bytes], file: Path) -> None:
    at = line_of(good, 9)
    good.insert(at + 1, good[at])

    assert broken(file, resealed(good)) == (9, Damage.ADDED, f"line {at + 2}")


def test_an_entry_of_somebody_else_is_named(good: list[bytes], file: Path) -> None:
    at = line_of(good, 22)
    good.insert(at + 1, changed(good[at], number=23, data="{}"))

    assert broken(file, resealed(good))[:2] == (23, Damage.CHANGED)


@pytest.mark.parametrize("left", [5, 12, 23])
def test_a_cut_tail_is_named(good: list[bytes], file: Path, left: int) -> None:
    number, what, _ = broken(file, good[:left])

    assert what is Damage.CUT
    assert number == 1 + sum(line.startswith(b'{"number"') for line in good[:left])


def test_a_cut_tail_with_the_old_last_line_is_named(good: list[bytes], file: Path) -> None:
    at = line_of(good, 21)

    assert broken(file, [*good[:at], good[-1]])[:2] == (21, Damage.CUT)


def test_a_cut_tail_with_a_new_last_line_is_told_by_checkpoints_that_were_kept(
    good: list[bytes], file: Path, folder: Path
) -> None:
    cut = resealed([*good[: line_of(good, 15)], good[-1]])
    file.write_bytes(b"".join(cut))
    assert isinstance(verify_file(file), Verified)
    kept = read_kept(folder / "kept", ORGANIZATION).checkpoints

    assert broken(file, cut, kept=kept)[:2] == (15, Damage.CUT)


def test_a_line_that_breaks_off_is_named(good: list[bytes], file: Path) -> None:
    at = line_of(good, 14)
    cut = b"".join(good[:at]) + good[at][:50]

    assert broken(file, cut) == (14, Damage.CUT, f"line {at + 1}")


def test_a_compressed_file_that_breaks_off_is_named(good: list[bytes], file: Path) -> None:
    noise = random.Random(4)
    many = [*good, *(noise.randbytes(40).hex().encode() + b"\n" for _ in range(9_000))]
    whole = gzip.compress(b"".join(many))

    assert broken(file, whole[: len(whole) // 400])[1] in {Damage.CUT, Damage.UNREADABLE}


def test_damaged_compression_is_named(good: list[bytes], file: Path) -> None:
    whole = bytearray(gzip.compress(b"".join(good)))
    whole[-6] ^= 1

    assert broken(file, bytes(whole))[1] is Damage.UNREADABLE


def test_a_chain_written_anew_is_told_by_its_checkpoints(good: list[bytes], file: Path) -> None:
    at = line_of(good, 15)
    good[at] = changed(good[at], data="{}")

    number, what, where = broken(file, resealed(_rehashed(good)))

    assert (number, what) == (11, Damage.REWRITTEN)
    assert json.loads(good[int(where.removeprefix("line ")) - 1])["checkpoint"] == 20


def test_a_chain_written_anew_without_checkpoints_is_told_by_those_kept(
    good: list[bytes], file: Path, folder: Path
) -> None:
    at = line_of(good, 15)
    good[at] = changed(good[at], data="{}")
    anew = _rehashed([line for line in good if not line.startswith(b'{"checkpoint":20')])
    kept = read_kept(folder / "kept", ORGANIZATION).checkpoints

    assert broken(file, resealed(anew), kept=kept)[:2] == (11, Damage.REWRITTEN)


def test_a_removed_checkpoint_is_told_by_the_last_line(good: list[bytes], file: Path) -> None:
    without = [line for line in good if not line.startswith(b'{"checkpoint":10')]

    assert broken(file, without) == (None, Damage.REMOVED, f"line {len(without)}")


def test_a_removed_checkpoint_is_named_by_those_kept(
    good: list[bytes], file: Path, folder: Path
) -> None:
    without = [line for line in good if not line.startswith(b'{"checkpoint":10')]
    kept = read_kept(folder / "kept", ORGANIZATION).checkpoints

    assert broken(file, resealed(without), kept=kept)[:2] == (10, Damage.REMOVED)


def test_a_checkpoint_elsewhere_is_named(good: list[bytes], file: Path) -> None:
    at = next(i for i, line in enumerate(good) if line.startswith(b'{"checkpoint":10'))
    good.insert(at + 2, good.pop(at))

    assert broken(file, resealed(good))[:2] == (10, Damage.REORDERED)


def test_a_signature_of_an_unknown_key_is_named(good: list[bytes], file: Path) -> None:
    without = [line for line in good if not line.startswith(b'{"key"')]

    assert broken(file, resealed(without))[:2] == (10, Damage.NOT_SIGNED)


def test_a_signature_of_another_key_than_the_trusted_is_named(
    good: list[bytes], file: Path
) -> None:
    other = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")

    assert broken(file, good, pinned=[other])[:2] == (10, Damage.NOT_SIGNED)


def test_the_trusted_key_verifies(good: list[bytes], folder: Path) -> None:
    key = json.loads(next(line for line in good if line.startswith(b'{"key"')))

    result = verify_file(folder / "good", pinned=[bytes.fromhex(key["public_key"])])

    assert isinstance(result, Verified)
    assert result.keys == (key["key"],)


def test_another_organisation_is_named(good: list[bytes], folder: Path, file: Path) -> None:
    assert broken(file, good, organization="other") == (None, Damage.CHANGED, "line 1")


def test_a_changed_organisation_is_named(good: list[bytes], file: Path) -> None:
    good[0] = changed(good[0], organization="other")

    assert broken(file, resealed(good))[:2] == (1, Damage.CHANGED)


def test_a_stretch_under_another_name_is_told_by_its_signatures(folder: Path, file: Path) -> None:
    late = (folder / "late").read_bytes().splitlines(keepends=True)
    late[0] = changed(late[0], organization="other")

    assert broken(file, resealed(late))[:2] == (10, Damage.NOT_SIGNED)


@pytest.mark.parametrize(
    ("start", "change"),
    [
        (b'{"bursar_journal"', {"exported_ms": 1}),
        (b'{"bursar_journal"', {"asked": {"format": "jsonl", "until_ms": 1}}),
        (b'{"key"', {"created_ms": 1}),
        (b'{"last_number"', {"sha256": "00" * 32}),
    ],
)
def test_what_no_hash_of_the_chain_covers_is_covered_by_the_checksum(
    good: list[bytes], file: Path, start: bytes, change: dict[str, Any]
) -> None:
    at = next(index for index, line in enumerate(good) if line.startswith(start))
    good[at] = changed(good[at], **change)

    assert broken(file, good) == (None, Damage.CHANGED, f"line {len(good)}")


@pytest.mark.parametrize(
    ("written", "what"),
    [
        (b"", Damage.UNREADABLE),
        (b"\n", Damage.UNREADABLE),
        (b"<html>\n", Damage.UNREADABLE),
        (b"[]\n", Damage.UNREADABLE),
        (b'{"number":1}\n', Damage.UNREADABLE),
        (b"\xff\xfe\x00\n", Damage.UNREADABLE),
        (b"[" * 100_000 + b"\n", Damage.UNREADABLE),
        (b'{"a":NaN}\n', Damage.UNREADABLE),
        (b'{"a":' + b"9" * 5_000 + b"}\n", Damage.UNREADABLE),
        (b"PAR1 and so on", Damage.UNREADABLE),
    ],
)
def test_garbage_is_no_journal(file: Path, written: bytes, what: Damage) -> None:
    number, found, where = broken(file, written)

    assert (number, where) == (None, "line 1")
    assert found in {what, Damage.CUT}


@pytest.mark.parametrize("rubbish", [b"\n", b"{}\n", b"nonsense\n", b'{"number":9}\n'])
def test_rubbish_between_the_lines_is_named(good: list[bytes], file: Path, rubbish: bytes) -> None:
    at = line_of(good, 9)
    good.insert(at, rubbish)

    assert broken(file, good) == (9, Damage.UNREADABLE, f"line {at + 1}")


def test_something_behind_the_end_is_named(good: list[bytes], file: Path) -> None:
    assert broken(file, [*good, good[-2]])[1] is Damage.ADDED


def test_a_line_without_end_does_not_fill_the_memory(good: list[bytes], file: Path) -> None:
    endless = b"".join(good[:5]) + b"x" * (17 * 1024 * 1024)

    assert broken(file, endless)[1] is Damage.UNREADABLE


def test_an_export_that_leaves_entries_out_says_so(folder: Path) -> None:
    with pytest.raises(NotVerifiable, match="leaves entries out"):
        verify_file(folder / "settled")


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotVerifiable, match="cannot be read"):
        verify_file(tmp_path / "nothing")
    with pytest.raises(NotVerifiable, match="cannot be read"):
        organization_of(tmp_path)


def test_a_file_says_whose_it_is(folder: Path, file: Path) -> None:
    file.write_bytes(b"rubbish")

    assert organization_of(folder / "good") == ORGANIZATION
    assert organization_of(file) is None


def test_a_broken_archive_is_broken_in_its_export(
    sqlite_archive: Database, tmp_path: Path, file: Path
) -> None:
    signed_journal(sqlite_archive, tmp_path)
    tamper(sqlite_archive, "DELETE FROM entries WHERE number IN (9, 22)")

    assert broken(file, exported(sqlite_archive))[:2] == (9, Damage.REMOVED)


def test_a_cut_archive_is_cut_in_its_export(
    sqlite_archive: Database, tmp_path: Path, file: Path
) -> None:
    signed_journal(sqlite_archive, tmp_path)
    tamper(sqlite_archive, "DELETE FROM entries WHERE number > 18")

    assert broken(file, exported(sqlite_archive))[:2] == (19, Damage.CUT)


def _rehashed(written: list[bytes]) -> list[bytes]:
    """Make every hash fit what the entries say now."""
    last, made = genesis(ORGANIZATION), []
    for line in written:
        if line.startswith(b'{"number"'):
            piece = lines.parsed(line.removesuffix(b"\n"), "")
            assert isinstance(piece, StoredEntry)
            last = link(last, piece.entry)
            made.append(changed(line, hash=last.hex()))
        else:
            made.append(line)
    return made
