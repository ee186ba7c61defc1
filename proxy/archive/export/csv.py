"""Calls as comma-separated values (RFC 4180, UTF-8), safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

from policies.clock import utc
from policies.money import decimal_text
from proxy.archive.export.columns import Column, Kind, Value
from proxy.archive.lines import CallLine

# A spreadsheet takes a cell that begins so for a formula, and callers choose their user names, models
# and tags. Such a text gets an apostrophe before it, which spreadsheets do not show; one that begins
# with an apostrophe gets another, so that taking one away always gives the text back. Numbers are
# written by us and stay as they are.
_MARK: Final = "'"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", _MARK, "＝", "＋", "－", "＠")  # noqa: RUF001  # The wide ones work as well.


class CsvRows:
    """Writes calls by columns."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._cells = [(column.value, _TEXTS[column.kind]) for column in columns]

    def beginning(self) -> bytes:
        """Return the line of headings."""
        return _written([[column.name for column in self._columns]])

    def batch(self, calls: Sequence[CallLine]) -> bytes:
        """Return a line for each call."""
        return _written(
            [
                ["" if (held := value(call)) is None else text(held) for value, text in self._cells]
                for call in calls
            ]
        )

    def ending(self) -> bytes:
        """Return what comes last: nothing."""
        return b""


def cell(kind: Kind, value: Value) -> str:
    """Return a value as text; nothing for None."""
    return "" if value is None else _TEXTS[kind](value)


# Hours and months come again and again.
@lru_cache(maxsize=4_096)
def time_text(at_ms: int) -> str:
    """Return a time as RFC 3339 in UTC, to the millisecond where it is not a whole second."""
    spec = "milliseconds" if at_ms % 1000 else "seconds"
    return utc(at_ms).isoformat(timespec=spec).removesuffix("+00:00") + "Z"


def _safe(text: str) -> str:
    return _MARK + text if text.startswith(_FORMULA) else text


_TEXTS: Final[dict[Kind, Callable[[Any], str]]] = {
    Kind.TEXT: _safe,
    Kind.WHOLE: str,
    Kind.TRUTH: lambda value: "true" if value else "false",
    Kind.DOLLARS: decimal_text,
    Kind.TIME: time_text,
}


def _written(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    # Half of a surrogate pair is no UTF-8: it becomes a question mark rather than end the export.
    return text.getvalue().encode(errors="replace")
