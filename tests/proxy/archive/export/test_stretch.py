"""Which numbers an export covers."""

from __future__ import annotations

from pathlib import Path

from proxy.archive.chain import genesis
from proxy.archive.database import Database
from proxy.archive.export.question import Format
from proxy.archive.export.stretch import NOBODY, begin
from tests.doubles.archived import archive_entries
from tests.doubles.fake_clock import NOON_MS
from tests.doubles.journals import ORGANIZATION, question, signed_journal
from tests.doubles.lived_calls import Lives
from tests.doubles.tampering import tamper


def archive(database: Database, *seconds: int) -> None:
    """Archive an act for each second after noon."""
    made = Lives()
    for second in seconds:
        made.act("settings_loaded", at_ms=NOON_MS + second * 1_000)
    archive_entries(database, ORGANIZATION, made.entries)


def stretch(database: Database, **asked: object) -> tuple[int, int]:
    """Return the first and the last number."""
    _, mark = begin(database, ORGANIZATION, question(**asked), exported_ms=1)  # type: ignore[arg-type]  # A test's own.
    return mark.low, mark.high - 1


def test_without_times_it_is_everything(database: Database) -> None:
    archive(database, 0, 1, 2)

    assert stretch(database) == (1, 3)


def test_times_are_from_the_first_that_fits_to_the_last(database: Database) -> None:
    archive(database, *range(0, 6_000, 10))

    since, until = NOON_MS + 3_000_000, NOON_MS + 4_000_000
    assert stretch(database, since_ms=since) == (301, 600)
    assert stretch(database, until_ms=until) == (1, 400)
    assert stretch(database, since_ms=since, until_ms=until) == (301, 400)


def test_a_clock_that_went_back_leaves_nothing_out(database: Database) -> None:
    archive(database, 0, 10, 50, 40, 60, 30, 70)

    assert stretch(database, since_ms=NOON_MS + 40_000) == (3, 7)
    assert stretch(database, until_ms=NOON_MS + 35_000) == (1, 6)


def test_a_time_at_which_nothing_was_is_an_empty_stretch(database: Database) -> None:
    archive(database, 0, 10)

    for asked in ({"since_ms": NOON_MS + 90_000}, {"until_ms": NOON_MS - 90_000}):
        low, last = stretch(database, **asked)
        assert last == low - 1


def test_an_organisation_that_nobody_knows_has_an_empty_one(database: Database) -> None:
    number, mark = begin(database, "nobody", question(), exported_ms=1)

    assert (number, mark.high - mark.low) == (NOBODY, 0)
    assert mark.first_hash == genesis("nobody").hex()


def test_hashes_are_those_before_and_at_the_end(database: Database, tmp_path: Path) -> None:
    signed_journal(database, tmp_path)
    _, whole = begin(database, ORGANIZATION, question(), exported_ms=1)
    tamper(
        database,
        "UPDATE organizations SET first_number = 5, "
        "first_hash = (SELECT hash FROM entries WHERE number = 4)",
        "DELETE FROM entries WHERE number < 5",
    )

    _, rest = begin(database, ORGANIZATION, question(), exported_ms=1)

    assert (whole.low, rest.low) == (1, 5)
    assert whole.first_hash == genesis(ORGANIZATION).hex()
    assert rest.first_hash not in {whole.first_hash, None}
    assert rest.last_hash == whole.last_hash


def test_calls_have_no_hashes(database: Database, tmp_path: Path) -> None:
    signed_journal(database, tmp_path)

    _, mark = begin(database, ORGANIZATION, question(Format.CSV), exported_ms=1)

    assert (mark.first_hash, mark.last_hash) == (None, None)
