"""Decisions made again under the policy that was in force: whether they come out as they were recorded.

Every decision is recorded with what it looked at: budgets, limits (grants included), what the call asked
for. What is not taken from the record is how the counters stood: that is worked out from all that happened
before, and compared with the record as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from policies.journal import ADMITTED, REFUSED
from policies.ledger.counter import Counter
from policies.ledger.keys import FIRST_USE, REPORTED, ROLLING
from policies.ledger.standings import CLOSED
from policies.reservations import Operation
from proxy.archive.backtest.balances import Balances, HeldCall, has_no_room
from proxy.archive.backtest.in_flight import CallsInFlight
from proxy.archive.backtest.records import Check, Move, Recorded

#: How many differences are told one by one; all are counted.
TOLD_MAX: Final = 20
_MOVES: Final = frozenset(operation.value for operation in Operation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A decision that comes out otherwise than it was recorded."""

    number: int
    call_id: str
    at_ms: int
    #: `admitted`, or `refused by BUDGET`; then the budgets without room, as far as these differ.
    recorded: str
    decided: str


@dataclass(slots=True)
class Reproduction:
    """What came of deciding again."""

    decisions: int = 0
    refusals: int = 0
    different: int = 0
    told: list[Difference] = field(default_factory=list)
    #: Decisions on counters that stood otherwise than all entries before say: the ledger had lost
    #: something and was not rebuilt yet. These are made again on what the record says.
    unaccounted: int = 0
    first_unaccounted: int | None = None
    #: Recorded before decisions said what they looked at: they cannot be made again.
    without_checks: int = 0


class InForce:
    """Goes through the journal under the policy that was in force."""

    def __init__(self, *, report_from_ms: int = 0, from_the_beginning: bool = True) -> None:
        """Take from when on decisions count.

        Args:
            report_from_ms: entries before it bring the counters up to then, and are not reported.
            from_the_beginning: the first entry is the organisation's first: every counter began at zero.
        """
        self._report_from_ms = report_from_ms
        self._from_the_beginning = from_the_beginning
        self.balances = Balances()
        self._calls = CallsInFlight[HeldCall](lambda call: call.pending)
        self.found = Reproduction()

    def take(self, entry: Recorded) -> None:
        """Go one entry further."""
        if entry.kind in (ADMITTED, REFUSED):
            self._decide(entry)
        elif entry.kind in _MOVES:
            self._moved(entry)
        # What was given back to a ledger that had lost it was entered before.
        self.balances.sweep(entry.at_ms)

    def _decide(self, entry: Recorded) -> None:
        reported = entry.at_ms >= self._report_from_ms
        if len(entry.checks) != len(entry.moves):
            self.found.without_checks += reported
            return
        known = self._calls.get(entry.call_id)
        if known is not None and known.pending:
            # The ledger had lost it, and booked it anew when it ended.
            self.balances.charge(known, [0] * len(known.holds), entry.at_ms)
        short, accounted = [], True
        for check, move in zip(entry.checks, entry.moves, strict=True):
            stood, as_recorded = self._stood(entry, check, move)
            short.append(_is_short(check, stood))
            accounted &= as_recorded
        if reported:
            self._count(entry, short, accounted=accounted)
        if entry.kind == ADMITTED:
            held = self.balances.hold(entry.checks, entry.at_ms, forced=entry.forced)
            self._calls.put(entry.call_id, held, entry.at_ms)

    def _stood(self, entry: Recorded, check: Check, move: Move) -> tuple[Counter, bool]:
        """Return a counter as it stood, and whether all entries before say the same."""
        is_new = check.counter not in self.balances.counters
        counter = self.balances.opened(check, entry.at_ms)
        if check.kind == FIRST_USE:
            # A decision that is not journalled may have begun the window: one that was tried first.
            counter.start_ms = check.slot
        reserved = move.reserved - move.reserved_change
        # A forced admission is entered with the overrun that it made.
        overrun = counter.overrun if entry.forced else move.overrun
        if (counter.spent, counter.reserved, counter.overrun) == (move.spent, reserved, overrun):
            return counter, True
        if check.kind == REPORTED:
            # A ledger that was lost is not given a provider's own windows again: they are asked for.
            counter.spent, counter.reserved, counter.overrun = move.spent, reserved, overrun
            return counter, True
        if entry.at_ms < self._report_from_ms or (is_new and not self._from_the_beginning):
            _take_over(counter, check, move.spent, reserved, move.overrun, entry.at_ms)
            return counter, True
        excess = counter.excess if reserved else 0
        return Counter(spent=move.spent, reserved=reserved, excess=excess), False

    def _count(self, entry: Recorded, short: list[bool], *, accounted: bool) -> None:
        found = self.found
        found.decisions += 1
        found.refusals += entry.kind == REFUSED
        if not accounted:
            found.unaccounted += 1
            found.first_unaccounted = found.first_unaccounted or entry.number
        decided = _decision(entry, short)
        recorded = _decision(entry, [bool(check.short) for check in entry.checks])
        if not recorded.startswith(entry.kind):
            recorded = entry.kind  # Its checks do not say why.
        if decided == recorded:
            return
        found.different += 1
        if len(found.told) < TOLD_MAX:
            found.told.append(
                Difference(
                    number=entry.number,
                    call_id=entry.call_id,
                    at_ms=entry.at_ms,
                    recorded=recorded,
                    decided=decided,
                )
            )

    def _moved(self, entry: Recorded) -> None:
        call = self._calls.get(entry.call_id)
        if call is None or len(call.holds) != len(entry.moves):
            self._moved_unknown(entry.moves)
            return
        charged = [
            old + move.spent_change for old, move in zip(call.charged, entry.moves, strict=True)
        ]
        self.balances.charge(call, charged, entry.at_ms)
        self._calls.ended(entry.call_id, entry.kind)

    def _moved_unknown(self, moves: list[Move]) -> None:
        """Take over what moves a call that was admitted before the first entry, or ended long ago."""
        for move in moves:
            counter = self.balances.counters.get(move.counter)
            if counter is None:
                continue
            # An entry says what a call let go of, also where the window that it was held in is over.
            counter.reserved, counter.overrun = move.reserved, move.overrun
            counter.spent += move.spent_change
            if counter.buckets and move.spent_change:
                counter.buckets[min(counter.buckets)] += move.spent_change


def _take_over(
    counter: Counter, check: Check, spent: int, reserved: int, overrun: int, now_ms: int
) -> None:
    """Bring a counter to where it stood, as far as calls from before the first entry did that."""
    counter.reserved, counter.overrun = reserved, overrun
    if reserved == 0:
        counter.excess = 0
    missing = spent - counter.spent
    if missing <= 0:
        return  # It had lost something: what all entries say stands.
    counter.spent = spent
    if check.kind == ROLLING:
        # When that was spent is not known; it has left the window before decisions count.
        oldest = (now_ms - check.length_ms) // check.bucket_ms
        counter.buckets[oldest] = counter.buckets.get(oldest, 0) + missing


def _is_short(check: Check, counter: Counter) -> bool:
    """Tell whether a budget had no room: the ledger's own rule (`policies/ledger/counter.py`)."""
    if check.kind == REPORTED and check.slot == CLOSED:
        return True
    return has_no_room(check, counter)


def _decision(entry: Recorded, short: list[bool]) -> str:
    """Return a decision in words: what was decided, and which budgets had no room."""
    without_room = [check for check, is_short in zip(entry.checks, short, strict=True) if is_short]
    refused_by = next((check.budget for check in without_room if check.mode == "enforce"), None)
    names = (
        f" (no room: {', '.join(check.budget for check in without_room)})" if without_room else ""
    )
    if refused_by is None or entry.forced:
        return f"{ADMITTED}{names}"
    return f"{REFUSED} by {refused_by}{names}"
