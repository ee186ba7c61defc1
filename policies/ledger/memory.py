"""The ledger as a specification that runs: plain dicts, one process, nothing shared. Tests compare with it."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from policies.budgets import Budget
from policies.clock import Clock
from policies.decisions import Admitted, Decision, Duplicate, Moved, Refused, Standing
from policies.errors import IllegalTransition, UnknownCall
from policies.journal import ADMITTED, REFUSED, RESTORE, WOULD_REFUSE, Entry, Movement, act
from policies.ledger.counter import (
    Counter,
    book,
    check,
    movement,
    opened,
    peek,
    retry_at,
    slot_of,
    standings_of,
)
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
from policies.ledger.keys import (
    REPORTED,
    Placement,
    charge_of,
    counter_parts,
    place,
)
from policies.ledger.memory_call import MemoryCall, lost_call
from policies.ledger.memory_journal import MemoryJournal
from policies.ledger.restoring import hold_again, raise_to, raised
from policies.reservations import DONE, Charge, Operation, Reservation, State, sources
from policies.units import Amounts

LEASE_MS: Final = 60_000


class MemoryLedger:
    """A `Ledger` in plain dicts."""

    def __init__(self, clock: Clock, *, lease_ms: int = LEASE_MS) -> None:
        self._clock = clock
        self._lease_ms = lease_ms
        self._counters: dict[str, Counter] = {}
        self._calls: dict[str, MemoryCall] = {}
        self._journal = MemoryJournal(clock)
        self.keys_version = 0
        #: When to look for receipts, by queue and call.
        self.due: dict[tuple[str, str], int] = {}
        #: What was added up, by provider and name.
        self.sums: dict[tuple[str, str], dict[str, int]] = {}

    def now_ms(self) -> int:
        """Return the ledger's own time."""
        return self._clock.now_ms()

    # Reserving…

    async def reserve(
        self, call_id: str, asks: Sequence[Ask], *, data: str, admission: Admission
    ) -> Decision:
        """Hold what a call asks of every budget, or of none of them, for one lease."""
        now_ms = self.now_ms()
        places = [place(ask.budget, ask.subject, now_ms) for ask in asks]
        counters = [opened(self._counters, placement, now_ms) for placement in places]
        known = self._calls.get(call_id)
        if known is not None:
            if known.state is not State.RESERVED:
                return Duplicate(state=known.state)
            return self._admitted(known.reservation, asks, places, counters)
        checks = [
            check(ask, at, counter, now_ms)
            for ask, at, counter in zip(asks, places, counters, strict=True)
        ]
        enforced = [at for at, each in enumerate(checks) if each.short and each.mode == "enforce"]
        if enforced and admission is not Admission.FORCE:
            if admission is Admission.DECIDE:
                moves = list(map(movement, asks, places, counters))
                self._journal.write(REFUSED, call_id, data, moves, checks=checks)
            return self._refused(enforced[0], asks, places, counters)
        forced = admission is Admission.FORCE
        charges, moves = self._hold(asks, places, counters, forced=forced)
        self._journal.write(ADMITTED, call_id, data, moves, checks=checks, forced=forced)
        reservation = Reservation(call_id=call_id, at_ms=now_ms, charges=tuple(charges))
        self._calls[call_id] = MemoryCall(
            state=State.RESERVED,
            reservation=reservation,
            charged=[0] * len(charges),
            data=data,
            deadline_ms=now_ms + self._lease_ms,
        )
        would_refuse = tuple(
            each.budget for each in checks if each.short and each.mode != "enforce"
        )
        if would_refuse:
            said = json.dumps({"budgets": list(would_refuse)}, separators=(",", ":"))
            self._journal.write(WOULD_REFUSE, call_id, said)
        return self._admitted(reservation, asks, places, counters, would_refuse)

    def _hold(
        self,
        asks: Sequence[Ask],
        places: Sequence[Placement],
        counters: Sequence[Counter],
        *,
        forced: bool,
    ) -> tuple[list[Charge], list[Movement]]:
        now_ms = self.now_ms()
        charges, moves = [], []
        for ask, placement, counter in zip(asks, places, counters, strict=True):
            self._counters[placement.counter] = counter
            counter.reserved += ask.held
            counter.excess += max(0, ask.bound - ask.held)
            above = counter.spent + counter.reserved - ask.budget.limit - counter.overrun
            enforced = ask.budget.mode == "enforce" and placement.kind != REPORTED
            if forced and enforced and above > 0:
                counter.overrun += above
            slot = slot_of(placement, counter, now_ms)
            charges.append(
                charge_of(
                    ask.budget, ask.subject, placement, slot=slot, held=ask.held, bound=ask.bound
                )
            )
            moves.append(movement(ask, placement, counter, reserved_change=ask.held))
        return charges, moves

    def _admitted(
        self,
        reservation: Reservation,
        asks: Sequence[Ask],
        places: Sequence[Placement],
        counters: Sequence[Counter],
        would_refuse: tuple[str, ...] = (),
    ) -> Admitted:
        return Admitted(
            reservation=reservation,
            standings=standings_of(asks, places, counters, self.now_ms()),
            would_refuse=would_refuse,
            keys_version=self.keys_version,
        )

    def _refused(
        self,
        position: int,
        asks: Sequence[Ask],
        places: Sequence[Placement],
        counters: Sequence[Counter],
    ) -> Refused:
        standings = standings_of(asks, places, counters, self.now_ms())
        return Refused(
            standing=standings[position],
            asked=asks[position].held,
            standings=standings,
            retry_at_ms=retry_at(asks[position], places[position], counters[position]),
            keys_version=self.keys_version,
        )

    # Moving…

    async def settle(
        self, reservation: Reservation, amounts: Amounts, *, outcome: str, due: Due | None = None
    ) -> Moved:
        """Replace the reservation by what was metered."""
        charged = list(reservation_amounts(reservation, amounts))
        return self._queue(
            self._move(Operation.SETTLE, reservation, charged, outcome), reservation, due
        )

    async def release(self, reservation: Reservation, *, outcome: str) -> Moved:
        """Let the reservation go: the call never reached the provider, or was refused unbilled."""
        if reservation.call_id not in self._calls:
            nothing = Reservation(call_id=reservation.call_id, at_ms=self.now_ms(), charges=())
            self._calls[reservation.call_id] = MemoryCall(
                state=State.RELEASED, reservation=nothing, charged=[], data="{}", outcome=outcome
            )
            return Moved(state=State.RELEASED, changed=False)
        return self._move(Operation.RELEASE, reservation, [0] * len(reservation.charges), outcome)

    async def expire(self, reservation: Reservation, *, due: Due | None = None) -> Moved:
        """Charge the call as it was reserved: its worker is gone."""
        held = [charge.held for charge in reservation.charges]
        return self._queue(self._move(Operation.EXPIRE, reservation, held, "{}"), reservation, due)

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
        self.due.pop((queue, reservation.call_id), None)
        call = self._calls.get(reservation.call_id)
        before = call.charged if call is not None else [0] * len(reservation.charges)
        charged = [
            before[at] if charge.unit in keep else amounts.of(charge.unit)
            for at, charge in enumerate(reservation.charges)
        ]
        return self._tally(self._move(Operation.RECEIPT, reservation, charged, outcome), tally)

    async def give_up(
        self, reservation: Reservation, *, outcome: str, queue: str = "", tally: Tally | None = None
    ) -> Moved:
        """Mark that no receipt came in time: the metered amount stands."""
        self.due.pop((queue, reservation.call_id), None)
        call = self._calls.get(reservation.call_id)
        kept = list(call.charged) if call is not None else []
        return self._tally(self._move(Operation.GIVE_UP, reservation, kept, outcome), tally)

    def _queue(self, done: Moved, reservation: Reservation, due: Due | None) -> Moved:
        if done.changed and due is not None:
            self.due[due.queue, reservation.call_id] = self.now_ms() + due.after_ms
        return done

    def _tally(self, done: Moved, tally: Tally | None) -> Moved:
        if done.changed and tally is not None:
            sums = self.sums.setdefault((tally.provider, tally.name), {})
            for field, count in tally.counts:
                sums[field] = sums.get(field, 0) + count
        return done

    def _move(
        self, operation: Operation, reservation: Reservation, charged: list[int], outcome: str
    ) -> Moved:
        call = self._calls.get(reservation.call_id)
        if call is None:
            raise UnknownCall(reservation.call_id)
        target = DONE[operation]
        if call.state is target:
            return Moved(state=target, changed=False)
        if call.state not in sources(operation):
            raise IllegalTransition(reservation.call_id, call.state, operation)
        moves = self._book(call, charged)
        call.state, call.charged = target, charged
        call.ended_ms = call.ended_ms or self.now_ms()
        if operation in (Operation.RECEIPT, Operation.GIVE_UP):
            call.receipt = outcome
        else:
            call.outcome = outcome
        self._journal.write(operation.value, reservation.call_id, outcome, moves)
        return Moved(
            state=target, changed=True, prior_period=sum(each.prior_period for each in moves)
        )

    def _book(self, call: MemoryCall, charged: Sequence[int]) -> list[Movement]:
        """Correct the call's counters, in the order of its charges."""
        return [
            book(
                self._counters.get(charge.counter),
                charge,
                pending=call.state is State.RESERVED,
                old=old,
                new=new,
                now_ms=self.now_ms(),
            )
            for charge, old, new in zip(
                call.reservation.charges, call.charged, charged, strict=True
            )
        ]

    # Restoring…

    async def restore_call(self, record: CallRecord, *, due: Due | None = None) -> bool:
        """Give the ledger back what it lost of a call: nothing of it, or all since an older state."""
        complete(record)
        call = self._calls.get(call_id := record.reservation.call_id)
        said = {"state": record.state.value}
        if call is None:
            moves = self._put_back(record)
        elif call.leads_to(record):
            said["was"] = call.state.value
            moves = self._book(call, record.charged)
            call.take(record)
        else:
            return False
        if due is not None and record.state is not State.RESERVED:
            self.due[due.queue, call_id] = self.now_ms() + due.after_ms
        self._journal.write(RESTORE, call_id, json.dumps(said, separators=(",", ":")), moves)
        return True

    def _put_back(self, record: CallRecord) -> list[Movement]:
        reservation, moves = record.reservation, []
        if record.state is State.RESERVED:
            now_ms, held = self.now_ms(), []
            for charge in reservation.charges:
                counter = self._counters.setdefault(charge.counter, Counter())
                at, change = hold_again(counter, charge, now_ms)
                held.append(at)
                moves.append(change)
            reservation = replace(reservation, charges=tuple(held))
        self._calls[reservation.call_id] = lost_call(
            record, reservation, self.now_ms() + self._lease_ms
        )
        return moves

    async def restore_counter(self, record: CounterRecord) -> Restored:
        """Raise a counter to what the archive has of it; what the ledger has more stays."""
        counter = self._counters.setdefault(record.counter, Counter())
        restored = raise_to(counter, record, self.now_ms())
        if restored.changed:
            said = {
                "spent_before": restored.spent_before,
                "overrun_before": restored.overrun_before,
            }
            text = json.dumps(said, separators=(",", ":"))
            self._journal.write(RESTORE, "", text, [raised(record, restored, counter)])
        return restored

    # Leases…

    async def note_generation(self, call_id: str, generation_ids: Sequence[str]) -> None:
        """Remember under which ids the provider may know a call."""
        if call_id in self._calls:
            self._calls[call_id].generation_ids = tuple(generation_ids)

    async def extend(self, call_ids: Sequence[str]) -> int:
        """Begin the lease of these calls anew; return how many of them are still reserved."""
        still = [self._calls[i] for i in call_ids if i in self._calls]
        still = [call for call in still if call.state is State.RESERVED]
        for call in still:
            call.deadline_ms = self.now_ms() + self._lease_ms
        return len(still)

    async def overdue(self, count_max: int) -> list[str]:
        """Return ids of calls whose lease has run out, oldest first."""
        late = [
            (call.deadline_ms, call_id)
            for call_id, call in self._calls.items()
            if call.state is State.RESERVED and call.deadline_ms <= self.now_ms()
        ]
        return [call_id for _, call_id in sorted(late)[:count_max]]

    # Reading…

    async def find(self, call_id: str) -> CallRecord | None:
        """Return what the ledger keeps of a call."""
        call = self._calls.get(call_id)
        return call.record() if call is not None else None

    async def standings(self, asks: Sequence[Ask]) -> tuple[Standing, ...]:
        """Return how these budgets stand; changes nothing."""
        now_ms = self.now_ms()
        places = [place(ask.budget, ask.subject, now_ms) for ask in asks]
        counters = [peek(self._counters.get(at.counter), at, now_ms) for at in places]
        return standings_of(asks, places, counters, now_ms)

    async def report(
        self, budget: Budget, subject: str, *, limit: int | None, closed: str, began_ms: int
    ) -> bool:
        """Take over what a provider reports of a window of its own."""
        now_ms = self.now_ms()
        at = place(budget, subject, now_ms)
        reported = self._counters.setdefault(at.counter, Counter()).reported
        return reported.take(limit, closed, began_ms, now_ms, at.length_ms)

    async def close(self, budget: Budget, subject: str, *, reason: str, for_ms: int) -> bool:
        """Let no call through a provider's own window, until a report that is asked for later."""
        now_ms = self.now_ms()
        counter = place(budget, subject, now_ms).counter
        reported = self._counters.setdefault(counter, Counter()).reported
        return reported.close(reason, now_ms, for_ms)

    async def subjects(self, budget: Budget) -> list[str]:
        """Return the subjects for which a budget has a counter in its present window."""
        window_id = place(budget, "", self.now_ms()).window_id
        parts = (counter_parts(name) for name in self._counters)
        wanted = (budget.name, budget.unit, window_id)
        return sorted(s for name, unit, s, window in parts if (name, unit, window) == wanted)

    async def journal_once(
        self, topic: str, name: str, value: str, *, kind: str, data: str
    ) -> bool:
        """Journal that a named value changed, unless it is the value that was journalled last."""
        return self._journal.once(topic, name, value, kind=kind, data=data)

    async def note(self, kind: str, data: str) -> None:
        """Journal an administrative act, which is about no call."""
        self._journal.write(act(kind), "", data)

    async def journal(self, *, after: str = "-", count_max: int = 100) -> Sequence[Entry]:
        """Return journal entries in order, behind the given id (`-`: from the beginning)."""
        return self._journal.read(after, count_max)
