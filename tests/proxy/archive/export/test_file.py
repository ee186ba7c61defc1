"""An export into a file, interrupted and gone on with."""

from __future__ import annotations

import json
import re
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.archive.database import ArchiveUnavailable, Database
from proxy.archive.export import file as export_files
from proxy.archive.export.file import ExportFailed, ExportFile
from proxy.archive.export.mark import Chunk
from proxy.archive.export.question import Format, Question
from proxy.archive.export.stream import NotResumable, chunks
from proxy.archive.verify_file import verify_file
from proxy.archive.walk import Verified
from tests.doubles.archived import archive_entries
from tests.doubles.journals import (
    EXPORTED_MS,
    ORGANIZATION,
    export_file,
    exported,
    lives,
    question,
    signed_journal,
)


@pytest.fixture(autouse=True)
def noted_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every piece is noted, and pieces are small."""
    monkeypatch.setattr(export_files, "NOTED_EVERY_BYTES", 0)
    monkeypatch.setattr("proxy.archive.export.rows.BATCH", 5)
    monkeypatch.setattr(
        "proxy.archive.export.rows.entry_batch.__kwdefaults__", {"kinds": (), "count": 5}
    )


def interrupted(
    database: Database, path: Path, asked: Question, pieces: int, *, resume: bool = False
) -> None:
    """Write so many pieces of an export; then the archive is away."""

    def source(mark: Any, digest: Any) -> Iterator[Chunk]:
        made = chunks(
            database, ORGANIZATION, asked, exported_ms=EXPORTED_MS, mark=mark, digest=digest
        )
        for _, chunk in zip(range(pieces), made, strict=False):
            yield chunk
        raise ArchiveUnavailable("gone")

    with pytest.raises(ArchiveUnavailable):
        ExportFile(path, ORGANIZATION, asked).write(source, resume=resume)


def test_a_file_has_its_name_when_it_is_whole(database: Database, tmp_path: Path) -> None:
    signed_journal(database, tmp_path)
    path = tmp_path / "out.jsonl"

    mark = export_file(database, path)

    assert mark.rows == 22
    assert path.read_bytes() == exported(database)
    assert [each.name for each in tmp_path.glob("out*")] == ["out.jsonl"]


@pytest.mark.parametrize("pieces", range(1, 8))
@pytest.mark.parametrize(
    "asked",
    [
        question(),
        question(kinds=("settle", "admitted")),
        question(state="settled"),
        question(Format.CSV),
        question(Format.FOCUS),
    ],
)
def test_an_interrupted_export_goes_on_where_it_was(
    sqlite_archive: Database, tmp_path: Path, pieces: int, asked: Question
) -> None:
    signed_journal(sqlite_archive, tmp_path)
    path = tmp_path / "out"
    interrupted(sqlite_archive, path, asked, pieces)
    assert not path.exists()
    # A process that is killed leaves half a line behind.
    with path.with_name("out.partial").open("ab") as file:
        file.write(b'{"number":9')

    export_file(sqlite_archive, path, asked, resume=True)

    # Keys may be told once more by whoever goes on; everything else is as if nothing had happened.
    assert _without_keys(path.read_bytes()) == _without_keys(exported(sqlite_archive, asked))
    if asked.chained:
        assert isinstance(verify_file(path), Verified)


def test_it_can_be_interrupted_again_and_again(sqlite_archive: Database, tmp_path: Path) -> None:
    signed_journal(sqlite_archive, tmp_path)
    path = tmp_path / "out"
    for _ in range(4):
        interrupted(sqlite_archive, path, question(), 1, resume=True)

    export_file(sqlite_archive, path, resume=True)

    assert isinstance(verify_file(path), Verified)


def test_what_was_written_meanwhile_is_not_in_it(sqlite_archive: Database, tmp_path: Path) -> None:
    signed_journal(sqlite_archive, tmp_path)
    path = tmp_path / "out"
    interrupted(sqlite_archive, path, question(), 2)
    archive_entries(sqlite_archive, ORGANIZATION, lives(5).entries)

    export_file(sqlite_archive, path, resume=True)

    result = verify_file(path)
    assert isinstance(result, Verified)
    assert result.entries == 22


def test_without_resume_it_begins_anew(sqlite_archive: Database, tmp_path: Path) -> None:
    signed_journal(sqlite_archive, tmp_path)
    path = tmp_path / "out"
    interrupted(sqlite_archive, path, question(), 3)

    export_file(sqlite_archive, path)

    assert path.read_bytes() == exported(sqlite_archive)


def test_resume_of_nothing_begins(sqlite_archive: Database, tmp_path: Path) -> None:
    signed_journal(sqlite_archive, tmp_path)

    export_file(sqlite_archive, tmp_path / "out", resume=True)

    assert (tmp_path / "out").read_bytes() == exported(sqlite_archive)


def test_other_filters_do_not_go_on(sqlite_archive: Database, tmp_path: Path) -> None:
    signed_journal(sqlite_archive, tmp_path)
    path = tmp_path / "out"
    interrupted(sqlite_archive, path, question(), 3)

    with pytest.raises(NotResumable, match="other filters"):
        export_file(sqlite_archive, path, question(team="red"), resume=True)


@pytest.mark.parametrize("note", [None, "", "rubbish", "{}", "[]", '{"form":2}'])
def test_a_note_that_says_nothing_is_refused(
    sqlite_archive: Database, tmp_path: Path, note: str | None
) -> None:
    signed_journal(sqlite_archive, tmp_path)
    path = tmp_path / "out"
    interrupted(sqlite_archive, path, question(), 3)
    noted = tmp_path / "out.partial.json"
    if note is None:
        noted.unlink()
    else:
        noted.write_text(note)

    with pytest.raises(NotResumable, match="start again without --resume"):
        export_file(sqlite_archive, path, resume=True)


@pytest.mark.parametrize("left", [None, 10])
def test_a_file_that_became_shorter_is_refused(
    sqlite_archive: Database, tmp_path: Path, left: int | None
) -> None:
    signed_journal(sqlite_archive, tmp_path)
    path = tmp_path / "out"
    interrupted(sqlite_archive, path, question(), 3)
    partial = tmp_path / "out.partial"
    if left is None:
        partial.unlink()
    else:
        partial.write_bytes(partial.read_bytes()[:left])

    with pytest.raises(NotResumable, match="shorter"):
        export_file(sqlite_archive, path, resume=True)


def test_parquet_is_not_resumed(sqlite_archive: Database, tmp_path: Path) -> None:
    signed_journal(sqlite_archive, tmp_path)
    asked = question(Format.PARQUET)
    interrupted(sqlite_archive, tmp_path / "out", asked, 1)

    with pytest.raises(NotResumable, match="parquet"):
        export_file(sqlite_archive, tmp_path / "out", asked, resume=True)
    export_file(sqlite_archive, tmp_path / "out", asked)


def test_a_file_that_is_there_is_not_replaced(sqlite_archive: Database, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("evidence")

    with pytest.raises(ExportFailed, match="exists"):
        export_file(sqlite_archive, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "evidence"


def test_a_folder_that_is_not_there_is_said(sqlite_archive: Database, tmp_path: Path) -> None:
    with pytest.raises(ExportFailed, match="No such file"):
        export_file(sqlite_archive, tmp_path / "nowhere" / "out")


def test_a_full_disk_is_said_and_gone_on_with(sqlite_archive: Database, tmp_path: Path) -> None:
    signed_journal(sqlite_archive, tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # No file may be longer than that: to whoever writes it is a disk without room.
    resource.setrlimit(resource.RLIMIT_FSIZE, (6_000, hard))
    try:
        with pytest.raises(ExportFailed, match="cannot be written"):
            export_file(sqlite_archive, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "out").exists()

    export_file(sqlite_archive, tmp_path / "out", resume=True)

    assert isinstance(verify_file(tmp_path / "out"), Verified)


def test_the_note_says_how_far_it_is(sqlite_archive: Database, tmp_path: Path) -> None:
    signed_journal(sqlite_archive, tmp_path)
    interrupted(sqlite_archive, tmp_path / "out", question(), 3)

    note = json.loads((tmp_path / "out.partial.json").read_text())

    assert note["bytes"] == (tmp_path / "out.partial").stat().st_size
    assert note["organization"] == ORGANIZATION
    assert 0 < note["mark"]["done"] < 22


def _without_keys(written: bytes) -> bytes:
    """Take out lines of keys, and the checksum over everything."""
    lines = [line for line in written.splitlines() if not line.startswith(b'{"key"')]
    text = b"\n".join(lines)
    return re.sub(rb'"sha256":"[0-9a-f]+"', b"", text)
