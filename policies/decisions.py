"""What the ledger answers: closed types, to be matched; none of them is an exception."""

from __future__ import annotations

from dataclasses import dataclass

from policies.reservations import Reservation, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one budget's counter stands, in the budget's unit."""

    budget: str
    subject: str
    unit: str
    mode: str
    limit: int
    spent: int
    reserved: int
    #: Settled and billed beyond what was reserved.
    overrun: int
    #: When the window began and ends; `end_ms` None: never, or when the oldest part leaves (rolling).
    start_ms: int
    end_ms: int | None
    window: str
    #: A provider's own window through which no call passes now, whatever is left of it.
    closed: bool = False

    @property
    def remaining(self) -> int:
        """What is left; never below zero."""
        return max(0, self.limit - self.spent - self.reserved)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """The quote is held against every budget of the call."""

    reservation: Reservation
    #: One for each budget, after the reservation.
    standings: tuple[Standing, ...]
    #: Budgets in mode `warn` or `shadow` that would have refused.
    would_refuse: tuple[str, ...] = ()
    #: The version of the keys when the call was admitted: a newer one than the worker's own means
    #: that the key must be looked at again before anything is sent.
    keys_version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """At least one enforced budget has no room; nothing was reserved."""

    #: The first budget without room.
    standing: Standing
    #: What the call asked of it.
    asked: int
    #: All budgets, as they stand.
    standings: tuple[Standing, ...]
    #: When there may be room again, for rolling windows; None when only the window's end helps.
    retry_at_ms: int | None = None
    keys_version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """A call of this id was here before and is over; ids are never used twice."""

    state: State


Decision = Admitted | Refused | Duplicate


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The operation took place, or had taken place before."""

    state: State
    #: False: it was a repetition and changed nothing.
    changed: bool
    standings: tuple[Standing, ...] = ()
    #: Charges whose window was over: the closed counter was corrected, or none where none is kept.
    prior_period: int = 0
