"""The numbers of all workers of one machine, in a folder: each writes its own, one reads all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from proxy.telemetry.series import Snapshot

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_decode: Final = msgspec.json.Decoder(Snapshot).decode
_encode: Final = msgspec.json.Encoder().encode


class WorkerFiles:
    """One file for each worker's name.

    A worker that comes back under its name goes on counting where it ended, so that there are
    never more files than workers, and a sum of counters never goes down.
    """

    def __init__(self, folder: Path, worker: str) -> None:
        """Take the folder and the worker's name.

        Raises:
            ValueError: the name cannot be one of a file.
        """
        if not _NAME.fullmatch(worker):
            raise ValueError(f"'{worker}' cannot name a worker: use letters, digits, - and _")
        self._folder = folder
        self._own = folder / f"{worker}.metrics.json"

    def write(self, snapshot: Snapshot) -> None:
        """Keep a worker's numbers; a reader sees the old file or the new one. Raises `OSError`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        # The name of what is not complete yet does not end like those that are read.
        unfinished = self._own.with_suffix(".new")
        unfinished.write_bytes(_encode(snapshot))
        unfinished.replace(self._own)

    def read_own(self) -> Snapshot | None:
        """Return what this worker, or the one before it of its name, has written last."""
        return _read(self._own)

    def read_others(self) -> Iterator[Snapshot]:
        """Yield what the other workers have written last."""
        for path in sorted(self._folder.glob("*.metrics.json")):
            if path != self._own and (snapshot := _read(path)) is not None:
                yield snapshot


def _read(path: Path) -> Snapshot | None:
    try:
        return _decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        return None
