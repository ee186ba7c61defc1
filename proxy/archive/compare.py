"""The ledger beside the archive, and beside what the journal has that is not archived yet; touches nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from policies.ledger.interface import CounterRecord
from policies.ledger.keys import FIRST_USE, ROLLING, counter_parts
from policies.reservations import State
from proxy.archive.backtest.past import Told, nobody
from proxy.archive.backtest.records import Recorded, recorded
from proxy.archive.chain import ChainedEntry
from proxy.archive.entry_rows import entries_by_number
from proxy.archive.heads import head, organization_number
from proxy.archive.queue import JournalQueue, is_behind
from proxy.archive.rebuild import Sources
from proxy.archive.recovery.calls import calls_since
from proxy.archive.recovery.picture import Picture, picture_of
from proxy.archive.recovery.snapshot import snapshot
from proxy.archive.stream import StreamEntry, read_row
from proxy.archive.writer import BEFORE_THE_FIRST

_ROWS_AT_ONCE: Final = 500
#: While calls go on, the journal moves on between two looks: what differs is looked at so often.
LOOKS_MAX: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """How a counter stands, in its unit."""

    spent: int = 0
    reserved: int = 0
    overrun: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One counter, in its unit."""

    counter: str
    unit: str
    archived: Stand
    ledger: Stand

    @property
    def differs(self) -> bool:
        """Whether the ledger has something else than was journalled."""
        return self.archived != self.ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What was found."""

    counters: tuple[Compared, ...]
    #: Calls that have not ended, by the journal; and of them those that the ledger does not have.
    in_flight: int
    lost: tuple[str, ...]
    #: Calls that the ledger takes to be in flight, and the journal says that they ended.
    ended: tuple[str, ...]
    #: Entries of the journal that are not archived yet: they are counted as if they were.
    not_archived: int
    #: Calendar windows of which nobody knows when they end: they were not looked at.
    undetermined: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether the ledger has something else than was journalled."""
        return any(each.differs for each in self.counters) or bool(self.lost or self.ended)


async def compare(sources: Sources, told: Told = nobody) -> Comparison:
    """Compare every counter of an open window, and the calls in flight.

    Raises:
        ArchiveUnavailable: the database did not answer.
        LedgerUnavailable: Redis did not answer.
    """
    now_ms = sources.ledger.now_ms()
    archived = await asyncio.to_thread(_archived, sources, now_ms, told)
    picture, behind, taken = archived.picture, await _behind(sources, archived), 0
    looked_at: list[Compared] = []
    names: Sequence[str] | None = None
    for _ in range(LOOKS_MAX):
        behind, more = await _take_tail(sources, picture, behind)
        taken += more
        if looked_at and not more:
            break  # Nothing happened since: what differs, differs.
        found = await _counters(sources, picture, names)
        looked_at = [each for each in looked_at if each.counter not in {f.counter for f in found}]
        looked_at += found
        names = [each.counter for each in found if each.differs]
        if not names:
            break
    deadlines = await sources.commands.execute("ZRANGE", sources.keys.deadlines, 0, -1)
    held = {call_id.decode() for call_id in deadlines}
    _, more = await _take_tail(sources, picture, behind)
    return Comparison(
        counters=tuple(sorted(looked_at, key=lambda each: each.counter)),
        in_flight=len(picture.holding),
        lost=tuple(sorted(picture.holding.keys() - held)) if not more else (),
        ended=tuple(sorted(held - picture.holding.keys())) if not more else (),
        not_archived=taken,
        undetermined=tuple(picture.undetermined),
    )


# What was journalled…


@dataclass(frozen=True, slots=True)
class _Archived:
    picture: Picture
    #: The last entry; None: there is none.
    head: ChainedEntry | None


def _archived(sources: Sources, now_ms: int, told: Told) -> _Archived:
    """Return what the archive had at one moment."""
    organization = sources.organization
    with snapshot(sources.database) as at:
        picture = picture_of(at, organization, now_ms, sources.rulebook, told)
        for batch in calls_since(at, organization, now_ms):
            for call in batch:
                if call.record.state is State.RESERVED:
                    picture.holding[call.id] = call.record.reservation.charges
        with at.read() as connection:
            own = organization_number(connection, organization)
            last = 0 if own is None else head(connection, own, organization).number
            found = entries_by_number(connection, own or 0, [last])
    return _Archived(picture, found[0] if found else None)


async def _behind(sources: Sources, archived: _Archived) -> str:
    """Return the id in the journal behind which nothing is archived."""
    queue = JournalQueue(sources.commands, sources.keys)
    noted, last = (await queue.waiting()).archived_id, archived.head
    if last is None:
        return BEFORE_THE_FIRST
    row = await queue.entry(last.stream_id)
    if row is not None and read_row(row).numbered(last.number) == last:
        return last.stream_id
    if noted == BEFORE_THE_FIRST:
        return noted  # Redis was emptied: its journal began anew.
    # The end was cut off the journal, or Redis is an old copy, which goes on at a later time.
    return last.stream_id if is_behind(last.stream_id, noted) else noted


async def _take_tail(sources: Sources, picture: Picture, behind: str) -> tuple[str, int]:
    """Take what is not archived into the picture; return the last id, and how many entries it was."""
    taken, journal = 0, sources.keys.journal
    while True:
        rows = await sources.commands.execute(
            "XRANGE", journal, f"({behind}", "+", "COUNT", _ROWS_AT_ONCE
        )
        for row in rows:
            entry = read_row(row)
            behind = entry.stream_id
            read = _recorded(entry)
            if read is not None:
                picture.take(read)
        taken += len(rows)
        if len(rows) < _ROWS_AT_ONCE:
            return behind, taken


def _recorded(entry: StreamEntry) -> Recorded | None:
    texts = entry.data, entry.moves, entry.checks, entry.more
    return recorded((0, entry.at_ms, entry.version, entry.kind, entry.call_id, *texts))


# How the ledger stands…


async def _counters(
    sources: Sources, picture: Picture, names: Sequence[str] | None
) -> list[Compared]:
    """Return how counters stand by both, all or those of these names."""
    now_ms, reserved = sources.ledger.now_ms(), picture.reserved()
    records = {record.counter: record for record in picture.records(now_ms)}
    wanted = list(records) if names is None else [name for name in names if name in records]
    found = []
    for at in range(0, len(wanted), _ROWS_AT_ONCE):
        some = wanted[at : at + _ROWS_AT_ONCE]
        stored = await asyncio.gather(
            *(sources.commands.execute("HGETALL", sources.keys.counter(name)) for name in some)
        )
        for name, flat in zip(some, stored, strict=True):
            record = records[name]
            archived = Stand(
                spent=record.spent, reserved=reserved.get(name, 0), overrun=record.overrun
            )
            found.append(
                Compared(
                    counter=name,
                    unit=counter_parts(name)[1],
                    archived=archived,
                    ledger=_stand(record, flat, now_ms),
                )
            )
    return found


def _stand(record: CounterRecord, flat: Sequence[bytes], now_ms: int) -> Stand:
    """Return how a counter stands in Redis, as `policies/ledger/lua/counter.lua` has it."""
    stored = {
        flat[at].decode(): int(flat[at + 1])
        for at in range(0, len(flat), 2)
        if _is_number(flat[at + 1])
    }
    spent = stored.get("spent", 0)
    if record.kind == FIRST_USE and now_ms >= stored.get("start", 0) + record.length_ms:
        return Stand()
    if record.kind == ROLLING:
        live = (now_ms - record.length_ms) // record.bucket_ms
        buckets = {name[1:]: amount for name, amount in stored.items() if name[0] == "s"}
        spent = sum(
            amount
            for bucket, amount in buckets.items()
            if bucket.isdecimal() and int(bucket) >= live
        )
    return Stand(spent=spent, reserved=stored.get("reserved", 0), overrun=stored.get("overrun", 0))


def _is_number(value: bytes) -> bool:
    return value.removeprefix(b"-").isdigit()
