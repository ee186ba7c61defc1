"""Callers' keys as a worker knows them, and everything about keys that others import.

Each worker has all records in memory, so that a key costs no round trip; a version in Redis tells
it when to read them again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from policies.clock import Clock
from policies.errors import LedgerUnavailable
from policies.ledger.keys import Keys
from proxy.key_store import (
    UNKNOWN,
    Commands,
    Invalid,
    KeyChanged,
    KeyNotUsable,
    KeyRecord,
    KeysBusy,
    KeyStore,
    UnknownKey,
    Valid,
    digest_of,
    judge,
    read_rows,
    record_of,
)

__all__ = [
    "Invalid",
    "KeyChanged",
    "KeyNotUsable",
    "KeyRecord",
    "KeyRing",
    "KeyStore",
    "KeysBusy",
    "UnknownKey",
    "Valid",
]


class KeyRing:
    """The keys as one worker knows them."""

    def __init__(self, commands: Commands, keys: Keys, clock: Clock) -> None:
        self._commands = commands
        self._keys = keys
        self._clock = clock
        self._rows: Mapping[bytes, bytes] = {}
        self._records: dict[bytes, KeyRecord] = {}
        self._checking = asyncio.Lock()
        # Numbers of the last check that began, and of the last that ended, and how it did.
        self._begun = 0
        self._ended = 0
        self._fault: LedgerUnavailable | None = None
        #: The version of what is known; -1 before anything was read.
        self.version = -1
        #: Rows that this version of the program cannot read; their keys count as unknown.
        self.unreadable = 0

    def __len__(self) -> int:
        """Return how many secrets are known."""
        return len(self._records)

    async def refresh(self) -> None:
        """Read all keys anew. Raises `LedgerUnavailable`; then what was known stays."""
        version, rows = await read_rows(self._commands, self._keys)
        old_rows, old_records = self._rows, self._records
        records: dict[bytes, KeyRecord] = {}
        unreadable = 0
        for digest, row in rows.items():
            # Decoding is what costs; of thousands of rows mostly one has changed.
            record = old_records.get(digest) if old_rows.get(digest) == row else record_of(row)
            if record is None:
                unreadable += 1
            else:
                records[digest] = record
        self._rows, self._records = rows, records
        self.version, self.unreadable = version, unreadable

    async def refresh_if_changed(self) -> None:
        """Ask for the version, and read all keys anew if it has changed.

        To be called every second or so, so that a revoked key ends on a worker without calls; an
        admission tells the version on the way (`Admitted.keys_version`).

        Raises:
            LedgerUnavailable: what was known stays.
        """
        version = await self._commands.execute("GET", self._keys.callers_version)
        if int(version or 0) != self.version:
            await self.refresh()

    def find(self, secret: str) -> KeyRecord | None:
        """Return what this worker knows of a secret, good or not; None: nothing."""
        return self._records.get(digest_of(secret))

    async def find_fresh(self, secret: str) -> Valid | Invalid:
        """Return whether a secret is good; an unknown one is looked for in Redis first.

        Raises:
            LedgerUnavailable: it is not known here, and Redis does not say whether it exists.
        """
        digest = digest_of(secret)
        record = self._records.get(digest)
        if record is None:
            await self._check()
            record = self._records.get(digest)
        return UNKNOWN if record is None else judge(record, self._clock.now_ms())

    # All misses share a check of the version, so that guessing keys costs next to nothing…

    async def _check(self) -> None:
        """Look for newer keys, or take part in a look that began after this was called."""
        begun_before = self._begun
        async with self._checking:
            fault = self._fault if self._ended > begun_before else await self._look()
        if fault is not None:
            raise LedgerUnavailable(str(fault)) from fault

    async def _look(self) -> LedgerUnavailable | None:
        """Look, and leave for the others how it went; a cancelled look leaves nothing."""
        self._begun += 1
        number, fault = self._begun, None
        try:
            await self.refresh_if_changed()
        except LedgerUnavailable as unavailable:
            fault = unavailable
        self._ended, self._fault = number, fault
        return fault
