"""Calls as Parquet: typed columns, compressed, a group of rows at a time."""

from __future__ import annotations

import io
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa  # type: ignore[import-untyped]  # The wheel ships no types.
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # The wheel ships no types.

from proxy.archive.export.columns import Column, Kind, Value
from proxy.archive.lines import CallLine

#: Rows in a group: enough to compress well, and a few MB of memory while it fills. Of each group the
#: writer keeps a description until the end, so that smaller ones would take more memory, not less.
GROUP_ROWS: Final = 20_000
#: Nano-dollars as exact dollars: 9 digits behind the point, 29 before it.
_DOLLARS: Final = pa.decimal128(38, 9)
_TYPES: Final[dict[Kind, pa.DataType]] = {
    Kind.TEXT: pa.string(),
    Kind.WHOLE: pa.int64(),
    Kind.TRUTH: pa.bool_(),
    Kind.DOLLARS: _DOLLARS,
    Kind.TIME: pa.timestamp("ms", tz="UTC"),
}


class ParquetRows:
    """Writes calls by columns. Nothing can be appended to a file that was begun by somebody else."""

    def __init__(self, columns: Sequence[Column], *, notes: dict[str, str]) -> None:
        """Take what to note in the file's metadata."""
        self._columns = columns
        schema = pa.schema(
            [(column.name, _TYPES[column.kind]) for column in columns], metadata=notes
        )
        self._schema = schema
        self._sink = _Sink()
        # The least and the greatest of texts say little, and are kept for every group.
        counted = [column.name for column in columns if column.kind is not Kind.TEXT]
        self._writer = pq.ParquetWriter(
            self._sink, schema, compression="zstd", write_statistics=counted
        )
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0

    def beginning(self) -> bytes:
        """Return the first bytes."""
        return self._sink.taken()

    def batch(self, calls: Sequence[CallLine]) -> bytes:
        """Take calls; return what is ready to be written, often nothing."""
        arrays = [
            pa.array(
                [_value(column.kind, column.value(call)) for call in calls],
                type=_TYPES[column.kind],
            )
            for column in self._columns
        ]
        self._waiting.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._waiting_rows += len(calls)
        if self._waiting_rows >= GROUP_ROWS:
            self._group()
        return self._sink.taken()

    def ending(self) -> bytes:
        """Return the rest, with the index that a reader begins with."""
        self._group()
        self._writer.close()
        return self._sink.taken()

    def _group(self) -> None:
        if self._waiting_rows:
            table = pa.Table.from_batches(self._waiting, schema=self._schema)
            self._writer.write_table(table, row_group_size=self._waiting_rows)
        self._waiting, self._waiting_rows = [], 0
        # Arrow's pool would keep what it once had.
        pa.default_memory_pool().release_unused()


def _value(kind: Kind, value: Value) -> Any:  # noqa: ANN401 - What Arrow takes for the column's type.
    if value is None:
        return None
    match kind:
        case Kind.DOLLARS:
            return Decimal(int(value)).scaleb(-9)
        case Kind.TEXT:
            # Half of a surrogate pair is no UTF-8.
            return str(value).encode(errors="replace").decode()
        case _:
            return value


class _Sink(io.RawIOBase):
    """Takes what the writer writes, and gives it away."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        """Say that it can be written to, which the writer asks."""
        return True

    def write(self, data: Any, /) -> int:  # noqa: ANN401 - Whatever has bytes.
        """Keep bytes until somebody takes them."""
        part = bytes(data)
        self._parts.append(part)
        return len(part)

    def taken(self) -> bytes:
        """Return what was written since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)
