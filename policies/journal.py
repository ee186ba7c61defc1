"""The ordered record of every decision and every movement of money."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from policies.reservations import Charge, Operation

#: The version of the entries' form; it is written with each of them.
VERSION: Final = 1

# What an entry can be about. Operations of `reservations` journal under their own names.
ADMITTED: Final = "admitted"
REFUSED: Final = "refused"
#: Budgets in mode `warn` or `shadow` had no room for a call that was admitted.
WOULD_REFUSE: Final = "would_refuse"
#: The ledger was given back what the archive has and it had lost. Nothing was spent: whoever adds up
#: entries leaves these out, since what they bring back was entered before.
RESTORE: Final = "restore"


#: What decisions and movements of money are entered as; an act of an administrator is none of these.
CALL_KINDS: Final = frozenset({ADMITTED, REFUSED, WOULD_REFUSE, RESTORE, *Operation})


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
class Check:
    """What a decision looked at in one budget: with how the counter stood, the decision follows.

    Amounts are in the budget's unit. What is named as in `reservations.Charge` means the same.
    """

    budget: str
    subject: str
    unit: str
    counter: str
    kind: str
    length_ms: int
    bucket_ms: int
    #: As in a charge; of a reported window, the reported limit, and -1 when it was closed.
    slot: int
    held: int
    bound: int
    #: The limit in force, grants included; of a reported window what was reported.
    limit: int
    mode: str
    overrun_max: int
    #: The budget had no room for the call.
    short: bool

    @property
    def charge(self) -> Charge:
        """What an admitted call holds of this budget."""
        return Charge(
            budget=self.budget,
            subject=self.subject,
            unit=self.unit,
            counter=self.counter,
            kind=self.kind,
            length_ms=self.length_ms,
            bucket_ms=self.bucket_ms,
            slot=self.slot,
            held=self.held,
            bound=self.bound,
        )


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
    #: Admitted and refused calls: one for each budget of the call, in the order of the movements.
    checks: tuple[Check, ...] = ()
    #: It was admitted unchecked: the call had passed already, while the ledger was away.
    forced: bool = False


def act(kind: str) -> str:
    """Return the kind of an administrative act.

    Raises:
        ValueError: it would be taken for a decision or a movement of money.
    """
    if kind in CALL_KINDS:
        raise ValueError(f"'{kind}' is entered with the money that it is about, never by itself")
    return kind


def movements_of(text: str) -> tuple[Movement, ...]:
    """Return what an entry's `moves` say; of a row that a later version made longer, what is known.

    Raises:
        ValueError: the text is no list of movements.
    """
    return tuple(
        Movement(
            counter=row[0],
            unit=row[1],
            spent_change=row[2],
            reserved_change=row[3],
            spent=row[4],
            reserved=row[5],
            overrun=row[6],
            prior_period=bool(row[7:] and row[7]),
        )
        for row in _rows(text, _MOVEMENT_FIELDS)
    )


def checks_of(text: str) -> tuple[Check, ...]:
    """Return what an entry's `checks` say; of a row that a later version made longer, what is known.

    Raises:
        ValueError: the text is no list of checks.
    """
    return tuple(
        Check(
            budget=row[0],
            subject=row[1],
            unit=row[2],
            counter=row[3],
            kind=row[4],
            length_ms=row[5],
            bucket_ms=row[6],
            slot=row[7],
            held=row[8],
            bound=row[9],
            limit=row[10],
            mode=row[11],
            overrun_max=row[12],
            short=bool(row[13]),
        )
        for row in _rows(text, _CHECK_FIELDS)
    )


# How many fields a row has at least.
_MOVEMENT_FIELDS: Final = 7
_CHECK_FIELDS: Final = 14


def _rows(text: str, fields_min: int) -> list[list[Any]]:
    rows = json.loads(text)
    if not isinstance(rows, list):
        raise ValueError("not a JSON array of rows")  # noqa: TRY004 - The text is wrong, not a type.
    for row in rows:
        if not isinstance(row, list) or len(row) < fields_min:
            raise ValueError(f"not a row of at least {fields_min} fields: {row!r:.100}")
    return rows
