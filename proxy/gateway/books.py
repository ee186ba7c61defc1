"""Bringing ends of calls to the ledger: at once when it answers, through a file when it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from policies.decisions import Moved
from policies.errors import IllegalTransition, LedgerRefused, LedgerUnavailable, UnknownCall
from policies.ledger.interface import Admission, Ask, Due, Ledger
from policies.reservations import Operation, Reservation, State
from proxy.gateway.allowance import Allowance
from proxy.gateway.call import Ticket
from proxy.gateway.settle import Conclusion
from proxy.gateway.write_ahead import Unbooked, WriteAhead


class Observer(Protocol):
    """Whoever counts what happens to money."""

    def booked(self, ticket: Ticket, conclusion: Conclusion, moved: Moved) -> None:
        """A call's end is in the ledger."""
        ...

    def put_off(self, ticket: Ticket, conclusion: Conclusion) -> None:
        """A call's end waits in the write-ahead file."""
        ...

    def lost(self, ticket: Ticket, conclusion: Conclusion, fault: str) -> None:
        """A call's end waits in memory alone; should this worker die, its lease will run out."""
        ...


#: When to look for the receipt of a call that ended like this; None: its provider gives none.
DueOf = Callable[[str, Conclusion], Due | None]


def no_receipts(provider: str, conclusion: Conclusion) -> None:
    """Say that nobody tells what was billed."""
    del provider, conclusion


class Books:
    """Books the ends of calls exactly once."""

    def __init__(
        self,
        ledger: Ledger,
        write_ahead: WriteAhead,
        allowance: Allowance,
        observer: Observer,
        due_of: DueOf = no_receipts,
    ) -> None:
        self._ledger = ledger
        self._write_ahead = write_ahead
        self._allowance = allowance
        self._observer = observer
        self._due_of = due_of

    async def book(self, ticket: Ticket, conclusion: Conclusion) -> bool:
        """Book a call's end; return False when it has to wait for the ledger."""
        entry = Unbooked(
            reservation=ticket.reservation,
            operation=conclusion.operation,
            amounts=conclusion.amounts,
            outcome=conclusion.outcome,
            data=ticket.quoted.data,
            on_allowance=ticket.on_allowance,
            in_doubt=ticket.in_doubt,
            due=self._due_of(ticket.quoted.routed.provider.name, conclusion),
        )
        # What came in on an allowance is booked in order, behind what already waits.
        if ticket.on_allowance:
            self._allowance.correct(ticket.reservation.call_id, conclusion.amounts.nano_usd)
            self._put_off(ticket, entry, conclusion)
            return False
        try:
            moved = await book(self._ledger, entry, ticket.quoted.asks)
        except LedgerUnavailable:
            self._put_off(ticket, entry, conclusion)
            return False
        self._observer.booked(ticket, conclusion, moved)
        return True

    def _put_off(self, ticket: Ticket, entry: Unbooked, conclusion: Conclusion) -> None:
        try:
            self._write_ahead.append(entry)
        except OSError as fault:
            # Should this worker die, the lease runs out and the call is charged as reserved: too much
            # rather than nothing.
            self._observer.lost(ticket, conclusion, str(fault))
        else:
            self._observer.put_off(ticket, conclusion)


async def book(ledger: Ledger, entry: Unbooked, asks: tuple[Ask, ...]) -> Moved:
    """Bring one end of a call to the ledger; repeating it changes nothing.

    Raises:
        LedgerUnavailable: it may or may not have been booked; book it again.
    """
    if entry.on_allowance:
        return await book_late(ledger, entry, asks)
    try:
        return await _move(ledger, entry, entry.reservation)
    except UnknownCall:
        return await book_late(ledger, entry, asks)


async def book_late(ledger: Ledger, entry: Unbooked, asks: tuple[Ask, ...]) -> Moved:
    """Book the end of a call of which it is not known what the ledger has: it is looked at first.

    The ledger knows on which counters a call is held. Ours may lie in another window, where the
    call came in without an answer from the ledger, or was reserved again after one was lost.

    Raises:
        LedgerUnavailable: it may or may not have been booked; book it again.
    """
    call_id = entry.reservation.call_id
    record = await ledger.find(call_id)
    admitted_unseen = entry.on_allowance and not entry.in_doubt
    if record is None and (entry.operation is Operation.SETTLE or admitted_unseen):
        # The ledger never saw the reservation, or was restored from an old copy. The money is spent;
        # and a call that was sent is recorded, also when it cost nothing.
        await ledger.reserve(call_id, asks, data=entry.data, admission=Admission.FORCE)
        record = await ledger.find(call_id)
    return await _move(ledger, entry, record.reservation if record else entry.reservation)


async def _move(ledger: Ledger, entry: Unbooked, reservation: Reservation) -> Moved:
    try:
        if entry.operation is Operation.RELEASE:
            return await ledger.release(reservation, outcome=entry.outcome)
        return await ledger.settle(reservation, entry.amounts, outcome=entry.outcome, due=entry.due)
    except IllegalTransition as illegal:
        if entry.operation is Operation.RELEASE and illegal.state is State.EXPIRED:
            # Its lease ran out and it was charged as reserved, but it was free after all.
            return await _move(ledger, replace(entry, operation=Operation.SETTLE), reservation)
        # It has its receipt already, or was released: whoever was first knew enough.
        return Moved(state=illegal.state, changed=False)


async def replay(
    ledger: Ledger, write_ahead: WriteAhead, asks_of: Callable[[Unbooked], tuple[Ask, ...]]
) -> int:
    """Book everything that waits, in order; return how much that was.

    Raises:
        LedgerUnavailable: it went away again; what was not booked still waits.
    """
    booked = 0
    for entry in write_ahead.waiting():
        try:
            await book_late(ledger, entry, asks_of(entry))
        except LedgerRefused:
            continue  # It waits on, and does not keep back those behind it.
        write_ahead.done(entry)
        booked += 1
    return booked
