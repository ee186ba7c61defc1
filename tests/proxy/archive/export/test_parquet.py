"""Calls as Parquet, as its own readers see it."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa  # type: ignore[import-untyped]  # The wheel ships no types.
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # The wheel ships no types.

from policies.money import EXACT_MAX
from proxy.archive.export.columns import CALL_COLUMNS
from proxy.archive.export.parquet import GROUP_ROWS, ParquetRows
from tests.doubles.exported_calls import call


def test_columns_have_types_and_amounts_are_exact() -> None:
    rows = ParquetRows(CALL_COLUMNS, notes={"who": "acme"})
    calls = [
        call(charged_nano_usd=EXACT_MAX, at_ms=1_795_438_800_123),
        call(charged_nano_usd=-1, user=None, status=None),
        call(model="a\ud800b"),
    ]

    written = rows.beginning() + rows.batch(calls) + rows.ending()

    table = pq.read_table(io.BytesIO(written))
    assert table.schema.field("charged_usd").type == pa.decimal128(38, 9)
    assert table.schema.metadata[b"who"] == b"acme"
    first, second, third = table.to_pylist()
    assert first["charged_usd"] == Decimal(EXACT_MAX).scaleb(-9)
    assert second["charged_usd"] == Decimal("-0.000000001")
    assert first["at"] == datetime(2026, 11, 23, 13, 0, 0, 123_000, tzinfo=UTC)
    assert (second["user"], second["status"]) == (None, None)
    assert third["model"] == "a?b"


def test_nothing_is_a_file_with_columns() -> None:
    rows = ParquetRows(CALL_COLUMNS, notes={})

    written = rows.beginning() + rows.batch([]) + rows.ending()

    assert pq.read_table(io.BytesIO(written)).num_rows == 0


def test_rows_are_given_away_as_groups_fill() -> None:
    rows = ParquetRows(CALL_COLUMNS, notes={})
    assert rows.beginning() == b"PAR1"
    part = [call(number=number) for number in range(GROUP_ROWS // 4)]

    sizes = [len(rows.batch(part)) for _ in range(8)]

    assert [bool(size) for size in sizes] == [False, False, False, True] * 2
    assert rows.ending()
