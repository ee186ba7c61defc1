"""Faults that the policies can raise; expected outcomes are values (`decisions`), never these."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from policies.reservations import Operation, State


class BursarError(Exception):
    """Root of everything that Bursar raises on purpose."""


class AmountOutOfRange(BursarError):
    """An amount is not exactly representable: counters are exact below 2**53 units (about $9.0M)."""


class LedgerUnavailable(BursarError):
    """The ledger did not answer in time; the operation may or may not have happened."""


class LedgerUntouched(LedgerUnavailable):
    """The ledger was not reached, or does not serve now: the operation did not happen."""


class LedgerRefused(LedgerUnavailable):
    """Redis answered with an error: a fault in a command or in the server's configuration.

    To whoever counts on the ledger that is the same as no answer: what it was to book still waits.
    """


class IllegalTransition(BursarError):
    """The call's state does not allow this operation; nothing was changed."""

    def __init__(self, call_id: str, state: State, operation: Operation) -> None:
        super().__init__(f"call {call_id} is {state}: it cannot {operation}; nothing was changed")
        self.call_id = call_id
        self.state = state
        self.operation = operation


class UnknownCall(BursarError):
    """The ledger has no record of this call: it was never reserved, or it ended long ago."""

    def __init__(self, call_id: str) -> None:
        super().__init__(f"the ledger has no record of call {call_id}")
        self.call_id = call_id
