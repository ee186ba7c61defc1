"""The life of a call's money: one table, in this file alone; what is not in it changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a call's money stands."""

    RESERVED = "reserved"
    SETTLED = "settled"
    RELEASED = "released"
    EXPIRED = "expired"
    RECEIPTED = "receipted"
    UNRECEIPTED = "unreceipted"


class Operation(StrEnum):
    """What can happen to a call's money after it was reserved."""

    SETTLE = "settle"
    RELEASE = "release"
    EXPIRE = "expire"
    RECEIPT = "receipt"
    GIVE_UP = "give_up"


TRANSITIONS: Final = {
    (State.RESERVED, Operation.SETTLE): State.SETTLED,
    # It never reached the provider, or the provider refused it unbilled.
    (State.RESERVED, Operation.RELEASE): State.RELEASED,
    # Its worker is gone. It may have reached the provider, so it is charged as reserved.
    (State.RESERVED, Operation.EXPIRE): State.EXPIRED,
    # The call outlived its reservation; the money is spent all the same.
    (State.EXPIRED, Operation.SETTLE): State.SETTLED,
    (State.EXPIRED, Operation.RECEIPT): State.RECEIPTED,
    (State.SETTLED, Operation.RECEIPT): State.RECEIPTED,
    # No receipt came in time: the metered amount stands, flagged.
    (State.SETTLED, Operation.GIVE_UP): State.UNRECEIPTED,
    (State.EXPIRED, Operation.GIVE_UP): State.UNRECEIPTED,
    # A receipt that came after all is the truth all the same.
    (State.UNRECEIPTED, Operation.RECEIPT): State.RECEIPTED,
}

#: The state in which a repetition of the operation finds the call: it changes nothing and succeeds.
DONE: Final = {
    Operation.SETTLE: State.SETTLED,
    Operation.RELEASE: State.RELEASED,
    Operation.EXPIRE: State.EXPIRED,
    Operation.RECEIPT: State.RECEIPTED,
    Operation.GIVE_UP: State.UNRECEIPTED,
}


def sources(operation: Operation) -> tuple[State, ...]:
    """Return the states from which an operation is legal."""
    return tuple(state for state, at in TRANSITIONS if at is operation)


def leading_to(state: State) -> tuple[State, ...]:
    """Return the states from which a call can still come to this one."""
    found: set[State] = set()
    news = {state}
    while news:
        news = {source for (source, _), at in TRANSITIONS.items() if at in news} - found
        found |= news
    return tuple(each for each in State if each in found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What one call holds of one budget, with the counter that it is held on."""

    budget: str
    #: The value of the budget's `each`; empty when the budget keeps a single counter.
    subject: str
    unit: str
    #: The counter's identity in the ledger: budget, subject and window.
    counter: str
    #: fixed (calendar, lifetime), rolling, or first-use.
    kind: str
    #: Rolling and first-use: the window's length. Fixed: when it ends, 0 for never.
    length_ms: int
    #: Rolling: the sub-bucket's width.
    bucket_ms: int
    #: The sub-bucket (rolling) or the window's start (first-use) that the call is booked in; else 0.
    slot: int
    #: Reserved, in the budget's unit.
    held: int
    #: The most that the call can come to, in the budget's unit; equal to `held` for a `bound` quote.
    bound: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A call's quote, held against every budget that the call is charged to."""

    call_id: str
    at_ms: int
    charges: tuple[Charge, ...]
