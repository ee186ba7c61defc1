"""An export as a stream: every form, in memory that does not grow."""

from __future__ import annotations

import csv
import io
import tracemalloc
from collections.abc import Iterator
from decimal import Decimal

import pyarrow as pa  # type: ignore[import-untyped]  # The wheel ships no types.
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # The wheel ships no types.
import pytest

from proxy.archive.database import Database
from proxy.archive.export.mark import Chunk
from proxy.archive.export.question import Format
from proxy.archive.export.stream import NotResumable, chunks
from tests.doubles.archived import archive_entries
from tests.doubles.journals import ORGANIZATION, exported, lives, question
from tests.doubles.tampering import tamper

MIB = 1024 * 1024
MANY = 20_000
# One row for each number: what stands in it is what a call has, near enough.
MANY_CALLS = f"""
INSERT INTO calls (organization_id, month, call_id, number, at_ms, state, team, user, key_id,
  provider, model, dialect, streamed, charged_nano_usd, usage, tags, entries)
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {MANY})
SELECT 1, 202611, 'call_' || n, n, 1795438800000 + n, 'settled', 'red', 'user' || n, 'key_1',
  'sim', 'acme/mini', 'messages', 1, n, json_object('input_tokens', 20),
  json_object('project', 'atlas'), n FROM numbers
"""
MANY_ENTRIES = f"""
INSERT INTO entries (organization_id, number, month, stream_id, at_ms, version, kind, call_id, data,
  moves, hash)
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {MANY})
SELECT 1, n, 202611, n || '-0', 1795438800000 + n, 1, 'settle', 'call_' || n,
  json_object('nano_usd', n), '[]', zeroblob(32) FROM numbers
"""


@pytest.fixture
def crowded(sqlite_archive: Database) -> Database:
    archive_entries(sqlite_archive, ORGANIZATION, [])
    tamper(sqlite_archive, MANY_CALLS, MANY_ENTRIES, f"UPDATE organizations SET number = {MANY}")
    return sqlite_archive


def stream(database: Database, form: Format) -> Iterator[Chunk]:
    return chunks(database, ORGANIZATION, question(form), exported_ms=1)


@pytest.mark.parametrize("form", Format)
def test_memory_does_not_grow_with_an_export(crowded: Database, form: Format) -> None:
    made = stream(crowded, form)
    next(made)
    arrow = pa.total_allocated_bytes()
    tracemalloc.start()

    written = sum(len(chunk.data) for chunk in made)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert written > MIB // 8
    # A batch of 2,000 rows, and what it becomes; ten times that would be some 60 MiB.
    assert peak < 12 * MIB
    assert pa.total_allocated_bytes() - arrow < 12 * MIB


@pytest.mark.parametrize("form", Format)
def test_every_row_is_there_once(crowded: Database, form: Format) -> None:
    written = b"".join(chunk.data for chunk in stream(crowded, form))

    if form is Format.JSONL:
        assert written.count(b'"kind":"settle"') == MANY
        return
    if form in {Format.PARQUET, Format.FOCUS_PARQUET}:
        table = pq.read_table(io.BytesIO(written))
        name = "number" if form is Format.PARQUET else "x_CallNumber"
        numbers = table[name].to_pylist()
    else:
        rows = csv.DictReader(io.StringIO(written.decode(), newline=""))
        name = "number" if form is Format.CSV else "x_CallNumber"
        numbers = [int(row[name]) for row in rows]
    assert numbers == list(range(1, MANY + 1))


def test_all_forms_of_calls_say_the_same(database: Database) -> None:
    archive_entries(database, ORGANIZATION, lives(30).entries)

    table = csv.DictReader(io.StringIO(exported(database, question(Format.CSV)).decode()))
    in_csv = [Decimal(row["charged_usd"]) for row in table if row["charged_usd"]]
    parquet = pq.read_table(io.BytesIO(exported(database, question(Format.PARQUET)))).to_pylist()
    focus = csv.DictReader(io.StringIO(exported(database, question(Format.FOCUS)).decode()))

    assert in_csv == [row["charged_usd"] for row in parquet if row["charged_usd"] is not None]
    assert sum(Decimal(row["BilledCost"]) for row in focus) == sum(in_csv)


def test_it_ends_where_it_was_when_it_began(database: Database) -> None:
    made = lives(20).entries
    archive_entries(database, ORGANIZATION, made[:10])
    found = stream(database, Format.JSONL)
    first = next(found).data
    archive_entries(database, ORGANIZATION, made[10:])

    rest = b"".join(chunk.data for chunk in found)

    assert (first + rest).count(b'"number":') == 10


def test_an_organisation_without_entries_is_an_export_without_rows(database: Database) -> None:
    assert exported(database).count(b"\n") == 2
    assert exported(database, question(Format.CSV)).count(b"\n") == 1
    whole = io.BytesIO(exported(database, question(Format.PARQUET)))
    assert pq.read_table(whole).num_rows == 0


@pytest.mark.parametrize("form", [Format.PARQUET, Format.FOCUS_PARQUET])
def test_what_has_an_end_cannot_be_added_to(database: Database, form: Format) -> None:
    mark = next(stream(database, form)).mark

    with pytest.raises(NotResumable):
        next(chunks(database, ORGANIZATION, question(form), exported_ms=1, mark=mark))
