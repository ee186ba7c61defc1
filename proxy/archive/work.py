"""The archive's work: one replica moves the journal into the database, and cuts it off behind itself.

Nothing waits for it: while the database is away the journal waits in Redis, and calls go on.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from policies.clock import Clock
from policies.errors import LedgerUnavailable
from policies.ledger.keys import Keys
from proxy.archive.checkpoints import Checkpoints, Signed
from proxy.archive.database import ArchiveUnavailable, Database
from proxy.archive.queue import (
    Commands,
    JournalQueue,
    NotOurs,
    Place,
    Taken,
    is_behind,
    waiting_entries,
)
from proxy.archive.resume import Incident, resume
from proxy.archive.retention import Dropped, Retention
from proxy.archive.signing import KEY_FILE, SigningKeyUnusable
from proxy.archive.stream import StreamEntry, read_row
from proxy.archive.threads import in_thread
from proxy.archive.writer import BEFORE_THE_FIRST, Chain, Writer
from proxy.archive_settings import ArchiveSettings

#: How often a replica without the claim looks whether it is free.
OTHERS_MS: Final = 2_000
#: Pauses after failures: the first, doubled each time up to the last.
PAUSE_MS_MIN: Final = 500
PAUSE_MS_MAX: Final = 30_000
#: How often a journal to which nothing comes is cut off behind what was kept for a while.
_CUT_EVERY_MS: Final = 10_000
#: How often partitions are made ahead and old ones dropped.
_MONTHS_EVERY_MS: Final = 3_600_000
_FLUSH_PAUSE_S: Final = 0.05
_LET_GO_S: Final = 1.0


class Observer(Protocol):
    """Whoever wants to know how the archive stands (`proxy/archive/watch.py`)."""

    def archived(self, entries: int, seconds: float, newer: Counter[int]) -> None:
        """A batch is in the archive."""
        ...

    def waiting(self, entries: int, length: int, behind_ms: int | None) -> None:
        """So much waits for the archive."""
        ...

    def failed(self, what: str, fault: Exception) -> None:
        """Something did not work; it is tried again."""
        ...

    def incident(self, incident: Incident, number: int) -> None:
        """The journal does not go on where the archive ends."""
        ...

    def signed(self, signed: Signed) -> None:
        """The head of the chain is signed."""
        ...

    def dropped(self, dropped: Dropped) -> None:
        """Months that are older than the retention are gone, or could not go."""
        ...


@dataclass(slots=True)
class _Standing:
    """How far this replica is, while the work is its own."""

    chain: Chain
    #: As it is noted in Redis; whatever else is found there, something happened.
    place: Place


class ArchiveWork:
    """Archives one organisation's journal."""

    def __init__(
        self,
        commands: Commands,
        keys: Keys,
        database: Database,
        organization: str,
        *,
        settings: ArchiveSettings,
        data_dir: Path,
        clock: Clock,
        watch: Observer,
    ) -> None:
        """Take what it works with.

        Args:
            commands: sends commands to the organisation's Redis.
            keys: the organisation's keys there.
            database: the archive; whoever opened it closes it.
            organization: whose journal it is.
            settings: the section `archive` of the configuration.
            data_dir: where the signing key lies.
            clock: the time that months, checkpoints and retention go by.
            watch: is told how it stands.
        """
        self._queue = JournalQueue(commands, keys)
        self._database = database
        self._settings = settings
        self._clock = clock
        self._watch = watch
        self._writer = Writer(database, organization, clock)
        self._checkpoints = Checkpoints(
            database,
            organization,
            key_file=data_dir / KEY_FILE,
            settings=settings,
            clock=clock,
        )
        self._retention = Retention(database, settings.retention_ms, clock)
        self._standing: _Standing | None = None
        self._cut_ms = 0
        self._months_ms = 0
        # `run` and `flush` take turns.
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Archive until cancelled; whatever fails is told and tried again."""
        failures = 0
        try:
            while True:
                try:
                    archived = await self._step()
                except Exception as fault:  # noqa: BLE001  # One fault must not end the archive for good.
                    pause_ms = min(PAUSE_MS_MAX, PAUSE_MS_MIN << min(failures, 10))
                    failures += 1
                    await self._failed(fault)
                else:
                    failures = 0
                    pause_ms = self._pause_ms(archived)
                await asyncio.sleep(pause_ms / 1000)
        finally:
            await self.close()

    async def flush(self, *, timeout_s: float = 60) -> int:
        """Archive everything that the journal has now; return how many entries this replica did.

        Where another replica does the work, its end is waited for.

        Raises:
            TimeoutError: it did not come to an end in time.
            LedgerUnavailable: Redis did not answer.
            ArchiveUnavailable: the database did not answer, or refused.
        """
        done = 0
        async with asyncio.timeout(timeout_s):
            wanted = (await self._queue.waiting()).last_id
            while True:
                archived = await self._step()
                if archived == 0:
                    return done
                if archived is not None:
                    done += archived
                elif is_behind(wanted, (await self._queue.waiting()).archived_id):
                    await asyncio.sleep(_FLUSH_PAUSE_S)
                else:
                    return done

    async def sign(self) -> Signed | None:
        """Sign the head of the chain now; None: it is signed, or there is none.

        Raises:
            ArchiveUnavailable: the database did not answer, or refused.
            SigningKeyUnusable: there is no key to sign with.
        """
        chain = await in_thread(self._writer.chain)
        signed = await in_thread(self._checkpoints.sign, chain)
        if signed is not None:
            self._watch.signed(signed)
        return signed

    async def close(self) -> None:
        """Let another replica go on at once."""
        self._standing = None
        with suppress(LedgerUnavailable, TimeoutError):
            async with asyncio.timeout(_LET_GO_S):
                await self._queue.let_go()

    # One step…

    async def _step(self) -> int | None:
        """Archive one batch; return of how many entries, None: the work is another replica's."""
        async with self._turn:
            standing, self._standing = self._standing, None
            try:
                standing, taken = await self._take(standing)
            except NotOurs:
                return None
            if taken.rows:
                await self._write(standing, [read_row(row) for row in taken.rows])
            elif standing.place.ordinal != taken.added >= 0:
                standing.place = _place(standing, taken.added)
                await self._note(standing)
            elif self._is_due(self._cut_ms, _CUT_EVERY_MS):
                await self._note(standing)
            await self._look_after(standing.chain)
            # Only what went well to its end is gone on from.
            self._standing = standing
            return len(taken.rows)

    async def _take(self, standing: _Standing | None) -> tuple[_Standing, Taken]:
        """Read what comes next. Raises `NotOurs`."""
        behind = standing.place.stream_id if standing else BEFORE_THE_FIRST
        taken = await self._queue.take(behind, self._settings.batch if standing else 1)
        self._tell(taken, known=standing is not None)
        if taken.others:
            raise NotOurs
        if standing is not None and taken.place == standing.place:
            return standing, taken
        # Only now, with the claim: before, another replica might have written on.
        chain = await in_thread(self._writer.chain)
        resumed = await resume(self._queue, self._database, chain, taken.place)
        if resumed.incident is not None:
            self._watch.incident(resumed.incident, chain.number)
        is_same = taken.place is not None and taken.place.is_of(chain)
        if is_same and taken.place is not None:
            standing = _Standing(chain, taken.place)
        else:
            from_the_first = resumed.behind == BEFORE_THE_FIRST and taken.added >= 0
            ordinal = taken.added - taken.length if from_the_first else -1
            place = Place(chain.number, resumed.behind, chain.hash.hex(), ordinal)
            standing = _Standing(chain, place)
            await self._note(standing)
        again = await self._queue.take(standing.place.stream_id, self._settings.batch)
        if again.others or again.place != standing.place:
            raise NotOurs
        self._tell(again, known=True)
        return standing, again

    async def _write(self, standing: _Standing, batch: list[StreamEntry]) -> None:
        began_s = self._clock.monotonic_s()
        written = await in_thread(self._writer.write, standing.chain, batch)
        standing.chain = written.chain
        ordinal = standing.place.ordinal
        standing.place = _place(standing, ordinal + len(batch) if ordinal >= 0 else -1)
        self._watch.archived(len(batch), self._clock.monotonic_s() - began_s, written.newer)
        await self._note(standing)

    async def _note(self, standing: _Standing) -> None:
        self._cut_ms = self._clock.now_ms()
        if not await self._queue.put(standing.place, keep_ms=self._settings.keep_ms):
            raise NotOurs

    async def _look_after(self, chain: Chain) -> None:
        """Sign, and see to the months; neither keeps entries waiting when it fails."""
        try:
            signed = await in_thread(self._checkpoints.sign_when_due, chain)
        except (ArchiveUnavailable, SigningKeyUnusable) as fault:
            self._watch.failed("archive_checkpoint", fault)
        else:
            if signed is not None:
                self._watch.signed(signed)
        if self._is_due(self._months_ms, _MONTHS_EVERY_MS):
            self._months_ms = self._clock.now_ms()
            try:
                await in_thread(self._writer.prepare, chain)
                self._watch.dropped(await in_thread(self._retention.drop, chain))
            except ArchiveUnavailable as fault:
                self._watch.failed("archive_retention", fault)

    # How it goes…

    def _tell(self, taken: Taken, *, known: bool) -> None:
        waiting = waiting_entries(taken.place, taken.length, taken.added)
        behind_ms = None
        if known and not taken.others:
            came_ms = read_row(taken.rows[0]).at_ms if taken.rows else self._clock.now_ms()
            behind_ms = max(0, self._clock.now_ms() - came_ms)
        self._watch.waiting(waiting, taken.length, behind_ms)

    async def _failed(self, fault: Exception) -> None:
        if isinstance(fault, LedgerUnavailable):
            return  # Everybody knows: there are no calls without Redis either.
        self._watch.failed("archive", fault)
        # It may be this replica's network alone: let another one try.
        await self.close()

    def _pause_ms(self, archived: int | None) -> int:
        if archived is None:
            return OTHERS_MS
        # Behind a full batch there may be more.
        return 0 if archived >= self._settings.batch else self._settings.every_ms

    def _is_due(self, last_ms: int, every_ms: int) -> bool:
        return abs(self._clock.now_ms() - last_ms) >= every_ms


def _place(standing: _Standing, ordinal: int) -> Place:
    """Return where a chain ends, as it is noted in Redis."""
    chain = standing.chain
    stream_id = chain.stream_id if chain.number else BEFORE_THE_FIRST
    if standing.place.is_of(chain):
        stream_id = standing.place.stream_id
    return Place(chain.number, stream_id, chain.hash.hex(), ordinal)
