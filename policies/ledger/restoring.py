"""How the in-memory ledger brings back what was lost, one counter at a time."""

from __future__ import annotations

from dataclasses import replace

from policies.journal import Movement
from policies.ledger.counter import Counter
from policies.ledger.interface import CounterRecord, Restored
from policies.ledger.keys import FIRST_USE, ROLLING, counter_parts
from policies.reservations import Charge


def raise_to(counter: Counter, record: CounterRecord, now_ms: int) -> Restored:
    """Raise a counter to what a record says."""
    counts = record.kind != FIRST_USE or _enter(counter, record.start_ms, record.length_ms)
    if record.kind == ROLLING:
        live = counter.evict(now_ms, record.length_ms, record.bucket_ms)
        spent, overrun = counter.spent, counter.overrun
        for bucket, amount in record.buckets.items():
            missing = amount - counter.buckets.get(bucket, 0)
            if bucket >= live and missing > 0:
                counter.buckets[bucket] = amount
                counter.spent += missing
    else:
        spent, overrun = counter.spent, counter.overrun
        counter.spent = max(spent, record.spent) if counts else spent
    counter.overrun = max(overrun, record.overrun) if counts else overrun
    return Restored(
        spent_before=spent,
        overrun_before=overrun,
        spent=counter.spent,
        reserved=counter.reserved,
        overrun=counter.overrun,
    )


def hold_again(counter: Counter, charge: Charge, now_ms: int) -> tuple[Charge, Movement]:
    """Hold what a lost call held; return where it is booked from now on, and what the journal says."""
    counts = True
    if charge.kind == FIRST_USE:
        counts = _enter(counter, charge.slot, charge.length_ms)
        charge = replace(charge, slot=counter.start_ms) if counts else charge
    elif charge.kind == ROLLING:
        counter.evict(now_ms, charge.length_ms, charge.bucket_ms)
    if counts:
        counter.reserved += charge.held
        counter.excess += max(0, charge.bound - charge.held)
    return charge, _changed(charge.counter, counter, reserved=charge.held if counts else 0)


def raised(record: CounterRecord, restored: Restored, counter: Counter) -> Movement:
    """Return what the journal says of a counter that was raised."""
    return _changed(record.counter, counter, spent=restored.spent - restored.spent_before)


def _changed(name: str, counter: Counter, *, spent: int = 0, reserved: int = 0) -> Movement:
    return Movement(
        counter=name,
        unit=counter_parts(name)[1],
        spent_change=spent,
        reserved_change=reserved,
        spent=counter.spent,
        reserved=counter.reserved,
        overrun=counter.overrun,
    )


def _enter(counter: Counter, start_ms: int, length_ms: int) -> bool:
    """Bring a first-use counter to the window that began then, if that is the later one.

    Returns:
        Whether what is of that window counts: it does in one that began before it was over, too,
        because that one only began as the other was forgotten.
    """
    if counter.start_ms < start_ms:
        counter.start_ms = start_ms
        counter.spent = counter.reserved = counter.excess = counter.overrun = 0
    return counter.start_ms < start_ms + length_ms
