"""`bursar audit verify`: what it says, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from proxy.archive.database import Database, open_database
from proxy.archive.pieces import Damage
from proxy.archive.walk import Broken, Verified
from proxy.cli.audit_verify import result_lines
from proxy.cli.configuration import Configuration
from proxy.cli.main import run
from tests.doubles.journals import signed_journal
from tests.doubles.tampering import tamper

Output = pytest.CaptureFixture[str]
VERIFIED = Verified(
    organization="acme",
    first=1,
    last=1_200,
    entries=1_200,
    last_hash=bytes(32),
    checkpoints=1,
    keys=("ab",),
    signed_to=1_000,
    unsigned_max=1_000,
)


@pytest.fixture
def archive(configuration: Configuration, tmp_path: Path) -> Database:
    settings = configuration.settings
    database = open_database(settings.archive, settings.data_dir)
    signed_journal(database, tmp_path, organization=configuration.rulebook.organization)
    return database


def test_a_whole_archive_is_verified(archive: Database, capsys: Output) -> None:
    assert run(["audit", "verify"]) == 0

    said = capsys.readouterr().out
    assert "verified: entries 1 to 22 of" in said
    assert "2 checkpoints" in said
    assert "--trusted-key" in said


def test_a_broken_one_names_the_place_and_fails(archive: Database, capsys: Output) -> None:
    tamper(archive, "DELETE FROM entries WHERE number = 7")

    assert run(["audit", "verify"]) == 1

    assert capsys.readouterr().out.splitlines() == [
        "broken at entry 7: removed (table entries, number 8)",
        "entry 7 is missing: entry 8 follows entry 6",
    ]


def test_programs_get_an_object(archive: Database, capsys: Output) -> None:
    assert run(["audit", "verify", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["verified"], told["entries"], told["signed_to"]) == (True, 22, 20)

    tamper(archive, "DELETE FROM entries WHERE number = 7")
    assert run(["audit", "verify", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["verified"], told["number"], told["what"]) == (False, 7, "removed")


def test_an_export_needs_no_configuration(
    archive: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    assert run(["audit", "export", "--output", "out.jsonl"]) == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)

    assert run(["audit", "verify", "--file", "../out.jsonl"]) == 0
    assert run(["audit", "verify", "--file", "../out.jsonl", "--organization", "other"]) == 1
    assert "not of 'other'" in capsys.readouterr().out


def test_checkpoints_that_were_kept_tell_what_the_file_does_not(
    archive: Database, tmp_path: Path, capsys: Output
) -> None:
    tamper(archive, "DELETE FROM checkpoints WHERE number = 10")
    assert run(["audit", "verify"]) == 0
    capsys.readouterr()

    assert run(["audit", "verify", "--checkpoints", "kept"]) == 1

    assert "broken at entry 10: removed" in capsys.readouterr().out


def test_the_configured_file_of_checkpoints_is_read(
    archive: Database, tmp_path: Path, capsys: Output
) -> None:
    with (tmp_path / "bursar.yaml").open("a") as file:
        file.write("archive: {checkpoint_file: kept}\n")
    tamper(archive, "DELETE FROM checkpoints WHERE number = 10")

    assert run(["audit", "verify"]) == 1

    (tmp_path / "kept").unlink()
    assert run(["audit", "verify"]) == 0
    assert "verified without checkpoints kept elsewhere" in capsys.readouterr().err


def test_a_line_of_checkpoints_that_is_not_believed_is_said(
    archive: Database, tmp_path: Path, capsys: Output
) -> None:
    with (tmp_path / "kept").open("ab") as file:
        file.write(b"rubbish\n")

    assert run(["audit", "verify", "--checkpoints", "kept"]) == 0

    assert "not believed: line 5 of kept" in capsys.readouterr().err


def test_a_trusted_key_is_written_out_or_in_a_file(
    archive: Database, tmp_path: Path, capsys: Output
) -> None:
    assert run(["audit", "keys", "--json"]) == 0
    (key,) = json.loads(capsys.readouterr().out)
    (tmp_path / "key").write_text(key["public_key"] + "\n")

    for trusted in (key["public_key"], "key"):
        assert run(["audit", "verify", "--trusted-key", trusted]) == 0
        assert "--trusted-key" not in capsys.readouterr().out
    assert run(["audit", "verify", "--trusted-key", "d7" * 32]) in {1, 2}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("text", ["", "rubbish", "\0", "00", "x" * 5_000, "bursar.yaml", "."])
def test_a_trusted_key_that_is_none_is_said(text: str, capsys: Output) -> None:
    assert run(["audit", "verify", "--trusted-key", text]) == 2

    assert "is no public key" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--file", "nothing"], "cannot be read"),
        (["--file", "."], "is a directory"),
        (["--checkpoints", "nothing"], "cannot be read"),
    ],
)
def test_what_is_not_there_is_said(
    archive: Database, arguments: list[str], said: str, capsys: Output
) -> None:
    assert run(["audit", "verify", *arguments]) in {1, 2}

    assert said in capsys.readouterr().err


def test_an_export_that_leaves_entries_out_cannot_be_verified(
    archive: Database, capsys: Output
) -> None:
    assert run(["audit", "export", "--kind", "settle", "--output", "out"]) == 0

    assert run(["audit", "verify", "--file", "out"]) == 1

    assert "leaves entries out" in capsys.readouterr().err


def test_people_are_told_what_was_proved_and_what_was_not() -> None:
    def lines(result: Verified | Broken, *, vouched: bool = False) -> list[str]:
        return [click.unstyle(line) for line in result_lines(result, vouched=vouched)]

    whole = "verified: entries 1 to 1,200 of 'acme' are as they were written"
    signed = "1 checkpoint, signed by ab; the last one covers entry 1,000, the longest stretch"
    assert lines(VERIFIED, vouched=True)[0] == whole
    assert lines(VERIFIED, vouched=True)[1].startswith(signed)
    assert len(lines(VERIFIED, vouched=True)) == 2
    assert len(lines(VERIFIED)) == 3
    broken = Broken(number=None, what=Damage.NOT_SIGNED, where="here", said="no")
    assert lines(broken) == ["broken: not signed (here)", "no"]


def test_people_are_told_what_is_not_there() -> None:
    late = Verified(
        organization="acme",
        first=5,
        last=9,
        entries=5,
        last_hash=b"",
        checkpoints=0,
        keys=(),
        signed_to=0,
        unsigned_max=5,
    )
    empty = Verified(
        organization="acme",
        first=0,
        last=0,
        entries=0,
        last_hash=b"",
        checkpoints=0,
        keys=(),
        signed_to=0,
        unsigned_max=0,
    )

    assert "entries before 5 are not here" in result_lines(late, vouched=False)[1]
    assert "nothing is signed" in result_lines(late, vouched=False)[2]
    assert result_lines(empty, vouched=False) == ["verified: the journal of 'acme' has no entries"]
