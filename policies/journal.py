"""The ordered record of every decision and every movement of money."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: The version of the entries' form; it is written with each of them.
VERSION: Final = 1

# What an entry can be about. Operations of `reservations` journal under their own names.
ADMITTED: Final = "admitted"
REFUSED: Final = "refused"
#: Budgets in mode `warn` or `shadow` had no room for a call that was admitted.
WOULD_REFUSE: Final = "would_refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """What one entry did to one counter, and how the counter stood after it, in the budget's unit."""

    counter: str
    unit: str
    spent_change: int
    reserved_change: int
    spent: int
    reserved: int
    overrun: int
    #: The window that the call was booked in was over: its closed counter was corrected; rolling and
    #: first-use windows keep none, and nothing was.
    prior_period: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of the journal."""

    #: Ordered; given by whoever keeps the journal.
    id: str
    kind: str
    #: Empty for what is not about one call.
    call_id: str
    #: By the ledger's clock.
    at_ms: int
    #: JSON text.
    data: str
    movements: tuple[Movement, ...] = ()
