"""`bursar audit export`: the journal and its calls as files, and in the journal."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from policies.journal import Entry
from proxy.archive.database import open_database
from proxy.archive.verify_file import verify_file
from proxy.archive.walk import Verified
from proxy.cli.archive_access import open_archive
from proxy.cli.audit_export import read_in_small_pieces
from proxy.cli.configuration import Configuration
from proxy.cli.ledger_access import LedgerAccess, with_ledger
from proxy.cli.main import run
from tests.doubles.journals import signed_journal

Output = pytest.CaptureFixture[str]


@pytest.fixture
def archived(configuration: Configuration, tmp_path: Path) -> Configuration:
    """A configuration with an archive of 22 entries."""
    settings = configuration.settings
    database = open_database(settings.archive, settings.data_dir)
    signed_journal(database, tmp_path, organization=configuration.rulebook.organization)
    database.close()
    return configuration


def acts(configuration: Configuration) -> list[Entry]:
    async def work(access: LedgerAccess) -> list[Entry]:
        return [entry for entry in await access.ledger.journal() if entry.kind == "exported"]

    return with_ledger(configuration, work)


def test_a_journal_is_written_and_can_be_verified(
    archived: Configuration, tmp_path: Path, capsys: Output
) -> None:
    assert run(["audit", "export", "--output", "out.jsonl"]) == 0

    result = verify_file(tmp_path / "out.jsonl")
    assert isinstance(result, Verified)
    assert result.entries == 22
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "22 entries written to out.jsonl\n")


def test_the_journal_says_who_exported_what(archived: Configuration) -> None:
    arguments = ["--format", "csv", "--team", "red", "--state", "settled", "--output", "out.csv"]

    assert run(["audit", "export", *arguments]) == 0

    (act,) = acts(archived)
    said = json.loads(act.data)
    assert said["actor"]
    assert said["from"] == "cli"
    assert (said["format"], said["team"], said["state"]) == ("csv", "red", "settled")
    assert (said["output"], said["resumed"]) == ("out.csv", False)


def test_filters_are_kept_to(archived: Configuration, tmp_path: Path) -> None:
    arguments = ["--format", "csv", "--model", "acme/*", "--state", "refused"]

    assert run(["audit", "export", *arguments, "--output", "out.csv"]) == 0

    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text())))
    assert {row["state"] for row in rows} == {"refused"}
    assert rows


def test_programs_are_told_what_was_written(archived: Configuration, capsys: Output) -> None:
    assert run(["audit", "export", "--format", "focus", "--output", "out.csv", "--json"]) == 0

    said = json.loads(capsys.readouterr().out)
    assert (said["file"], said["format"], said["last"]) == ("out.csv", "focus", 22)


def test_standard_output_is_the_file(archived: Configuration, capfdbinary: object) -> None:
    assert run(["audit", "export", "--kind", "refused", "--output", "-", "--json"]) == 0

    out = capfdbinary.readouterr().out  # type: ignore[attr-defined]  # Pytest names no type for it.
    lines = [json.loads(line) for line in out.splitlines()]
    assert {line["kind"] for line in lines if "kind" in line} == {"refused"}


def test_a_file_that_exists_is_left_alone(
    archived: Configuration, tmp_path: Path, capsys: Output
) -> None:
    (tmp_path / "out.jsonl").write_text("evidence")

    assert run(["audit", "export", "--output", "out.jsonl"]) == 1

    assert (tmp_path / "out.jsonl").read_text() == "evidence"
    assert "exists" in capsys.readouterr().err


def test_what_was_interrupted_goes_on(archived: Configuration, tmp_path: Path) -> None:
    (tmp_path / "out.jsonl.partial").write_text("half a li")

    assert run(["audit", "export", "--output", "out.jsonl", "--resume"]) == 1
    assert run(["audit", "export", "--output", "out.jsonl"]) == 0
    assert isinstance(verify_file(tmp_path / "out.jsonl"), Verified)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--output"),
        (["--output", "x", "--format", "xml"], "--format"),
        (["--output", "x", "--since", "noon"], "is not a time"),
        (["--output", "x", "--since", "1d", "--until", "2d"], "--until: it is not after since"),
        (["--output", "x", "--state", "lost"], "--state"),
        (["--output", "x", "--format", "csv", "--kind", "settle"], "--kind"),
        (["--output", "x", "--team", ""], "--team: it is empty"),
        (["--output", "-", "--resume"], "--resume"),
    ],
)
def test_what_makes_no_sense_is_said(arguments: list[str], said: str, capsys: Output) -> None:
    assert run(["audit", "export", *arguments]) == 2

    assert said in capsys.readouterr().err


def test_an_archive_that_cannot_be_opened_is_said(
    archived: Configuration, tmp_path: Path, capsys: Output
) -> None:
    (archived.settings.data_dir / "archive.sqlite").write_text("no database at all, rubbish")

    assert run(["audit", "export", "--output", "out.jsonl"]) == 1

    assert "not a database" in capsys.readouterr().err


def test_the_file_of_the_archive_is_not_held_in_memory(archived: Configuration) -> None:
    with open_archive(archived.settings) as database:
        read_in_small_pieces(database)

        with database.read() as connection:
            assert connection.exec_driver_sql("PRAGMA cache_size").scalar() == -4_096
