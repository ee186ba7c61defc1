"""What a ledger does, whatever keeps it: the in-memory oracle and Redis answer to this alike."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from policies.budgets import Budget
from policies.decisions import Decision, Moved, Standing
from policies.journal import Entry
from policies.reservations import Reservation, State
from policies.units import Amounts


class Admission(StrEnum):
    """How a reservation is decided."""

    #: Check every enforced budget; a refusal is journalled.
    DECIDE = "decide"
    #: The same, but a refusal is not journalled: the caller will ask again for less.
    TRY = "try"
    #: Do not check: the call was admitted on a worker's own allowance while the ledger was away.
    FORCE = "force"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What one call asks of one budget, in the budget's unit."""

    budget: Budget
    #: The value of the budget's `each`; empty when it keeps a single counter.
    subject: str
    #: To be reserved.
    held: int
    #: The most that it can come to; equal to `held` for a `bound` quote.
    bound: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """What the ledger keeps of one call."""

    state: State
    reservation: Reservation
    #: What each budget is charged now, in the order of the reservation's charges.
    charged: tuple[int, ...]
    #: JSON text: who asked for what, as given when it was reserved.
    data: str
    #: JSON text: how it ended, as given when it was settled; empty before.
    outcome: str
    #: JSON text: what the receipt said, or why there is none; empty before.
    receipt: str = ""
    #: When it was settled, released or expired first, by the ledger's clock; 0 before.
    ended_ms: int = 0
    #: Ids under which the provider may know it, likeliest first.
    generation_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """That a call's receipt is to be looked for, noted in the same step as the call's end."""

    #: The provider whose receipts wait in one queue.
    queue: str
    after_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What is added up in the same step as a call's last move, so that it is added up once."""

    #: The provider, and whatever the sums are told apart by.
    provider: str
    name: str
    counts: tuple[tuple[str, int], ...]


class Ledger(Protocol):
    """Counts money in flight and money spent. Every operation is atomic, and idempotent by call id.

    Every method may raise `LedgerUnavailable`: then it is not known whether the operation took place,
    and repeating it is safe.
    """

    def now_ms(self) -> int:
        """Return the ledger's own time, by which windows and deadlines are decided."""
        ...

    async def reserve(
        self, call_id: str, asks: Sequence[Ask], *, data: str, admission: Admission
    ) -> Decision:
        """Hold what a call asks of every budget, or of none of them, for one lease."""
        ...

    async def settle(
        self, reservation: Reservation, amounts: Amounts, *, outcome: str, due: Due | None = None
    ) -> Moved:
        """Replace the reservation by what was metered.

        Args:
            due: when to look for the receipt; None: there will be none.

        Raises:
            IllegalTransition: the call was released, or has its receipt already.
            UnknownCall: the ledger has no record of the call.
        """
        ...

    async def release(self, reservation: Reservation, *, outcome: str) -> Moved:
        """Let the reservation go: the call never reached the provider, or was refused unbilled.

        A call that the ledger does not know is marked, so that a reservation that is still on its
        way finds the mark and holds nothing.

        Raises:
            IllegalTransition: the call was settled.
        """
        ...

    async def expire(self, reservation: Reservation, *, due: Due | None = None) -> Moved:
        """Charge the call as it was reserved: its worker is gone.

        Raises:
            IllegalTransition: the call had ended already.
            UnknownCall: the ledger has no record of the call.
        """
        ...

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
        """Correct the charge to what the provider billed, in the window of the call.

        Args:
            keep: units of which the receipt says nothing: their charges stay as they are.
            outcome: JSON text: what the receipt says; kept beside what the settlement said.
            queue: where the call waits for it; it waits no longer, whatever state it is in.

        Raises:
            IllegalTransition: the call is still reserved, or was released.
            UnknownCall: the ledger has no record of the call.
        """
        ...

    async def give_up(
        self, reservation: Reservation, *, outcome: str, queue: str = "", tally: Tally | None = None
    ) -> Moved:
        """Mark that no receipt came in time: the metered amount stands.

        Raises:
            IllegalTransition: the call is still reserved, was released, or has its receipt.
            UnknownCall: the ledger has no record of the call.
        """
        ...

    async def note_generation(self, call_id: str, generation_ids: Sequence[str]) -> None:
        """Remember under which ids the provider may know a call."""
        ...

    async def extend(self, call_ids: Sequence[str]) -> int:
        """Begin the lease of these calls anew; return how many of them are still reserved."""
        ...

    async def overdue(self, count_max: int) -> list[str]:
        """Return ids of calls whose lease has run out, oldest first."""
        ...

    async def find(self, call_id: str) -> CallRecord | None:
        """Return what the ledger keeps of a call."""
        ...

    async def standings(self, asks: Sequence[Ask]) -> tuple[Standing, ...]:
        """Return how these budgets stand; changes nothing."""
        ...

    async def report(
        self, budget: Budget, subject: str, *, limit: int | None, closed: str, began_ms: int
    ) -> bool:
        """Take over what a provider reports of a window of its own (`windows.Reported`).

        Args:
            limit: how far the counter may go, in the budget's unit; None: that is not known.
            closed: why no call passes; empty: calls do.
            began_ms: when the report was asked for, by the ledger's clock.

        Returns:
            Whether it was taken over: not if a later one was, or if the window was closed since.
        """
        ...

    async def close(self, budget: Budget, subject: str, *, reason: str, for_ms: int) -> bool:
        """Let no call through a provider's own window, until a report that is asked for later.

        Args:
            for_ms: for how long at most, should no report come.

        Returns:
            Whether it was open before.
        """
        ...

    async def subjects(self, budget: Budget) -> list[str]:
        """Return the subjects for which a budget has a counter in its present window."""
        ...

    async def journal_once(
        self, topic: str, name: str, value: str, *, kind: str, data: str
    ) -> bool:
        """Journal that a named value changed, unless it is the value that was journalled last.

        However many replicas say so, it is written once. Returns whether it was written.
        """
        ...

    async def journal(self, *, after: str = "-", count_max: int = 100) -> Sequence[Entry]:
        """Return journal entries in order, behind the given id (`-`: from the beginning)."""
        ...


def reservation_amounts(reservation: Reservation, amounts: Amounts) -> Iterable[int]:
    """Return what each charge of a reservation comes to, in the order of its charges."""
    return (amounts.of(charge.unit) for charge in reservation.charges)
