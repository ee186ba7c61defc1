"""What the archive's work is given in tests: one who listens, and connections that break when told."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

from policies.errors import LedgerUnavailable
from proxy.archive.checkpoints import Signed
from proxy.archive.database import ArchiveUnavailable, Database
from proxy.archive.queue import Commands
from proxy.archive.resume import Incident
from proxy.archive.retention import Dropped


class Listener:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.entries = 0
        self.batches = 0
        self.newer: Counter[int] = Counter()
        self.waits: list[tuple[int, int, int | None]] = []
        self.failures: list[tuple[str, str]] = []
        self.incidents: list[tuple[Incident, int]] = []
        self.checkpoints: list[int] = []
        self.drops: list[Dropped] = []

    def archived(self, entries: int, seconds: float, newer: Counter[int]) -> None:
        self.entries += entries
        self.batches += 1
        self.newer += newer

    def waiting(self, entries: int, length: int, behind_ms: int | None) -> None:
        self.waits.append((entries, length, behind_ms))

    def failed(self, what: str, fault: Exception) -> None:
        self.failures.append((what, str(fault)))

    def incident(self, incident: Incident, number: int) -> None:
        self.incidents.append((incident, number))

    def signed(self, signed: Signed) -> None:
        self.checkpoints.append(signed.checkpoint.number)

    def dropped(self, dropped: Dropped) -> None:
        self.drops.append(dropped)


class FlakyDatabase(Database):
    """A database that is away when told, before a transaction or after its commit."""

    def __init__(self, inner: Database) -> None:
        super().__init__(inner.engine, inner.dialect, inner.where)
        self.away = False
        self.chance: random.Random | None = None

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        self._fail("before")
        with super().begin() as connection:
            yield connection
        self._fail("after")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        self._fail("before")
        with super().read() as connection:
            yield connection

    def _fail(self, when: str) -> None:
        if self.away or (self.chance is not None and self.chance.random() < 0.15):
            raise ArchiveUnavailable(f"the archive is away {when} it answers")


class FlakyCommands:
    """A Redis whose answers are lost when told, before it does something or after."""

    def __init__(self, inner: Commands) -> None:
        self._inner = inner
        self.chance: random.Random | None = None
        #: Words of scripts whose answer is lost once.
        self.lost: list[bytes] = []

    def execute(self, *command: bytes | str | int) -> Awaitable[Any]:
        return self._execute(*command)

    async def _execute(self, *command: bytes | str | int) -> Any:
        if self.chance is not None and self.chance.random() < 0.1:
            raise LedgerUnavailable("the request was lost")
        answer = await self._inner.execute(*command)
        script = command[1] if len(command) > 1 else b""
        for word in self.lost:
            if isinstance(script, bytes) and word in script:
                self.lost.remove(word)
                raise LedgerUnavailable("the answer was lost")
        if self.chance is not None and self.chance.random() < 0.1:
            raise LedgerUnavailable("the answer was lost")
        return answer
