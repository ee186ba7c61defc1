"""The head of the chain is signed from time to time, in the archive and in a file elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import select

from proxy.archive.checkpoints import Checkpoints
from proxy.archive.database import Database
from proxy.archive.signing import KEY_FILE, SigningKeyUnusable, load_or_make, rotate
from proxy.archive.tables import checkpoints, signing_keys
from proxy.archive.writer import Writer
from proxy.archive_settings import ArchiveSettings
from tests.doubles.archived import archive_entries
from tests.doubles.fake_clock import NOON_MS, FakeClock
from tests.doubles.journal_rows import life

HOUR_MS = 3_600_000


def signer(
    database: Database, folder: Path, clock: FakeClock | None = None, **settings: Any
) -> Checkpoints:
    return Checkpoints(
        database,
        "acme",
        key_file=folder / KEY_FILE,
        settings=ArchiveSettings(**settings),
        clock=clock or FakeClock(),
    )


def numbers(database: Database) -> list[int]:
    with database.read() as connection:
        return list(connection.execute(select(checkpoints.c.number)).scalars())


def test_a_signed_head_can_be_checked_with_what_the_archive_has(
    database: Database, tmp_path: Path
) -> None:
    chain = archive_entries(database, "acme", life(1))

    signer(database, tmp_path).sign(chain)

    with database.read() as connection:
        row = connection.execute(select(checkpoints)).one()
        key = connection.execute(select(signing_keys)).one()
    assert (row.number, row.at_ms, row.hash) == (2, NOON_MS, chain.hash)
    assert key.id == row.key_id
    said = f"bursar checkpoint 1\nacme\n2\n{NOON_MS}\n{chain.hash.hex()}".encode()
    Ed25519PublicKey.from_public_bytes(key.public_key).verify(row.signature, said)


def test_an_empty_chain_has_nothing_to_sign(database: Database, tmp_path: Path) -> None:
    chain = Writer(database, "acme", FakeClock()).chain()

    assert signer(database, tmp_path).sign(chain) is None
    assert signer(database, tmp_path).sign_when_due(chain) is None


def test_a_head_is_signed_once(database: Database, tmp_path: Path) -> None:
    chain = archive_entries(database, "acme", life(1))
    signer(database, tmp_path).sign(chain)

    assert signer(database, tmp_path).sign(chain) is None
    assert numbers(database) == [2]


def test_the_first_entries_are_signed_at_once(database: Database, tmp_path: Path) -> None:
    chain = archive_entries(database, "acme", life(1))

    assert signer(database, tmp_path).sign_when_due(chain) is not None


@pytest.mark.parametrize(("entries", "waited_ms", "signs"), [(2, 0, 0), (2, HOUR_MS, 1), (6, 0, 1)])
def test_it_is_signed_after_so_many_entries_or_so_long(
    database: Database, tmp_path: Path, entries: int, waited_ms: int, signs: int
) -> None:
    clock = FakeClock()
    each = signer(database, tmp_path, clock, checkpoint_entries=5)
    each.sign(archive_entries(database, "acme", life(1)))
    chain = archive_entries(database, "acme", [e for n in range(entries // 2) for e in life(n)])
    clock.advance(waited_ms)

    each.sign_when_due(chain)

    assert len(numbers(database)) == 1 + signs


def test_nothing_new_is_not_signed_again(database: Database, tmp_path: Path) -> None:
    clock = FakeClock()
    each = signer(database, tmp_path, clock)
    chain = archive_entries(database, "acme", life(1))
    each.sign(chain)
    clock.advance(10 * HOUR_MS)

    assert each.sign_when_due(chain) is None


def test_a_rotated_key_signs_what_follows(database: Database, tmp_path: Path) -> None:
    each = signer(database, tmp_path)
    each.sign(archive_entries(database, "acme", life(1)))
    new = rotate(tmp_path / KEY_FILE).new

    signed = each.sign(archive_entries(database, "acme", life(2)))

    assert signed is not None
    assert signed.checkpoint.key_id == new.id
    with database.read() as connection:
        assert len(connection.execute(select(signing_keys)).all()) == 2


def test_every_checkpoint_is_written_down_elsewhere_too(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.jsonl"
    for number in (1, 2):
        each = signer(database, tmp_path, checkpoint_file=path)
        each.sign(archive_entries(database, "acme", life(number)))
        each.sign(archive_entries(database, "acme", life(10 + number)))

    lines = [json.loads(line) for line in path.read_text().splitlines()]

    assert [line.get("checkpoint") for line in lines] == [None, 2, 4, None, 6, 8]
    assert lines[0]["public_key"] == load_or_make(tmp_path / KEY_FILE).public_key.hex()


def test_a_file_that_cannot_be_written_is_said_and_the_archive_has_the_checkpoint(
    database: Database, tmp_path: Path
) -> None:
    each = signer(database, tmp_path, checkpoint_file=tmp_path)

    signed = each.sign(archive_entries(database, "acme", life(1)))

    assert signed is not None
    assert str(tmp_path) in str(signed.file_fault)
    assert numbers(database) == [2]


def test_without_a_key_nothing_is_signed(database: Database, tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_text("garbage")
    chain = archive_entries(database, "acme", life(1))

    with pytest.raises(SigningKeyUnusable):
        signer(database, tmp_path).sign_when_due(chain)

    assert numbers(database) == []
