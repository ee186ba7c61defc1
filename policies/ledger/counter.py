"""One counter of the in-memory ledger, and the rules by which it admits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from policies.decisions import Standing
from policies.journal import Check, Movement
from policies.ledger.interface import Ask
from policies.ledger.keys import FIRST_USE, FIXED, REPORTED, ROLLING, Placement
from policies.ledger.standings import CLOSED, standing_of
from policies.money import EXACT_MAX
from policies.reservations import Charge
from policies.windows import REFUSE_STALE, REFUSE_UNKNOWN


@dataclass(slots=True)
class Reported:
    """What a provider reported of a window of its own."""

    limit: int | None = None
    began_ms: int | None = None
    at_ms: int = 0
    closed: str = ""
    closed_at_ms: int = 0
    closed_until_ms: int = 0

    def is_closed(self, now_ms: int) -> bool:
        """Tell whether it was closed, and still is."""
        return self.closed != "" and now_ms < self.closed_until_ms

    def limit_at(self, now_ms: int, placement: Placement) -> int:
        """Return the limit that holds now; `CLOSED`: no call passes."""
        refuses_unknown = bool(placement.bucket_ms & REFUSE_UNKNOWN)
        refuses_stale = bool(placement.bucket_ms & REFUSE_STALE)
        if self.is_closed(now_ms):
            return CLOSED
        if self.limit is None:
            return CLOSED if refuses_unknown else EXACT_MAX
        if now_ms - self.at_ms > placement.length_ms:
            return CLOSED if refuses_stale else EXACT_MAX
        return self.limit

    def take(
        self, limit: int | None, closed: str, began_ms: int, now_ms: int, stale_ms: int
    ) -> bool:
        """Take over a report, unless a later one was, or a call was refused since it was asked for."""
        if self.began_ms is not None and self.began_ms > began_ms:
            return False
        if self.is_closed(now_ms) and self.closed_at_ms >= began_ms:
            return False
        self.limit, self.began_ms, self.at_ms = limit, began_ms, now_ms
        self.closed, self.closed_at_ms, self.closed_until_ms = closed, began_ms, now_ms + stale_ms
        return True

    def close(self, reason: str, now_ms: int, for_ms: int) -> bool:
        """Let no call pass for now; return whether calls passed before."""
        was_open = not self.is_closed(now_ms)
        self.closed, self.closed_at_ms, self.closed_until_ms = reason, now_ms, now_ms + for_ms
        return was_open


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
    #: Reported windows: what was reported last.
    reported: Reported = field(default_factory=Reported)

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


def opened(counters: dict[str, Counter], placement: Placement, now_ms: int) -> Counter:
    """Return the counter that a call is to be held on, brought up to now.

    One that only a refusal looked at need not be kept, but a first-use window has begun.
    """
    counter = counters.get(placement.counter, Counter())
    if placement.kind == ROLLING:
        counter.evict(now_ms, placement.length_ms, placement.bucket_ms)
    elif placement.kind == FIRST_USE:
        counters[placement.counter] = counter
        counter.rotate(now_ms, placement.length_ms)
    return counter


def peek(counter: Counter | None, placement: Placement, now_ms: int) -> Counter:
    """Return a counter as it stands now; a window that is over stands at nothing."""
    if counter is None:
        return Counter()
    if placement.kind == FIRST_USE and now_ms >= counter.start_ms + placement.length_ms:
        return Counter()
    if placement.kind == ROLLING:
        counter.evict(now_ms, placement.length_ms, placement.bucket_ms)
    return counter


def is_short(ask: Ask, placement: Placement, counter: Counter, now_ms: int) -> bool:
    """Tell whether a budget has no room; a call that asks for nothing passes one that is used up."""
    limit = ask.budget.limit
    if placement.kind == REPORTED:
        limit = counter.reported.limit_at(now_ms, placement)
        if limit == CLOSED:
            return True
    if ask.held == 0 and ask.bound == 0:
        return False
    counted = counter.spent + counter.reserved
    return (
        counted + ask.held > limit
        or counted + counter.excess + ask.bound > limit + ask.budget.overrun_max
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
    """Return what the call is booked in: a sub-bucket, or the start of a first-use window.

    Of a reported window it is the limit, as a reply says it.
    """
    if placement.kind == REPORTED:
        return counter.reported.limit_at(now_ms, placement)
    if placement.kind == ROLLING:
        return now_ms // placement.bucket_ms
    return counter.start_ms if placement.kind == FIRST_USE else 0


def check(ask: Ask, placement: Placement, counter: Counter, now_ms: int) -> Check:
    """Return what an entry says of one budget's part in a decision."""
    budget, slot = ask.budget, slot_of(placement, counter, now_ms)
    return Check(
        budget=budget.name,
        subject=ask.subject,
        unit=budget.unit,
        counter=placement.counter,
        kind=placement.kind,
        length_ms=placement.end_ms if placement.kind == FIXED else placement.length_ms,
        bucket_ms=placement.bucket_ms,
        slot=slot,
        held=ask.held,
        bound=ask.bound,
        limit=max(0, slot) if placement.kind == REPORTED else budget.limit,
        mode=budget.mode,
        overrun_max=budget.overrun_max,
        short=is_short(ask, placement, counter, now_ms),
    )


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


def book(
    counter: Counter | None, charge: Charge, *, pending: bool, old: int, new: int, now_ms: int
) -> Movement:
    """Book that a call is charged `new` and no longer `old`; return what the journal says of it.

    Args:
        counter: None: it is gone, and nothing is booked.
        pending: the call is reserved, and its reservation ends with this.
    """
    counts, kept = counter is not None, counter or Counter()
    if charge.kind == ROLLING:
        counts &= charge.slot >= kept.evict(now_ms, charge.length_ms, charge.bucket_ms)
    elif charge.kind == FIRST_USE:
        counts &= kept.start_ms == charge.slot
    if pending and (counts or (charge.kind == ROLLING and counter is not None)):
        kept.reserved -= charge.held
        kept.excess -= max(0, charge.bound - charge.held)
    if counts:
        kept.spent += new - old
        kept.overrun += max(0, new - charge.held) - max(0, old - charge.held)
        if charge.kind == ROLLING and new != old:
            kept.buckets[charge.slot] = kept.buckets.get(charge.slot, 0) + new - old
    # Of a fixed window the charge has the end where others have a length; 0: it has none.
    ends_ms = charge.length_ms if charge.kind == FIXED else 0
    return Movement(
        counter=charge.counter,
        unit=charge.unit,
        spent_change=new - old if counts else 0,
        reserved_change=-charge.held if pending else 0,
        spent=kept.spent,
        reserved=kept.reserved,
        overrun=kept.overrun,
        prior_period=not counts or 0 < ends_ms <= now_ms,
    )


def standings_of(
    asks: Sequence[Ask], places: Sequence[Placement], counters: Sequence[Counter], now_ms: int
) -> tuple[Standing, ...]:
    """Return how budgets stand by their counters."""
    return tuple(
        standing_of(
            ask,
            at,
            spent=counter.spent,
            reserved=counter.reserved,
            overrun=counter.overrun,
            slot=slot_of(at, counter, now_ms) if at.kind == REPORTED else counter.start_ms,
        )
        for ask, at, counter in zip(asks, places, counters, strict=True)
    )
