"""Balances of a past that is gone through again: the ledger's own counters, and no more than are open.

What holds and what charges is the ledger's arithmetic (`policies/ledger/memory.py`), without the records
and the journal that a ledger keeps: the number of calls that can be gone through has no bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from policies.ledger.counter import Counter
from policies.ledger.keys import FIRST_USE, FIXED, REPORTED, ROLLING
from proxy.archive.backtest.records import Check

# How many entries pass before counters of windows that are over are looked for.
_SWEEP_EVERY: Final = 50_000


@dataclass(slots=True)
class HeldCall:
    """A call that holds something, or was charged and may be corrected."""

    at_ms: int
    holds: list[Check]
    #: What each of them is charged now; the quote while `pending`.
    charged: list[int]
    pending: bool = True


class Balances:
    """The counters, by name."""

    def __init__(self) -> None:
        self.counters: dict[str, Counter] = {}
        # When each is over, as far as is known by now; 0: never.
        self._over_ms: dict[str, int] = {}
        self._until_sweep = _SWEEP_EVERY

    def opened(self, check: Check, now_ms: int) -> Counter:
        """Return a counter, brought up to now; it is made if there is none."""
        counter = self.counters.get(check.counter)
        if counter is None:
            counter = self.counters[check.counter] = Counter()
            self._over_ms[check.counter] = check.length_ms if check.kind == FIXED else 0
        if check.kind == ROLLING:
            counter.evict(now_ms, check.length_ms, check.bucket_ms)
            self._over_ms[check.counter] = now_ms + check.length_ms + 2 * check.bucket_ms
        elif check.kind == FIRST_USE:
            counter.rotate(now_ms, check.length_ms)
            self._over_ms[check.counter] = counter.start_ms + check.length_ms
        return counter

    def hold(self, checks: list[Check], now_ms: int, *, forced: bool) -> HeldCall:
        """Hold a call on counters that were opened for it."""
        for check in checks:
            counter = self.counters[check.counter]
            counter.reserved += check.held
            counter.excess += max(0, check.bound - check.held)
            if forced and check.mode == "enforce" and check.kind != REPORTED:
                above = counter.spent + counter.reserved - check.limit - counter.overrun
                counter.overrun += max(0, above)
        return HeldCall(now_ms, checks, [0] * len(checks))

    def charge(self, call: HeldCall, charged: list[int], now_ms: int) -> None:
        """Charge a call so much of each budget from now on, in place of what it was charged before."""
        for check, old, new in zip(call.holds, call.charged, charged, strict=True):
            counter = self.counters.get(check.counter)
            if counter is not None:
                _charge(counter, check, old, new, now_ms, pending=call.pending)
        call.charged, call.pending = charged, False

    def sweep(self, now_ms: int) -> None:
        """Now and then, forget the counters of windows that are over: nothing is decided by them."""
        self._until_sweep -= 1
        if self._until_sweep > 0:
            return
        self._until_sweep = _SWEEP_EVERY
        over = [
            name
            for name, over_ms in self._over_ms.items()
            # What a rolling window holds is let go of whenever the call ends, however late.
            if 0 < over_ms <= now_ms and not self.counters[name].reserved
        ]
        for name in over:
            del self.counters[name], self._over_ms[name]


def has_no_room(check: Check, counter: Counter) -> bool:
    """Tell whether a call does not fit: the ledger's own rule (`policies/ledger/counter.py`)."""
    if check.held == 0 and check.bound == 0:
        return False
    counted = counter.spent + counter.reserved
    return (
        counted + check.held > check.limit
        or counted + counter.excess + check.bound > check.limit + check.overrun_max
    )


def _charge(
    counter: Counter, check: Check, old: int, new: int, now_ms: int, *, pending: bool
) -> None:
    counts, held = True, check.held
    if check.kind == ROLLING:
        counts = check.slot >= counter.evict(now_ms, check.length_ms, check.bucket_ms)
    elif check.kind == FIRST_USE:
        counts = counter.start_ms == check.slot
    if pending and (counts or check.kind == ROLLING):
        counter.reserved -= held
        counter.excess -= max(0, check.bound - held)
    if counts:
        counter.spent += new - old
        counter.overrun += max(0, new - held) - max(0, old - held)
        if check.kind == ROLLING and new != old:
            counter.buckets[check.slot] = counter.buckets.get(check.slot, 0) + new - old
