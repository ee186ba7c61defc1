"""The write-ahead file: ends of calls that the ledger has not taken yet, on the disk before anything else.

Each worker has a file of its own and holds a lock on it. A worker that starts takes over the files
whose owners are dead. Entries are lines of JSON; a line that a crash cut short is not an entry.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import msgspec

from policies.reservations import Operation, Reservation
from policies.units import Amounts

# About 2 KiB each. Beyond it the ledger has been away for so long that the disk is what is at risk.
ENTRIES_MAX: Final = 1_000_000
_SUFFIX: Final = ".wal"


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


class WriteAhead:
    """One worker's file."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(Unbooked)
        self._waiting: dict[str, Unbooked] = {}
        self._path = folder / f"{os.getpid()}-{secrets.token_hex(4)}{_SUFFIX}"
        self._file = self._path.open("ab")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._adopted: list[tuple[Path, IO[bytes]]] = []
        #: Lines that could not be read, of files that were taken over.
        self.unreadable = 0

    def __len__(self) -> int:
        """Return how many ends of calls wait."""
        return len(self._waiting)

    def append(self, entry: Unbooked) -> None:
        """Put an entry on the disk.

        Raises:
            OSError: the disk does not take it.
        """
        self._file.write(self._encoder.encode(entry) + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._waiting[entry.reservation.call_id] = entry

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
            if path == self._path:
                continue
            handle = path.open("rb")
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                handle.close()
                continue
            entries = self._read(handle)
            found += len(entries)
            self._waiting.update((entry.reservation.call_id, entry) for entry in entries)
            self._adopted.append((path, handle))
            if not entries:
                path.unlink(missing_ok=True)
        return found

    def close(self) -> None:
        """Let go of the file; it stays if something waits in it."""
        self._file.close()
        if not self._waiting:
            self._path.unlink(missing_ok=True)
        for _, handle in self._adopted:
            handle.close()

    def _read(self, handle: IO[bytes]) -> list[Unbooked]:
        entries = []
        for line in handle:
            try:
                entries.append(self._decoder.decode(line))
            except msgspec.DecodeError:
                self.unreadable += 1
        return entries
