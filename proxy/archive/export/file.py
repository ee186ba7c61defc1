"""An export into a file: under another name until it is whole, and resumable when it was interrupted."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from policies.errors import BursarError
from proxy.archive.export.mark import Chunk, Mark, mark_from
from proxy.archive.export.question import Question
from proxy.archive.export.stream import CLOSED, NotResumable

if TYPE_CHECKING:
    from hashlib import _Hash

#: Bytes between two notes of how far it has come. What comes after the last one is written again.
NOTED_EVERY_BYTES: Final = 16 * 1024 * 1024
_READ_BYTES: Final = 1024 * 1024
_FORM: Final = 1


class ExportFailed(BursarError):
    """A file could not be written; what is there already can be gone on with."""


#: Gives the export behind a mark, or from the beginning.
Source = Callable[[Mark | None, "_Hash | None"], Iterator[Chunk]]
#: Is told of every piece that is written.
Progress = Callable[[Mark], None]


@dataclass(frozen=True, slots=True)
class ExportFile:
    """Where an export goes, and the two files that are there until it is whole."""

    path: Path
    organization: str
    question: Question

    @property
    def partial(self) -> Path:
        """What is written so far."""
        return self.path.with_name(f"{self.path.name}.partial")

    @property
    def note(self) -> Path:
        """How far that is."""
        return self.path.with_name(f"{self.path.name}.partial.json")

    def write(self, source: Source, *, resume: bool, progress: Progress | None = None) -> Mark:
        """Write an export; return where it ended.

        Args:
            resume: go on with what is there, if something is.
            progress: is told how far it has come.

        Raises:
            ExportFailed: the disk is full, the folder is not there, the file exists …
            NotResumable: what is there was another export, or cannot be added to.
            ArchiveUnavailable: the archive did not answer; resume it later.
        """
        if self.path.exists():
            raise ExportFailed(f"{self.path} exists: name another file, or remove it")
        try:
            return self._write(source, resume=resume, progress=progress)
        except OSError as error:
            said = error.strerror or str(error)
            raise ExportFailed(f"{self.path} cannot be written: {said}") from error

    def _write(self, source: Source, *, resume: bool, progress: Progress | None) -> Mark:
        mark, length = self._noted() if resume else (None, 0)
        with self.partial.open("r+b" if mark is not None else "wb") as file:
            file.truncate(length)
            digest = _digest(file) if mark is not None else None
            file.seek(length)
            mark = self._follow(file, source(mark, digest), progress)
            file.flush()
            os.fsync(file.fileno())
        self.partial.replace(self.path)
        self.note.unlink(missing_ok=True)
        return mark

    def _follow(self, file: BinaryIO, chunks: Iterator[Chunk], progress: Progress | None) -> Mark:
        noted, mark = -NOTED_EVERY_BYTES, None
        for chunk in chunks:
            file.write(chunk.data)
            mark = chunk.mark
            if progress is not None:
                progress(mark)
            length = file.tell()
            # The last line is not noted: whoever goes on writes it anew.
            if not chunk.final and length - noted >= NOTED_EVERY_BYTES:
                self._take_note(file, mark, length)
                noted = length
        if mark is None:
            raise ExportFailed("the export gave nothing, not even a beginning")
        return mark

    def _take_note(self, file: BinaryIO, mark: Mark, length: int) -> None:
        if self.question.format in CLOSED:
            return
        # First what it is about: a note must never be ahead of its file.
        file.flush()
        os.fsync(file.fileno())
        document = {
            "form": _FORM,
            "organization": self.organization,
            "asked": self.question.document(),
            "bytes": length,
            "mark": mark.document(),
        }
        fresh = self.note.with_name(f"{self.note.name}.new")
        fresh.write_text(json.dumps(document))
        fresh.replace(self.note)

    def _noted(self) -> tuple[Mark | None, int]:
        """Return where the interrupted export stood, and its length; None: there is none."""
        if self.question.format in CLOSED:
            raise NotResumable(
                f"a file of the form {self.question.format} cannot be added to: "
                "start again without --resume"
            )
        if not self.note.exists() and not self.partial.exists():
            return None, 0
        try:
            document = json.loads(self.note.read_text())
            mark, length = self._understood(document)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise NotResumable(
                f"{self.note} does not say how far {self.partial.name} is: start again without --resume"
            ) from error
        if not self.partial.exists() or self.partial.stat().st_size < length:
            raise NotResumable(
                f"{self.partial} is shorter than it was: start again without --resume"
            )
        return mark, length

    def _understood(self, document: Any) -> tuple[Mark, int]:  # noqa: ANN401 - Whatever JSON can hold.
        length = document["bytes"]
        if document["form"] != _FORM or type(length) is not int or length < 0:
            raise ValueError("another form")
        asked = (self.organization, self.question.document())
        if (document["organization"], document["asked"]) != asked:
            raise NotResumable(
                f"{self.partial} was begun with other filters: repeat those, or start again "
                "without --resume"
            )
        return mark_from(document["mark"]), length


def _digest(file: BinaryIO) -> _Hash:
    digest = sha256()
    file.seek(0)
    while part := file.read(_READ_BYTES):
        digest.update(part)
    return digest
