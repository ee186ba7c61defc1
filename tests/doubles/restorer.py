"""What the archive's `rebuild` does, in short: from all entries of a journal to a ledger that has them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from policies.journal import ADMITTED, REFUSED, RESTORE, Check, Entry
from policies.ledger.interface import CallRecord, CounterRecord, Ledger
from policies.ledger.keys import FIRST_USE, REPORTED
from policies.reservations import DONE, Operation, Reservation, State

_OPERATIONS = {operation.value for operation in Operation}


@dataclass
class _Counted:
    check: Check
    #: By what calls are booked in: a sub-bucket, the start of a first-use window, or 0.
    spent: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    overrun: int = 0
    slot: int = 0

    def record(self) -> CounterRecord:
        check = self.check
        return CounterRecord(
            counter=check.counter,
            kind=check.kind,
            length_ms=check.length_ms,
            bucket_ms=check.bucket_ms,
            spent=self.spent[self.slot] if check.kind == FIRST_USE else sum(self.spent.values()),
            overrun=self.overrun,
            buckets=dict(self.spent) if check.bucket_ms else {},
            start_ms=self.slot if check.kind == FIRST_USE else 0,
        )


class Restorer:
    """Reads entries in order; knows then what a ledger must have."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.calls: dict[str, CallRecord] = {}
        self._counters: dict[str, _Counted] = {}
        for entry in entries:
            if entry.kind != RESTORE:
                self._read(entry)

    @property
    def counters(self) -> list[CounterRecord]:
        """What each counter came to; none of a provider's own windows."""
        return [counted.record() for counted in self._counters.values()]

    async def restore(self, ledger: Ledger) -> int:
        """Give a ledger back what it lost; return how many calls and counters that were."""
        found = [call for call in self.calls.values() if await ledger.find(_id(call))]
        missing = [call for call in self.calls.values() if call not in found]
        done = [await ledger.restore_call(call) for call in found]
        done += [(await ledger.restore_counter(counter)).changed for counter in self.counters]
        done += [await ledger.restore_call(call) for call in missing]
        return sum(done)

    def _read(self, entry: Entry) -> None:
        for check in entry.checks:
            if check.kind != REPORTED and (entry.kind == ADMITTED or check.kind == FIRST_USE):
                counted = self._counters.setdefault(check.counter, _Counted(check))
                counted.slot = max(counted.slot, check.slot)
        if entry.kind == ADMITTED:
            self.calls[entry.call_id] = _admitted(entry)
        elif entry.kind in _OPERATIONS:
            self._move(entry)
        if entry.kind in (ADMITTED, REFUSED, *_OPERATIONS):
            for movement in entry.movements:
                if movement.counter in self._counters:
                    self._counters[movement.counter].overrun = movement.overrun

    def _move(self, entry: Entry) -> None:
        call = self.calls[entry.call_id]
        charges = call.reservation.charges
        charged = list(call.charged or [0] * len(charges))
        for at, (charge, movement) in enumerate(zip(charges, entry.movements, strict=True)):
            charged[at] += movement.spent_change
            if charge.kind != REPORTED:
                self._counters[charge.counter].spent[charge.slot] += movement.spent_change
        operation = Operation(entry.kind)
        text = "receipt" if operation in (Operation.RECEIPT, Operation.GIVE_UP) else "outcome"
        self.calls[entry.call_id] = replace(
            call,
            state=DONE[operation],
            charged=tuple(charged),
            ended_ms=call.ended_ms or entry.at_ms,
            outcome=entry.data if text == "outcome" else call.outcome,
            receipt=entry.data if text == "receipt" else call.receipt,
        )


def _admitted(entry: Entry) -> CallRecord:
    json.loads(entry.data)
    charges = tuple(check.charge for check in entry.checks)
    return CallRecord(
        state=State.RESERVED,
        reservation=Reservation(call_id=entry.call_id, at_ms=entry.at_ms, charges=charges),
        charged=(),
        data=entry.data,
        outcome="",
        generation_ids=(),
    )


def _id(call: CallRecord) -> str:
    return call.reservation.call_id
