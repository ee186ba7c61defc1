"""`bursar audit keys`, `checkpoints` and `rotate-key`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proxy.archive.database import open_database
from proxy.archive.kept import read_kept
from proxy.archive.signing import KEY_FILE, SigningKey, load_or_make
from proxy.cli.configuration import Configuration
from proxy.cli.ledger_access import LedgerAccess, with_ledger
from proxy.cli.main import run
from tests.doubles.journals import signed_journal

Output = pytest.CaptureFixture[str]


@pytest.fixture
def key(configuration: Configuration, tmp_path: Path) -> SigningKey:
    """The key that has signed the archive's two checkpoints."""
    settings = configuration.settings
    database = open_database(settings.archive, settings.data_dir)
    made = signed_journal(database, tmp_path, organization=configuration.rulebook.organization)
    database.close()
    return made


def test_keys_that_signed_are_listed(key: SigningKey, capsys: Output) -> None:
    assert run(["audit", "keys"]) == 0

    said = capsys.readouterr().out
    assert key.id in said
    assert key.public_key.hex() in said


@pytest.mark.usefixtures("folder")
def test_without_a_checkpoint_there_is_no_key(capsys: Output) -> None:
    assert run(["audit", "keys"]) == 0
    assert capsys.readouterr().out == "no checkpoint was signed yet\n"
    assert run(["audit", "checkpoints"]) == 0
    assert capsys.readouterr().out == ""


def test_checkpoints_are_printed_as_they_are_kept(
    key: SigningKey, configuration: Configuration, tmp_path: Path, capsys: Output
) -> None:
    assert run(["audit", "checkpoints"]) == 0

    printed = tmp_path / "printed"
    printed.write_text(capsys.readouterr().out)
    assert printed.read_text().count('"public_key"') == 1
    kept = read_kept(printed, configuration.rulebook.organization)
    assert list(kept.checkpoints) == [10, 20]


def test_checkpoints_behind_an_entry_are_printed(key: SigningKey, capsys: Output) -> None:
    assert run(["audit", "checkpoints", "--after", "10"]) == 0

    first, second = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (first["key"], second["checkpoint"]) == (key.id, 20)


def test_a_key_is_replaced_and_the_journal_says_so(
    configuration: Configuration, capsys: Output
) -> None:
    old = load_or_make(configuration.settings.data_dir / KEY_FILE)

    assert run(["audit", "rotate-key", "--json"]) == 0

    said = json.loads(capsys.readouterr().out)
    new = load_or_make(configuration.settings.data_dir / KEY_FILE)
    assert (said["old"], said["new"]) == (old.id, new.id)
    assert said["public_key"] == new.public_key.hex()

    async def work(access: LedgerAccess) -> dict[str, str]:
        (entry,) = await access.ledger.journal()
        assert entry.kind == "signing_key_rotated"
        told: dict[str, str] = json.loads(entry.data)
        return told

    told = with_ledger(configuration, work)
    assert told["from"] == "cli"
    assert (told["old"], told["endorsement"]) == (old.id, said["endorsement"])


@pytest.mark.usefixtures("folder")
def test_people_are_told_the_new_key(capsys: Output) -> None:
    assert run(["audit", "rotate-key"]) == 0

    assert "its public key: " in capsys.readouterr().out


def test_without_a_ledger_no_key_is_replaced(configuration: Configuration, tmp_path: Path) -> None:
    path = configuration.settings.data_dir / KEY_FILE
    old = load_or_make(path)
    settings = (tmp_path / "bursar.yaml").read_text()
    (tmp_path / "bursar.yaml").write_text(
        settings.replace("ledger: {url:", 'ledger: {url: "unix:///nowhere/redis.sock"} #')
    )

    assert run(["audit", "rotate-key"]) == 1

    assert load_or_make(path).id == old.id
