"""The ledger in Redis: each operation is one script, one round trip, with its journal entry inside."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from typing import Final, NamedTuple

from policies.budgets import Budget
from policies.clock import Clock
from policies.decisions import Decision, Moved, Standing
from policies.errors import IllegalTransition, LedgerRefused, LedgerUnavailable, UnknownCall
from policies.journal import Entry, act
from policies.ledger import restore_commands
from policies.ledger.connection import Commands, Reply
from policies.ledger.interface import (
    Admission,
    Ask,
    CallRecord,
    CounterRecord,
    Due,
    Restored,
    Tally,
    complete,
    reservation_amounts,
)
from policies.ledger.keys import FIXED, Keys, Placement, place
from policies.ledger.replies import charges_of, decision_of, entry_of, integers, standings_of
from policies.ledger.scripts import Script, script
from policies.reservations import DONE, Operation, Reservation, State, sources
from policies.units import Amounts

LEASE_MS: Final = 60_000
# Longer than receipts are looked for (a day), and than a write-ahead file may wait for its worker.
RECORD_KEPT_MS: Final = 3 * 86_400_000
# A window may pass between computing it and Redis' reading of the clock; twice in a row is a fault.
WINDOW_TRIES_MAX: Final = 3
#: A call waits for its receipt no longer.
NO_LONGER: Final = "-1"
_SOURCES: Final = {operation: ",".join(sources(operation)) for operation in Operation}


class _Wait(NamedTuple):
    """In which provider's queue a call waits for its receipt, and for how long at first."""

    queue: str
    #: Milliseconds, `NO_LONGER`, or empty: that is left as it is.
    after: int | str


_NO_WAIT: Final = _Wait("", "")


class RedisLedger:
    """A `Ledger` in one Redis, or in one slot of a Redis Cluster."""

    def __init__(
        self,
        commands: Commands,
        organization: str,
        clock: Clock,
        *,
        lease_ms: int = LEASE_MS,
        scripts: Callable[[str], Script] = script,
    ) -> None:
        self._commands = commands
        self._clock = clock
        self._lease_ms = lease_ms
        self._scripts = scripts
        self._keys = Keys(organization)
        #: Redis' clock minus ours, as of the last answer.
        self._offset_ms = 0

    @property
    def keys(self) -> Keys:
        """Names of the organisation's keys."""
        return self._keys

    def now_ms(self) -> int:
        """Return the time by Redis' clock, as far as the last answer told."""
        return self._clock.now_ms() + self._offset_ms

    # Reserving…

    async def reserve(
        self, call_id: str, asks: Sequence[Ask], *, data: str, admission: Admission
    ) -> Decision:
        """Hold what a call asks of every budget, or of none of them, for one lease."""
        for _ in range(WINDOW_TRIES_MAX):
            now_ms = self.now_ms()
            places = [place(ask.budget, ask.subject, now_ms) for ask in asks]
            reply = await self._run(
                "reserve",
                self._reserve_keys(call_id, places),
                self._reserve_arguments(call_id, asks, places, data=data, admission=admission),
            )
            self._learn_time(int(reply[1]))
            if reply[0] != b"passed":
                return decision_of(call_id, asks, places, reply)
        raise LedgerUnavailable(
            "the windows of this call passed while it was reserved, three times"
        )

    def _reserve_keys(self, call_id: str, places: Sequence[Placement]) -> list[str]:
        keys = self._keys
        return [
            keys.call(call_id),
            keys.deadlines,
            keys.journal,
            keys.callers_version,
            *(keys.counter(placement.counter) for placement in places),
            *(keys.subjects(placement.counter) for placement in places),
        ]

    def _reserve_arguments(
        self,
        call_id: str,
        asks: Sequence[Ask],
        places: Sequence[Placement],
        *,
        data: str,
        admission: Admission,
    ) -> list[bytes | str | int]:
        charges = []
        arguments: list[bytes | str | int] = [call_id, admission.value, self._lease_ms, data, ""]
        for ask, at in zip(asks, places, strict=True):
            budget = ask.budget
            span = (at.start_ms, at.end_ms) if at.kind == FIXED else (at.length_ms, at.bucket_ms)
            length_ms = at.end_ms if at.kind == FIXED else at.length_ms
            charges.append(
                [
                    at.counter,
                    budget.name,
                    ask.subject,
                    budget.unit,
                    at.kind,
                    str(length_ms),
                    str(at.bucket_ms),
                ]
            )
            arguments += (
                at.kind,
                budget.mode,
                budget.limit,
                ask.held,
                ask.bound,
                budget.overrun_max,
            )
            arguments += span
        arguments[4] = json.dumps(charges, separators=(",", ":"))
        return arguments

    # Moving…

    async def settle(
        self, reservation: Reservation, amounts: Amounts, *, outcome: str, due: Due | None = None
    ) -> Moved:
        """Replace the reservation by what was metered."""
        charged = list(reservation_amounts(reservation, amounts))
        wait = _Wait(due.queue, due.after_ms) if due is not None else _NO_WAIT
        return await self._move(Operation.SETTLE, reservation, charged, outcome, wait)

    async def release(self, reservation: Reservation, *, outcome: str) -> Moved:
        """Let the reservation go: the call never reached the provider, or was refused unbilled."""
        try:
            nothing = [0] * len(reservation.charges)
            return await self._move(Operation.RELEASE, reservation, nothing, outcome)
        except UnknownCall:
            return Moved(state=State.RELEASED, changed=False)

    async def expire(self, reservation: Reservation, *, due: Due | None = None) -> Moved:
        """Charge the call as it was reserved: its worker is gone."""
        held: list[int | str] = ["held"] * len(reservation.charges)
        wait = _Wait(due.queue, due.after_ms) if due is not None else _NO_WAIT
        return await self._move(Operation.EXPIRE, reservation, held, "{}", wait)

    async def receipt(
        self,
        reservation: Reservation,
        amounts: Amounts,
        *,
        outcome: str,
        queue: str = "",
        tally: Tally | None = None,
        keep: Collection[str] = (),
    ) -> Moved:
        """Correct the charge to what the provider billed, in the window of the call."""
        charged: list[int | str] = [
            "kept" if charge.unit in keep else amounts.of(charge.unit)
            for charge in reservation.charges
        ]
        wait = _Wait(queue, NO_LONGER) if queue else _NO_WAIT
        return await self._move(Operation.RECEIPT, reservation, charged, outcome, wait, tally)

    async def give_up(
        self, reservation: Reservation, *, outcome: str, queue: str = "", tally: Tally | None = None
    ) -> Moved:
        """Mark that no receipt came in time: the metered amount stands."""
        kept: list[int | str] = ["kept"] * len(reservation.charges)
        wait = _Wait(queue, NO_LONGER) if queue else _NO_WAIT
        return await self._move(Operation.GIVE_UP, reservation, kept, outcome, wait, tally)

    async def _move(
        self,
        operation: Operation,
        reservation: Reservation,
        charged: Sequence[int | str],
        outcome: str,
        wait: _Wait = _NO_WAIT,
        tally: Tally | None = None,
    ) -> Moved:
        keys, target = self._keys, DONE[operation]
        # What is not used is named all the same: a script's keys are counted.
        sums = keys.receipts(tally.provider, tally.name) if tally is not None else keys.journal
        counts = json.dumps(tally.counts, separators=(",", ":")) if tally is not None else ""
        reply = await self._run(
            "move",
            [
                keys.call(reservation.call_id),
                keys.deadlines,
                keys.journal,
                keys.receipts(wait.queue, "due"),
                sums,
                *(keys.counter(charge.counter) for charge in reservation.charges),
            ],
            [
                reservation.call_id,
                operation.value,
                target.value,
                _SOURCES[operation],
                RECORD_KEPT_MS,
                outcome,
                wait.after,
                counts,
                *charged,
            ],
        )
        self._learn_time(int(reply[2]))
        match reply[0]:
            case b"moved":
                return Moved(state=target, changed=True, prior_period=int(reply[3]))
            case b"repeated":
                return Moved(state=target, changed=False)
            case b"unknown":
                raise UnknownCall(reservation.call_id)
            case _:
                raise IllegalTransition(reservation.call_id, State(reply[1].decode()), operation)

    # Leases…

    async def note_generation(self, call_id: str, generation_ids: Sequence[str]) -> None:
        """Remember under which ids the provider may know a call."""
        ids = json.dumps(list(generation_ids), separators=(",", ":"))
        await self._run("note", [self._keys.call(call_id)], [ids])

    async def extend(self, call_ids: Sequence[str]) -> int:
        """Begin the lease of these calls anew; return how many of them are still reserved."""
        return int(await self._run("extend", [self._keys.deadlines], [self._lease_ms, *call_ids]))

    async def overdue(self, count_max: int) -> list[str]:
        """Return ids of calls whose lease has run out, oldest first."""
        reply = await self._run("overdue", [self._keys.deadlines], [count_max])
        return [call_id.decode() for call_id in reply]

    # Reading…

    async def find(self, call_id: str) -> CallRecord | None:
        """Return what the ledger keeps of a call."""
        fields = (
            "state",
            "at",
            "charges",
            "held",
            "bound",
            "slots",
            "charged",
            "data",
            "outcome",
            "ids",
            "receipt",
            "ended",
        )
        reply = await self._commands.execute("HMGET", self._keys.call(call_id), *fields)
        if reply[0] is None:
            return None
        record = {name: (value or b"").decode() for name, value in zip(fields, reply, strict=True)}
        return CallRecord(
            state=State(record["state"]),
            reservation=Reservation(
                call_id=call_id, at_ms=int(record["at"]), charges=charges_of(record)
            ),
            charged=tuple(integers(record["charged"])),
            data=record["data"],
            outcome=record["outcome"],
            generation_ids=tuple(json.loads(record["ids"] or "[]")),
            receipt=record["receipt"],
            ended_ms=int(record["ended"] or 0),
        )

    async def standings(self, asks: Sequence[Ask]) -> tuple[Standing, ...]:
        """Return how these budgets stand."""
        if not asks:
            return ()
        places = [place(ask.budget, ask.subject, self.now_ms()) for ask in asks]
        arguments: list[bytes | str | int] = []
        for at in places:
            arguments += (at.kind, at.length_ms, at.bucket_ms)
        reply = await self._run(
            "stand", [self._keys.counter(at.counter) for at in places], arguments
        )
        self._learn_time(int(reply[0]))
        return standings_of(asks, places, reply[1:])

    async def report(
        self, budget: Budget, subject: str, *, limit: int | None, closed: str, began_ms: int
    ) -> bool:
        """Take over what a provider reports of a window of its own."""
        at = place(budget, subject, began_ms)
        keys = [self._keys.counter(at.counter), self._keys.subjects(at.counter)]
        said = "" if limit is None else str(limit)
        return bool(
            await self._run("report", keys, [said, closed, began_ms, at.length_ms, subject])
        )

    async def close(self, budget: Budget, subject: str, *, reason: str, for_ms: int) -> bool:
        """Let no call through a provider's own window, until a report that is asked for later."""
        counter = place(budget, subject, self.now_ms()).counter
        return bool(await self._run("close", [self._keys.counter(counter)], [reason, for_ms]))

    async def subjects(self, budget: Budget) -> list[str]:
        """Return the subjects for which a budget has a counter in its present window."""
        counter = place(budget, "", self.now_ms()).counter
        found = await self._commands.execute("SMEMBERS", self._keys.subjects(counter))
        return sorted(subject.decode() for subject in found)

    async def journal_once(
        self, topic: str, name: str, value: str, *, kind: str, data: str
    ) -> bool:
        """Journal that a named value changed, unless it is the value that was journalled last."""
        keys = [self._keys.topic(topic), self._keys.journal]
        return bool(await self._run("once", keys, [name, value, kind, data]))

    async def restore_call(self, record: CallRecord, *, due: Due | None = None) -> bool:
        """Give the ledger back what it lost of a call: nothing of it, or all since an older state."""
        command = restore_commands.restore_call(
            self._keys, complete(record), due, lease_ms=self._lease_ms, keep_ms=RECORD_KEPT_MS
        )
        return bool(await self._run("restore_call", *command))

    async def restore_counter(self, record: CounterRecord) -> Restored:
        """Raise a counter to what the archive has of it; what the ledger has more stays."""
        command = restore_commands.restore_counter(self._keys, record)
        reply = await self._run("restore_counter", *command)
        return Restored(
            spent_before=reply[0],
            overrun_before=reply[1],
            spent=reply[2],
            reserved=reply[3],
            overrun=reply[4],
        )

    async def note(self, kind: str, data: str) -> None:
        """Journal an administrative act, which is about no call."""
        await self._run("act", [self._keys.journal], [act(kind), data])

    async def journal(self, *, after: str = "-", count_max: int = 100) -> Sequence[Entry]:
        """Return journal entries in order, behind the given id (`-`: from the beginning)."""
        begin = after if after == "-" else f"({after}"
        rows = await self._commands.execute(
            "XRANGE", self._keys.journal, begin, "+", "COUNT", count_max
        )
        return [entry_of(row) for row in rows]

    # The connection…

    async def synchronise(self) -> None:
        """Learn Redis' clock, before the first call."""
        seconds, micros = await self._commands.execute("TIME")
        self._learn_time(int(seconds) * 1000 + int(micros) // 1000)

    def _learn_time(self, redis_ms: int) -> None:
        self._offset_ms = redis_ms - self._clock.now_ms()

    async def _run(
        self, name: str, keys: Sequence[str], arguments: Sequence[bytes | str | int]
    ) -> Reply:
        chosen = self._scripts(name)
        try:
            return await self._commands.execute("EVALSHA", chosen.sha, len(keys), *keys, *arguments)
        except LedgerRefused as error:
            # Somebody flushed the scripts; the connection loads them only when it is made.
            if not str(error).startswith("NOSCRIPT"):
                raise
        return await self._commands.execute("EVAL", chosen.source, len(keys), *keys, *arguments)
