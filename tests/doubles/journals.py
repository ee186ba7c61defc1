"""Journals that can be verified: archived, signed from time to time, and exported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from proxy.archive.chain import genesis, link
from proxy.archive.checkpoints import Checkpoints
from proxy.archive.database import Database
from proxy.archive.export.file import ExportFile
from proxy.archive.export.mark import Mark
from proxy.archive.export.question import Format, Question
from proxy.archive.export.rows import entry_batches
from proxy.archive.export.stream import chunks
from proxy.archive.filters import CallFilter
from proxy.archive.scan import Span
from proxy.archive.signing import SigningKey, load_or_make
from proxy.archive_settings import ArchiveSettings
from tests.doubles.archived import archive_entries
from tests.doubles.fake_clock import NOON_MS, FakeClock
from tests.doubles.lived_calls import Lives
from tests.doubles.tampering import tamper

ORGANIZATION = "acme"
#: When checkpoints are signed, and when exports are made.
SIGNED_MS = NOON_MS + 3_600_000
EXPORTED_MS = NOON_MS + 7_200_000
ENDS = ("settled", "receipted", "refused", "expired", "released", "unreceipted")


def lives(count: int) -> Lives:
    """Return calls that end in every way, a second apart."""
    made = Lives()
    for index in range(count):
        made.call(ENDS[index % len(ENDS)], at_ms=NOON_MS + index * 1_000)
    return made


def sign(database: Database, folder: Path, organization: str = ORGANIZATION) -> None:
    """Sign the head of a chain, and write it down in the folder's file `kept`."""
    signing = Checkpoints(
        database,
        organization,
        key_file=folder / "key.pem",
        settings=ArchiveSettings(checkpoint_file=folder / "kept"),
        clock=FakeClock(SIGNED_MS),
    )
    chain = archive_entries(database, organization, [])
    assert signing.sign(chain) is not None


def signed_journal(
    database: Database,
    folder: Path,
    *,
    signed: int = 2,
    unsigned: int = 2,
    organization: str = ORGANIZATION,
) -> SigningKey:
    """Archive ten entries for each checkpoint, and some that no checkpoint covers yet."""
    entries = lives(signed * 10 + unsigned).entries
    for at in range(0, signed * 10, 10):
        archive_entries(database, organization, entries[at : at + 10])
        sign(database, folder, organization)
    archive_entries(database, organization, entries[signed * 10 : signed * 10 + unsigned])
    return load_or_make(folder / "key.pem")


def question(
    form: Format = Format.JSONL, *, kinds: tuple[str, ...] = (), **asked: object
) -> Question:
    """Return what to export."""
    calls = CallFilter(teams=None)
    return Question(format=form, calls=replace(calls, **asked), kinds=kinds)  # type: ignore[arg-type]  # A test's own.


def exported(database: Database, asked: Question | None = None) -> bytes:
    """Return an export."""
    made = chunks(database, ORGANIZATION, asked or question(), exported_ms=EXPORTED_MS)
    return b"".join(chunk.data for chunk in made)


def export_file(
    database: Database, path: Path, asked: Question | None = None, *, resume: bool = False
) -> Mark:
    """Write an export to a file."""
    wanted = asked or question()
    return ExportFile(path, ORGANIZATION, wanted).write(
        lambda mark, digest: chunks(
            database, ORGANIZATION, wanted, exported_ms=EXPORTED_MS, mark=mark, digest=digest
        ),
        resume=resume,
    )


def rehash(database: Database, organization: str = ORGANIZATION) -> None:
    """Make every hash fit what the entries say now, as a careful forger would."""
    with database.read() as connection:
        row = connection.exec_driver_sql("SELECT id, number FROM organizations").one()
    last = genesis(organization)
    for batch in entry_batches(database, row.id, Span(1, row.number + 1)):
        for stored in batch:
            last = link(last, stored.entry)
            number = stored.entry.number
            tamper(
                database, "UPDATE entries SET hash = :hash WHERE number = :n", hash=last, n=number
            )
    tamper(database, "UPDATE organizations SET hash = :hash", hash=last)
