"""Whether an exported journal is as it was written; needs no archive, no configuration and no network."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final

from policies.errors import BursarError
from proxy.archive.export import lines
from proxy.archive.pieces import (
    Checkpoint,
    Damage,
    End,
    Origin,
    Piece,
    PublicKey,
    StoredEntry,
    Unreadable,
)
from proxy.archive.trust import Trust
from proxy.archive.walk import Broken, Progress, Verified, Walk

#: Nothing that Bursar writes comes near it; a file without ends of lines must not fill the memory.
LINE_BYTES_MAX: Final = 16 * 1024 * 1024
_GZIP: Final = b"\x1f\x8b"
_NEWLINE: Final = b"\n"


class NotVerifiable(BursarError):
    """A file of which nothing can be said: it is not there, or it leaves entries out."""


def verify_file(
    path: Path,
    *,
    organization: str | None = None,
    pinned: Sequence[bytes] = (),
    kept: Mapping[int, Checkpoint] | None = None,
    progress: Progress | None = None,
) -> Verified | Broken:
    """Return what is wrong with an exported journal (JSONL, also compressed by gzip), or that nothing is.

    Args:
        path: the file.
        organization: whose journal it has to be; None: whosever it is.
        pinned: the public keys whose signatures count; none: those that the file names.
        kept: checkpoints that were kept elsewhere, by number.
        progress: is told the number of the last entry that was looked at.

    Raises:
        NotVerifiable: it cannot be opened, or leaves entries out.
    """
    try:
        with _opened(path) as file:
            return _verify(file, path.name, organization, pinned, kept or {}, progress)
    except OSError as error:
        raise NotVerifiable(f"{path} cannot be read: {error.strerror or error}") from error


def organization_of(path: Path) -> str | None:
    """Return whose journal a file says it is; None: it says nothing that could be read.

    Raises:
        NotVerifiable: it cannot be opened.
    """
    try:
        with _opened(path) as file:
            header = _Reading(file, path.name).header()
    except OSError as error:
        raise NotVerifiable(f"{path} cannot be read: {error.strerror or error}") from error
    return header.organization if isinstance(header, lines.Header) else None


def _opened(path: Path) -> BinaryIO | gzip.GzipFile:
    with path.open("rb") as file:
        compressed = file.read(len(_GZIP)) == _GZIP
    return gzip.GzipFile(path, "rb") if compressed else path.open("rb")


def _verify(
    file: BinaryIO | gzip.GzipFile,
    name: str,
    organization: str | None,
    pinned: Sequence[bytes],
    kept: Mapping[int, Checkpoint],
    progress: Progress | None,
) -> Verified | Broken:
    reading = _Reading(file, name)
    header = reading.header()
    if isinstance(header, Unreadable):
        return Broken(number=None, what=Damage.UNREADABLE, where=header.where, said=header.said)
    if organization is not None and header.organization != organization:
        said = f"it is a journal of organisation '{header.organization}', not of '{organization}'"
        return Broken(number=None, what=Damage.CHANGED, where="line 1", said=said)
    if header.first_hash is None:
        raise NotVerifiable(
            f"{name} leaves entries out, as was asked for ({_asked(header)}): nothing links those "
            "that are there. What can be verified is an export of the journal by time alone"
        )
    until_ms = header.asked.get("until_ms")
    origin = Origin(
        organization=header.organization,
        first_number=header.first_number,
        first_hash=header.first_hash,
        where=name,
        sorted=False,
        at_ms=header.exported_ms,
        until_ms=until_ms if isinstance(until_ms, int) else None,
    )
    return Walk(origin, Trust(tuple(pinned)), kept, progress).along(reading.pieces())


def _asked(header: lines.Header) -> str:
    return ", ".join(f"{name}: {value}" for name, value in header.asked.items() if name != "format")


class _Reading:
    """Reads a file line by line, and adds up what the last line has to say."""

    def __init__(self, file: BinaryIO | gzip.GzipFile, name: str) -> None:
        self._file = file
        self._name = name
        self._line = 0
        self._digest = sha256()
        self._entries = 0
        self._checkpoints = 0

    def header(self) -> lines.Header | Unreadable:
        """Return the first line."""
        line = self._next()
        if line is None:
            return self._unreadable("the file is empty")
        if isinstance(line, Unreadable):
            return line
        try:
            parsed = lines.parsed(line, self._where)
        except lines.NotALine as fault:
            return self._unreadable(f"it is not an exported journal: {fault}")
        if not isinstance(parsed, lines.Header):
            return self._unreadable("it does not begin as an exported journal does")
        self._digest.update(line + _NEWLINE)
        return parsed

    def pieces(self) -> Iterator[Piece]:
        """Give what follows the first line."""
        while (line := self._next()) is not None:
            if isinstance(line, Unreadable):
                yield line
                return
            try:
                parsed = lines.parsed(line, self._where)
            except lines.NotALine as fault:
                yield self._unreadable(f"{self._where} was changed: {fault}")
                return
            match parsed:
                case StoredEntry():
                    self._entries += 1
                    yield parsed
                case Checkpoint():
                    self._checkpoints += 1
                    yield parsed
                case PublicKey():
                    yield parsed
                case lines.Trailer():
                    yield self._end(parsed)
                case lines.Header():
                    yield self._unreadable("a second journal begins here")
                    return
            self._digest.update(line + _NEWLINE)

    def _end(self, trailer: lines.Trailer) -> End | Unreadable:
        if trailer.last_hash is None:
            return self._unreadable("the last line is that of another export")
        end = End(number=trailer.last_number, hash=trailer.last_hash, where=self._where)
        if trailer.checkpoints != self._checkpoints:
            count = f"{self._checkpoints}, and there were {trailer.checkpoints}"
            said = f"checkpoints are missing or were added: the file has {count}"
            what = Damage.REMOVED if trailer.checkpoints > self._checkpoints else Damage.ADDED
            return Unreadable(said=said, where=self._where, what=what, entry=False)
        # Which entries are missing at the end is said by whoever walks along them.
        if trailer.entries == self._entries and trailer.sha256 != self._digest.digest():
            said = "a line before the last one, or its checksum, was changed"
            return Unreadable(said=said, where=self._where, what=Damage.CHANGED, entry=False)
        return end

    def _next(self) -> bytes | Unreadable | None:
        self._line += 1
        try:
            line = self._file.readline(LINE_BYTES_MAX + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as fault:
            cut = isinstance(fault, EOFError)
            said = (
                "the compressed file breaks off" if cut else f"the compression is damaged: {fault}"
            )
            what = Damage.CUT if cut else Damage.UNREADABLE
            return Unreadable(said=f"{said}, in {self._where}", where=self._where, what=what)
        if not line:
            return None
        if not line.endswith(_NEWLINE):
            if len(line) > LINE_BYTES_MAX:
                return self._unreadable(f"{self._where} is longer than any line of a journal")
            said = f"{self._where} breaks off"
            return Unreadable(said=said, where=self._where, what=Damage.CUT)
        return line.removesuffix(_NEWLINE)

    @property
    def _where(self) -> str:
        return f"line {self._line}"

    def _unreadable(self, said: str) -> Unreadable:
        return Unreadable(said=said, where=self._where)
