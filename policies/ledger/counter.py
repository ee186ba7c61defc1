"""One counter of the in-memory ledger, and the rules by which it admits."""

from __future__ import annotations

from dataclasses import dataclass, field

from policies.journal import Movement
from policies.ledger.interface import Ask
from policies.ledger.keys import FIRST_USE, ROLLING, Placement


@dataclass(slots=True)
class Counter:
    """What one counter has come to, in the budget's unit."""

    spent: int = 0
    reserved: int = 0
    #: Bounds above what is reserved, of calls in flight.
    excess: int = 0
    overrun: int = 0
    #: First-use windows: when the present one began; 0: it was never used.
    start_ms: int = 0
    #: Rolling windows: spent by sub-bucket.
    buckets: dict[int, int] = field(default_factory=dict)

    def evict(self, now_ms: int, length_ms: int, bucket_ms: int) -> int:
        """Take out what is wholly older than a rolling window; return the oldest bucket that counts."""
        live = (now_ms - length_ms) // bucket_ms
        for bucket in [bucket for bucket in self.buckets if bucket < live]:
            self.spent -= self.buckets.pop(bucket)
        return live

    def rotate(self, now_ms: int, length_ms: int) -> None:
        """Begin a first-use window anew when the one before is over."""
        if self.start_ms == 0 or now_ms >= self.start_ms + length_ms:
            self.start_ms = now_ms
            self.spent = self.reserved = self.excess = self.overrun = 0


def is_short(ask: Ask, counter: Counter) -> bool:
    """Tell whether a budget has no room; a call that asks for nothing passes one that is used up."""
    if ask.held == 0 and ask.bound == 0:
        return False
    counted = counter.spent + counter.reserved
    return (
        counted + ask.held > ask.budget.limit
        or counted + counter.excess + ask.bound > ask.budget.limit + ask.budget.overrun_max
    )


def retry_at(ask: Ask, placement: Placement, counter: Counter) -> int | None:
    """Return when enough will have left a rolling window for the call to fit; None: it never does."""
    if placement.kind != ROLLING:
        return None
    missing = counter.spent + counter.reserved + ask.held - ask.budget.limit
    for bucket in sorted(counter.buckets):
        missing -= counter.buckets[bucket]
        if missing <= 0:
            return (bucket + 1) * placement.bucket_ms + placement.length_ms
    return None


def slot_of(placement: Placement, counter: Counter, now_ms: int) -> int:
    """Return what the call is booked in: a sub-bucket, or the start of a first-use window."""
    if placement.kind == ROLLING:
        return now_ms // placement.bucket_ms
    return counter.start_ms if placement.kind == FIRST_USE else 0


def movement(
    ask: Ask, placement: Placement, counter: Counter, *, reserved_change: int = 0
) -> Movement:
    """Return what an entry says of one counter."""
    return Movement(
        counter=placement.counter,
        unit=ask.budget.unit,
        spent_change=0,
        reserved_change=reserved_change,
        spent=counter.spent,
        reserved=counter.reserved,
        overrun=counter.overrun,
    )
