"""The journal as lines: with its chain and its checkpoints where it is whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from proxy.archive.database import Database
from proxy.archive.export import lines, rows
from proxy.archive.export.mark import Chunk, Mark
from proxy.archive.export.question import Question
from proxy.archive.pieces import Checkpoint, StoredEntry
from proxy.archive.scan import Span

if TYPE_CHECKING:
    from hashlib import _Hash


class JournalLines:
    """An export of one organisation's journal."""

    def __init__(
        self, database: Database, organization: str, organization_id: int, question: Question
    ) -> None:
        self._database = database
        self._organization = organization
        self._organization_id = organization_id
        self._question = question
        #: Keys whose lines are written.
        self._told: set[str] = set()

    def beginning(self, mark: Mark) -> bytes:
        """Return the first lines: who, from where on, and the keys that have signed so far."""
        header = lines.Header(
            organization=self._organization,
            first_number=mark.low,
            first_hash=None if mark.first_hash is None else bytes.fromhex(mark.first_hash),
            exported_ms=mark.exported_ms,
            asked=self._question.document(),
        )
        told = lines.header_line(header)
        return told + self._keys() if self._question.chained else told

    def following(self, mark: Mark) -> Iterator[Chunk]:
        """Give what comes behind a mark, without the last line."""
        if self._question.chained:
            return self._chained(mark)
        if self._question.of_calls:
            return self._of_calls(mark)
        return self._of_kinds(mark)

    def ending(self, mark: Mark, digest: _Hash) -> bytes:
        """Return the last line, given the SHA-256 of everything before it."""
        return lines.trailer_line(
            lines.Trailer(
                last_number=mark.high - 1,
                last_hash=None if mark.last_hash is None else bytes.fromhex(mark.last_hash),
                entries=mark.rows,
                checkpoints=mark.checkpoints,
                sha256=digest.digest(),
            )
        )

    def _chained(self, mark: Mark) -> Iterator[Chunk]:
        # The checkpoint of the entry before the first one is a signature below the first hash.
        signed_from = mark.done if mark.done < mark.low else mark.done + 1
        for batch in rows.entry_batches(
            self._database, self._organization_id, Span(mark.done + 1, mark.high)
        ):
            last = batch[-1].entry.number
            signed = rows.checkpoints_within(
                self._database, self._organization_id, Span(signed_from, last + 1)
            )
            written, count = self._woven(batch, list(signed))
            signed_from = last + 1
            mark = replace(
                mark,
                done=last,
                rows=mark.rows + len(batch),
                checkpoints=mark.checkpoints + count,
            )
            yield Chunk(written, mark)

    def _woven(self, batch: list[StoredEntry], signed: list[Checkpoint]) -> tuple[bytes, int]:
        """Return entries with each checkpoint behind its own, and how many checkpoints."""
        parts: list[bytes] = []
        waiting = iter(signed)
        checkpoint = next(waiting, None)
        for stored in batch:
            while checkpoint is not None and checkpoint.number < stored.entry.number:
                parts.append(self._signed(checkpoint))
                checkpoint = next(waiting, None)
            parts.append(lines.entry_line(stored))
        while checkpoint is not None:
            parts.append(self._signed(checkpoint))
            checkpoint = next(waiting, None)
        return b"".join(parts), len(signed)

    def _signed(self, checkpoint: Checkpoint) -> bytes:
        # A key that was made while the export ran, or before it was interrupted.
        keys = b"" if checkpoint.key_id in self._told else self._keys()
        return keys + lines.checkpoint_line(checkpoint)

    def _keys(self) -> bytes:
        new = [key for key in rows.public_keys(self._database) if key.id not in self._told]
        self._told.update(key.id for key in new)
        return b"".join(lines.key_line(key) for key in new)

    # What leaves entries out…

    def _of_kinds(self, mark: Mark) -> Iterator[Chunk]:
        kinds = self._question.kinds
        span = Span(mark.done + 1, mark.high)
        for batch in rows.entry_batches(self._database, self._organization_id, span, kinds):
            written = b"".join(lines.entry_line(stored) for stored in batch)
            mark = replace(mark, done=batch[-1].entry.number, rows=mark.rows + len(batch))
            yield Chunk(written, mark)

    def _of_calls(self, mark: Mark) -> Iterator[Chunk]:
        """Give the whole life of each call that fits, one after the other."""
        span = Span(mark.done + 1, mark.high)
        for batch in rows.call_batches(
            self._database, self._organization_id, self._question.calls, span
        ):
            numbers = [number for _, life in batch.calls for number in life]
            found = rows.entries_numbered(self._database, self._organization_id, numbers)
            kept = [
                found[number]
                for number in numbers
                if number in found
                and (not self._question.kinds or found[number].entry.kind in self._question.kinds)
            ]
            mark = replace(mark, done=batch.done, rows=mark.rows + len(kept))
            yield Chunk(b"".join(lines.entry_line(stored) for stored in kept), mark)
