"""What a ledger does, whatever keeps it: the in-memory oracle and Redis answer to this alike."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from policies.budgets import Budget
from policies.decisions import Decision, Moved, Standing
from policies.journal import Entry
from policies.ledger.keys import FIRST_USE, REPORTED, ROLLING
from policies.money import EXACT_MAX
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
class CounterRecord:
    """What the archive has of one counter, in its budget's unit; the ledger is to have no less.

    `kind`, `length_ms` and `bucket_ms` are those of the counter's charges (`reservations.Charge`).
    """

    #: Its identity in the ledger (`keys.counter_name`).
    counter: str
    kind: str
    length_ms: int
    bucket_ms: int = 0
    #: All that was booked: in the fixed window, or since `start_ms`. Of a rolling window `buckets` count.
    spent: int = 0
    overrun: int = 0
    #: Rolling: what was booked in each sub-bucket, by its number (`Charge.slot`).
    buckets: Mapping[int, int] = field(default_factory=dict)
    #: First-use: when the window began.
    start_ms: int = 0

    def __post_init__(self) -> None:
        """Check what no counter can come to.

        Raises:
            ValueError: the window is a provider's own, whose counter means nothing without the
                provider's next report; or a number is impossible.
        """
        if self.kind == REPORTED:
            raise ValueError(f"'{self.counter}' is a provider's own window: it is reported anew")
        amounts = (self.spent, self.overrun, *self.buckets.values())
        if not all(0 <= amount <= EXACT_MAX for amount in amounts):
            raise ValueError(f"'{self.counter}' cannot have come to {amounts}")
        if (self.kind == ROLLING and self.bucket_ms <= 0) or (
            self.kind == FIRST_USE and self.start_ms <= 0
        ):
            raise ValueError(f"'{self.counter}' lacks what its window is made of")


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """How a counter stands, and stood before it was raised, in its budget's unit."""

    spent_before: int
    overrun_before: int
    spent: int
    reserved: int
    overrun: int

    @property
    def changed(self) -> bool:
        """Whether anything had to be raised."""
        return (self.spent, self.overrun) != (self.spent_before, self.overrun_before)


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

    async def restore_call(self, record: CallRecord, *, due: Due | None = None) -> bool:
        """Give the ledger back what it lost of a call: nothing of it, or all since an older state.

        A call that is not there is put there: if it is reserved, with its lease begun anew and held
        on its counters. One that is there in a state that leads to the record's moves on to it, and
        its money with it. Any other stays: the ledger knows better.

        What a missing call was charged is not booked again: `restore_counter` raises the counters.
        So there is an order: first the calls that the ledger still has, then the counters, and the
        calls that it lost behind them, so that what these do meanwhile comes on top.

        Args:
            record: as the archive has the call. A reserved one is charged nothing yet.
            due: settled and expired calls: when to look for the receipt.

        Returns:
            Whether anything was given back; that is journalled (`journal.RESTORE`) in the same step.
        """
        ...

    async def restore_counter(self, record: CounterRecord) -> Restored:
        """Raise a counter to what the archive has of it; what the ledger has more stays.

        Of a rolling window each sub-bucket is raised that still counts. Of a first-use window that
        another one followed, nothing; but if the other began before it was over, then only because
        this one was forgotten, and the other is raised in its place.

        What was raised is journalled (`journal.RESTORE`) in the same step.

        What was raised is journalled (`journal.RESTORE`) in the same step.

        Raises:
            ValueError: the window is a provider's own: what is spent there means nothing without
                the provider's next report.
        """
        ...

    async def note(self, kind: str, data: str) -> None:
        """Journal an administrative act, which is about no call.

        Unlike everything else it is not idempotent: repeated, it is journalled again.

        Args:
            kind: what was done, such as `policies_loaded`.
            data: JSON text. It names who did it (`actor`) and from where (`from`).

        Raises:
            ValueError: the kind is that of a decision or a movement of money.
        """
        ...

    async def journal(self, *, after: str = "-", count_max: int = 100) -> Sequence[Entry]:
        """Return journal entries in order, behind the given id (`-`: from the beginning)."""
        ...


def reservation_amounts(reservation: Reservation, amounts: Amounts) -> Iterable[int]:
    """Return what each charge of a reservation comes to, in the order of its charges."""
    return (amounts.of(charge.unit) for charge in reservation.charges)


def complete(record: CallRecord) -> CallRecord:
    """Return the record of a call if it says what every budget is charged.

    Raises:
        ValueError: it does not, or its call is reserved and charged all the same.
    """
    charges = record.reservation.charges
    if len(record.charged) == (0 if record.state is State.RESERVED else len(charges)):
        return record
    raise ValueError(
        f"call {record.reservation.call_id} is {record.state}, and has {len(record.charged)} amounts "
        f"for {len(charges)} charges"
    )
