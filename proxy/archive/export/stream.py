"""An export as a stream of bytes, whatever its form: memory does not grow with its length."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from policies.errors import BursarError
from proxy.archive.database import Database
from proxy.archive.export import focus, rows
from proxy.archive.export.columns import CALL_COLUMNS
from proxy.archive.export.csv import CsvRows
from proxy.archive.export.jsonl import JournalLines
from proxy.archive.export.mark import Chunk, Mark
from proxy.archive.export.question import Format, Question
from proxy.archive.export.stretch import begin
from proxy.archive.lines import CallLine
from proxy.archive.scan import Span

if TYPE_CHECKING:
    from hashlib import _Hash

#: Forms that begin and end with something that cannot be added to.
CLOSED: frozenset[Format] = frozenset({Format.PARQUET, Format.FOCUS_PARQUET})


class NotResumable(BursarError):
    """An export that cannot go on where another one stopped."""


class Rows(Protocol):
    """Writes calls in some form."""

    def beginning(self) -> bytes:
        """Return what comes first."""
        ...

    def batch(self, calls: Sequence[CallLine]) -> bytes:
        """Take calls; return what is ready to be written."""
        ...

    def ending(self) -> bytes:
        """Return what comes last."""
        ...


def chunks(
    database: Database,
    organization: str,
    question: Question,
    *,
    exported_ms: int,
    mark: Mark | None = None,
    digest: _Hash | None = None,
) -> Iterator[Chunk]:
    """Give an export piece by piece; each `next` is a few queries, and may run in any thread.

    Args:
        exported_ms: the time of the export. Entries of later are not in it.
        mark: go on behind what was written up to there (`Chunk.mark`); None: from the beginning.
        digest: SHA-256 of what was written up to the mark; needed with it.

    Raises:
        ArchiveUnavailable: the database did not answer; what was given so far is whole.
        NotResumable: a form that cannot be added to.
    """
    if mark is not None and question.format in CLOSED:
        raise NotResumable(
            f"a file of the form {question.format} cannot be added to: start again without --resume"
        )
    number, start = begin(database, organization, question, exported_ms=exported_ms)
    if question.format is Format.JSONL:
        journal = JournalLines(database, organization, number, question)
        if mark is None or digest is None:
            return _journal(journal, start, sha256(), fresh=True)
        return _journal(journal, mark, digest, fresh=False)
    writer, fits = _writer(organization, question)
    calls = _Calls(database, number, question, writer, fits)
    return calls.given(start if mark is None else mark, fresh=mark is None)


def _journal(journal: JournalLines, mark: Mark, digest: _Hash, *, fresh: bool) -> Iterator[Chunk]:
    if fresh:
        first = journal.beginning(mark)
        digest.update(first)
        yield Chunk(first, mark)
    for chunk in journal.following(mark):
        mark = chunk.mark
        digest.update(chunk.data)
        yield chunk
    yield Chunk(journal.ending(mark, digest), replace(mark, done=mark.high - 1), final=True)


@dataclass(frozen=True, slots=True)
class _Calls:
    database: Database
    organization_id: int
    question: Question
    writer: Rows
    fits: Callable[[CallLine], bool]

    def given(self, mark: Mark, *, fresh: bool) -> Iterator[Chunk]:
        if fresh:
            yield Chunk(self.writer.beginning(), mark)
        span = Span(mark.done + 1, mark.high)
        for batch in rows.call_batches(
            self.database, self.organization_id, self.question.calls, span
        ):
            found = [line for line, _ in batch.calls if self.fits(line)]
            mark = replace(mark, done=batch.done, rows=mark.rows + len(found))
            yield Chunk(self.writer.batch(found), mark)
        yield Chunk(self.writer.ending(), replace(mark, done=mark.high - 1), final=True)


def _writer(organization: str, question: Question) -> tuple[Rows, Callable[[CallLine], bool]]:
    if question.format is Format.CSV:
        return CsvRows(CALL_COLUMNS), _every
    if question.format is Format.FOCUS:
        return CsvRows(focus.columns(organization)), focus.is_charged
    # Loaded here: pyarrow takes half a second and 60 MB, and most exports do without.
    from proxy.archive.export.parquet import ParquetRows  # noqa: PLC0415  # See above.

    notes = {"bursar.organization": organization, "bursar.asked": json.dumps(question.document())}
    if question.format is Format.PARQUET:
        return ParquetRows(CALL_COLUMNS, notes=notes), _every
    notes["focus.version"] = focus.VERSION
    return ParquetRows(focus.columns(organization), notes=notes), focus.is_charged


def _every(_: CallLine) -> bool:
    return True
