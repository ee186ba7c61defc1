"""Calls whose money may still move, of a past that is gone through again; those that ended are forgotten."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from policies.reservations import Operation

Call = TypeVar("Call")

#: A receipt is looked for a day at most (`receipts.give_up_after`); one that comes later still is rare.
SETTLED_KEPT_MS: Final = 30 * 3_600_000
#: No call is in flight for longer: its worker's file of ends to be booked waits three days at most.
HELD_KEPT_MS: Final = 4 * 86_400_000
#: Nothing follows these. (A receipt may come after it was given up.)
_LAST: Final = frozenset({Operation.RECEIPT.value, Operation.RELEASE.value})


class CallsInFlight(Generic[Call]):
    """Calls by id, in the order in which they came; how many depends on their rate and not on their number."""

    def __init__(self, is_pending: Callable[[Call], bool]) -> None:
        """Take what tells whether a call has not ended yet."""
        self._calls: OrderedDict[str, tuple[int, Call]] = OrderedDict()
        self._is_pending = is_pending
        # Calls that did not end for long, taken out of the order so that it can be cleared.
        self._late: OrderedDict[str, tuple[int, Call]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._calls) + len(self._late)

    def get(self, call_id: str) -> Call | None:
        """Return a call; None: it is over, or was never seen."""
        found = self._calls.get(call_id) or self._late.get(call_id)
        return None if found is None else found[1]

    def put(self, call_id: str, call: Call, at_ms: int) -> None:
        """Remember a call, and forget what nobody will hear of any more."""
        self._late.pop(call_id, None)
        self._calls[call_id] = (at_ms, call)
        self._calls.move_to_end(call_id)
        self._forget(at_ms)

    def ended(self, call_id: str, operation: str) -> None:
        """Note what happened to a call: its last operation forgets it."""
        if operation in _LAST:
            self._calls.pop(call_id, None)
            self._late.pop(call_id, None)

    def _forget(self, now_ms: int) -> None:
        while self._calls:
            call_id, (at_ms, call) = next(iter(self._calls.items()))
            if at_ms > now_ms - SETTLED_KEPT_MS:
                break
            del self._calls[call_id]
            if self._is_pending(call):
                self._late[call_id] = (at_ms, call)
        while self._late:
            call_id, (at_ms, _) = next(iter(self._late.items()))
            if at_ms > now_ms - HELD_KEPT_MS:
                break
            del self._late[call_id]
