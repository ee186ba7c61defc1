"""What the in-memory ledger keeps of one call."""

from __future__ import annotations

from dataclasses import dataclass

from policies.ledger.interface import CallRecord
from policies.reservations import Reservation, State, leading_to


@dataclass(slots=True)
class MemoryCall:
    """One call: the fields of its `CallRecord`, which change, and the end of its lease."""

    state: State
    reservation: Reservation
    #: Zeros while it is reserved.
    charged: list[int]
    data: str
    outcome: str = ""
    receipt: str = ""
    ended_ms: int = 0
    generation_ids: tuple[str, ...] = ()
    deadline_ms: int = 0

    def record(self) -> CallRecord:
        """Return the call as the ledger shows it."""
        return CallRecord(
            state=self.state,
            reservation=self.reservation,
            charged=tuple(self.charged) if self.state is not State.RESERVED else (),
            data=self.data,
            outcome=self.outcome,
            generation_ids=self.generation_ids,
            receipt=self.receipt,
            ended_ms=self.ended_ms,
        )

    def leads_to(self, record: CallRecord) -> bool:
        """Tell whether a record is of this call as it may have gone on: later, and on the same counters."""
        counters = [charge.counter for charge in self.reservation.charges]
        return self.state in leading_to(record.state) and counters == [
            charge.counter for charge in record.reservation.charges
        ]

    def take(self, record: CallRecord) -> None:
        """Go on to what a later record says."""
        self.state, self.charged = record.state, list(record.charged)
        self.outcome, self.receipt = record.outcome, record.receipt
        self.ended_ms = self.ended_ms or record.ended_ms
        self.generation_ids = record.generation_ids or self.generation_ids


def lost_call(record: CallRecord, reservation: Reservation, deadline_ms: int) -> MemoryCall:
    """Return a call as its record says, held as the reservation says."""
    return MemoryCall(
        state=record.state,
        reservation=reservation,
        charged=list(record.charged) or [0] * len(reservation.charges),
        data=record.data,
        outcome=record.outcome,
        receipt=record.receipt,
        ended_ms=record.ended_ms,
        generation_ids=record.generation_ids,
        deadline_ms=deadline_ms,
    )
