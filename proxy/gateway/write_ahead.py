"""The write-ahead file: ends of calls that the ledger has not taken yet, on the disk before anything else.

Each worker has a file of its own and holds a lock on it. A worker that starts takes over the files
whose owners are dead. Entries are lines of JSON; a line that a crash cut short is not an entry.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import msgspec

from policies.ledger.interface import Due
from policies.reservations import Operation, Reservation
from policies.units import Amounts

# About 2 KiB each. Beyond it the ledger has been away for so long that the disk is what is at risk.
ENTRIES_MAX: Final = 1_000_000
_SUFFIX: Final = ".wal"
# Whole lines that this version cannot read are money all the same: they are put aside.
_UNREADABLE_SUFFIX: Final = ".unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unbooked:
    """The end of one call, on its way to the ledger."""

    reservation: Reservation
    operation: Operation
    amounts: Amounts
    #: JSON texts for the journal.
    outcome: str
    data: str
    #: The ledger was away when the call came in, and never saw its reservation.
    on_allowance: bool = False
    #: The call was refused: if the ledger never saw it, there is nothing to be recorded.
    in_doubt: bool = False
    #: When to look for its receipt.
    due: Due | None = None


class WriteAhead:
    """One worker's file."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(Unbooked)
        self._waiting: dict[str, Unbooked] = {}
        self._path = folder / f"{os.getpid()}-{secrets.token_hex(4)}{_SUFFIX}"
        # It is locked before it has the name that others look for.
        hidden = self._path.with_suffix(".new")
        self._file = hidden.open("ab", buffering=0)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        hidden.rename(self._path)
        self._adopted: list[tuple[Path, IO[bytes]]] = []
        #: Lines that could not be read, of files that were taken over.
        self.unreadable = 0

    def __len__(self) -> int:
        """Return how many ends of calls wait."""
        return len(self._waiting)

    def append(self, entry: Unbooked) -> None:
        """Put an entry on the disk.

        Raises:
            OSError: the disk does not take it. It waits all the same, for as long as this worker
                lives, unless there are too many.
        """
        if len(self._waiting) >= ENTRIES_MAX:
            raise OSError(errno.EDQUOT, f"{ENTRIES_MAX} ends of calls wait already")
        self._waiting[entry.reservation.call_id] = entry
        line = self._encoder.encode(entry) + b"\n"
        size = os.fstat(self._file.fileno()).st_size
        try:
            if self._file.write(line) != len(line):
                raise OSError(errno.ENOSPC, "the disk is full")
            os.fsync(self._file.fileno())
        except OSError:
            # The next entry must not run into half of this one.
            with suppress(OSError):
                self._file.truncate(size)
            raise

    def waiting(self) -> Sequence[Unbooked]:
        """Return what waits, in order."""
        return tuple(self._waiting.values())

    def done(self, entry: Unbooked) -> None:
        """Forget an entry that the ledger has taken; the files shrink when nothing waits."""
        self._waiting.pop(entry.reservation.call_id, None)
        if not self._waiting:
            # Booking twice changes nothing, so a crash before this line is no harm.
            self._file.truncate(0)
            for path, handle in self._adopted:
                path.unlink(missing_ok=True)
                handle.close()
            self._adopted.clear()

    def adopt(self) -> int:
        """Take over the files of workers that died; return how many entries they hold."""
        found = 0
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            handle = _locked(path) if path != self._path else None
            if handle is None:
                continue
            entries, unreadable = self._read(handle)
            if unreadable:
                self.unreadable += len(unreadable)
                path.with_suffix(_UNREADABLE_SUFFIX).write_bytes(b"".join(unreadable))
            if not entries:
                path.unlink(missing_ok=True)
                handle.close()
                continue
            found += len(entries)
            self._waiting.update((entry.reservation.call_id, entry) for entry in entries)
            self._adopted.append((path, handle))
        return found

    def close(self) -> None:
        """Let go of the file; it stays if something waits in it."""
        self._file.close()
        if not self._waiting:
            self._path.unlink(missing_ok=True)
        for _, handle in self._adopted:
            handle.close()

    def _read(self, handle: IO[bytes]) -> tuple[list[Unbooked], list[bytes]]:
        """Return the entries of a file, and the whole lines that are none."""
        entries, unreadable = [], []
        for line in handle:
            try:
                entries.append(self._decoder.decode(line))
            except msgspec.DecodeError:
                # A crash cuts the last line short: whoever was writing it was not told that it stays.
                if line.endswith(b"\n"):
                    unreadable.append(line)
        return entries, unreadable


def _locked(path: Path) -> IO[bytes] | None:
    """Return a file whose owner is dead, locked; None: it is alive, or somebody else was faster."""
    try:
        handle = path.open("rb")
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    return handle
