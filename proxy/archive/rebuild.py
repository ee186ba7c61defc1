"""Giving a ledger back what it lost, from the archive: never less than is archived, and nothing twice.

The order is the one that `Ledger.restore_call` asks for: calls that the ledger still has are moved on
first, then counters are raised, and the calls that it lost come last, so that what these do meanwhile comes
on top.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from policies.ledger.interface import CounterRecord, Due, Ledger, Restored
from policies.ledger.keys import FIXED, Keys, counter_parts
from policies.reservations import State
from policies.rulebook import Rulebook
from proxy.archive.backtest.past import Told, nobody
from proxy.archive.database import Database
from proxy.archive.recovery.calls import ArchivedCall, calls_by_id, calls_since
from proxy.archive.recovery.picture import Picture, closed_counters, picture_of
from proxy.archive.recovery.snapshot import snapshot
from proxy.archive.recovery.windows import Window

#: Calls that ended so shortly before the end are put back whatever they wait for: a worker that was not
#: answered books their end again, and it must be found to be booked.
JUST_ENDED_MS: Final = 3_600_000
#: A call that a receipt is looked for came in no longer than that before it ended.
IN_FLIGHT_MS: Final = 3_600_000
_AT_ONCE: Final = 200
_WAITING: Final = frozenset({State.SETTLED, State.EXPIRED})
_NO_IDS: Final = frozenset({State.RESERVED, State.EXPIRED})

#: When to look for the receipt of a call that waits for one; None: it does not.
DueOf = Callable[[ArchivedCall], Due | None]


class Commands(Protocol):
    """Whatever can send a command to Redis."""

    def execute(self, *command: bytes | str | int) -> Awaitable[Any]:
        """Send one command; the answer is awaited. Raises `LedgerUnavailable`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """A counter that stood below what is archived, in its unit."""

    counter: str
    unit: str
    restored: Restored


@dataclass(slots=True)
class Rebuilt:
    """What was given back."""

    #: Counters that were looked at, and those that were raised.
    counters: int = 0
    raised: list[Raised] = field(default_factory=list)
    #: Calls that the ledger had in an older state, and those that it had lost, by their state.
    moved_on: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    #: Calls that are waited for at their provider, or in flight, and whose ids there were lost: noted in
    #: the middle of a stream they are in no journal.
    without_ids: int = 0
    #: Calendar windows of which nobody knows when they end: they were left alone.
    undetermined: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything was given back."""
        return bool(self.raised or self.moved_on or self.calls.total())


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What a ledger is rebuilt from, and with."""

    ledger: Ledger
    commands: Commands
    keys: Keys
    database: Database
    organization: str
    rulebook: Rulebook
    due_of: DueOf
    #: For how long receipts are looked for, and the providers at which.
    give_up_after_ms: int
    queues: Sequence[str] = ()


async def rebuild(sources: Sources, told: Told = nobody) -> Rebuilt:
    """Give the ledger back what it has less than the archive; repeated, it changes nothing.

    What the journal has and the archive has not yet is not looked at: archive it first.

    Raises:
        ArchiveUnavailable: the database did not answer.
        LedgerUnavailable: Redis did not answer; what was given back by then is.
    """
    rebuilt = Rebuilt()
    now_ms = sources.ledger.now_ms()
    picture = await asyncio.to_thread(_picture, sources, now_ms, told)
    rebuilt.undetermined = tuple(picture.undetermined)
    await _move_on_known(sources, rebuilt)
    closed: dict[str, int] = {}
    async for batch in _calls(sources, now_ms):
        there = await _are_there(sources, batch)
        await _restore(sources, [call for call in batch if call.id in there], rebuilt, was=True)
        for call in batch:
            if call.id not in there and _is_wanted(sources, call, now_ms):
                closed |= _closed_counters(call, now_ms)
    await _raise(sources, picture.records(now_ms), rebuilt)
    await _raise(sources, await asyncio.to_thread(_closed, sources, picture, closed), rebuilt)
    async for batch in _calls(sources, now_ms):
        there = await _are_there(sources, batch)
        lost = [call for call in batch if call.id not in there]
        wanted = [call for call in lost if _is_wanted(sources, call, now_ms)]
        await _restore(sources, wanted, rebuilt, was=False)
    return rebuilt


def _picture(sources: Sources, now_ms: int, told: Told) -> Picture:
    with snapshot(sources.database) as at:
        return picture_of(at, sources.organization, now_ms, sources.rulebook, told)


async def _calls(sources: Sources, now_ms: int) -> AsyncIterator[list[ArchivedCall]]:
    """Yield the calls whose money may still move."""
    since_ms = now_ms - max(sources.give_up_after_ms, JUST_ENDED_MS) - IN_FLIGHT_MS
    batches = calls_since(sources.database, sources.organization, since_ms)
    while (batch := await asyncio.to_thread(next, batches, None)) is not None:
        yield batch


async def _move_on_known(sources: Sources, rebuilt: Rebuilt) -> None:
    """Move on what an old copy of Redis takes to be in flight, or to wait for a receipt, and is not."""
    keys, execute = sources.keys, sources.commands.execute
    for queue in (keys.deadlines, *(keys.receipts(name, "due") for name in sources.queues)):
        ids = [call_id.decode() for call_id in await execute("ZRANGE", queue, 0, -1)]
        for at in range(0, len(ids), _AT_ONCE):
            calls = await asyncio.to_thread(
                calls_by_id, sources.database, sources.organization, ids[at : at + _AT_ONCE]
            )
            ended = [call for call in calls if call.record.state is not State.RESERVED]
            there = await _are_there(sources, ended)
            await _restore(sources, [call for call in ended if call.id in there], rebuilt, was=True)


async def _are_there(sources: Sources, calls: Sequence[ArchivedCall]) -> set[str]:
    found = await asyncio.gather(
        *(sources.commands.execute("EXISTS", sources.keys.call(call.id)) for call in calls)
    )
    return {call.id for call, count in zip(calls, found, strict=True) if int(count)}


async def _restore(
    sources: Sources, calls: Sequence[ArchivedCall], rebuilt: Rebuilt, *, was: bool
) -> None:
    done = await asyncio.gather(
        *(sources.ledger.restore_call(call.record, due=sources.due_of(call)) for call in calls)
    )
    for call, is_new in zip(calls, done, strict=True):
        if not is_new:
            continue
        state = call.record.state
        if was:
            rebuilt.moved_on += 1
            continue
        rebuilt.calls[state.value] += 1
        rebuilt.without_ids += state in _NO_IDS


def _is_wanted(sources: Sources, call: ArchivedCall, now_ms: int) -> bool:
    """Tell whether a call that the ledger lost is needed there."""
    record = call.record
    if record.state is State.RESERVED or now_ms - record.ended_ms <= JUST_ENDED_MS:
        return True
    is_looked_for = now_ms - record.ended_ms <= sources.give_up_after_ms
    return record.state in _WAITING and is_looked_for and sources.due_of(call) is not None


def _closed_counters(call: ArchivedCall, now_ms: int) -> dict[str, int]:
    """Return the counters of windows that are over, and when they ended, that a receipt may correct."""
    charges = call.record.reservation.charges
    return {
        charge.counter: charge.length_ms
        for charge in charges
        if charge.kind == FIXED and 0 < charge.length_ms <= now_ms
    }


def _closed(sources: Sources, picture: Picture, ends: Mapping[str, int]) -> list[CounterRecord]:
    records = []
    for known in closed_counters(sources.database, sources.organization, ends):
        known.window = Window(kind=FIXED, length_ms=ends[known.counter])
        record = picture.record(known, 0)
        records += [record] if record is not None else []
    return records


async def _raise(sources: Sources, records: Sequence[CounterRecord], rebuilt: Rebuilt) -> None:
    for record in records:
        rebuilt.counters += 1
        restored = await sources.ledger.restore_counter(record)
        if restored.changed:
            unit = counter_parts(record.counter)[1]
            raised = Raised(counter=record.counter, unit=unit, restored=restored)
            rebuilt.raised.append(raised)
