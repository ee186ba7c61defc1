"""Calls as the ledger keeps them, from their entries in the archive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import ColumnElement, Connection, Select, literal_column, select

from policies.journal import ADMITTED, REFUSED
from policies.ledger.interface import CallRecord
from policies.reservations import DONE, Charge, Operation, Reservation, State
from proxy.archive.backtest.past import Reads, entries_of
from proxy.archive.backtest.records import Check, Recorded, said_of_call
from proxy.archive.heads import organization_number
from proxy.archive.months import month_of_call
from proxy.archive.scan import span_of
from proxy.archive.tables import calls

#: Calls whose entries are in memory at a time.
BATCH: Final = 500
_OPERATIONS: Final = {operation.value: operation for operation in Operation}
#: Number, id, and the numbers of its entries by commas.
CallRow = tuple[int, str, str]
_COLUMNS: Final = calls.c.number, calls.c.call_id, calls.c.entries
#: As in the index `calls_by_state`, word for word: SQLite takes that index for nothing else.
_UNORDINARY: Final[ColumnElement[bool]] = literal_column("state NOT IN ('settled', 'receipted')")
#: The id of no organisation.
_NOBODY: Final = -1
_SAYS_RECEIPT: Final = frozenset({Operation.RECEIPT, Operation.GIVE_UP})


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedCall:
    """A call that was admitted, as its entries leave it."""

    record: CallRecord
    provider: str

    @property
    def id(self) -> str:
        """The call's id."""
        return self.record.reservation.call_id


def call_of(call_id: str, entries: Iterable[Recorded]) -> ArchivedCall | None:
    """Return what a call's entries say; None: it was not admitted, or before decisions were recorded whole.

    What was restored is passed over: it was entered before.
    """
    found: CallRecord | None = None
    provider = ""
    for entry in entries:
        if entry.kind == ADMITTED and entry.checks:
            found = _admitted(call_id, entry)
            provider = said_of_call(entry.data).provider or ""
        elif found is not None and entry.kind in _OPERATIONS:
            found = _moved(found, _OPERATIONS[entry.kind], entry)
    return None if found is None else ArchivedCall(record=found, provider=provider)


def calls_since(database: Reads, organization: str, since_ms: int) -> Iterator[list[ArchivedCall]]:
    """Yield all calls that have not ended, and those that came in since a time, in batches.

    Raises:
        ArchiveUnavailable: the database did not answer.
    """
    with database.read() as connection:
        own = organization_number(connection, organization) or _NOBODY
        low = span_of(connection, calls, own, since_ms=since_ms).low
    recent = calls.c.number >= low, calls.c.state != REFUSED
    open_before = calls.c.number < low, _UNORDINARY, calls.c.state == State.RESERVED.value
    for conditions in (open_before, recent):
        behind = 0
        while True:
            with database.read() as connection:
                rows = _rows(connection, own, behind, conditions)
                found = _calls(connection, own, rows)
            if not rows:
                break
            behind = rows[-1][0]
            yield found


def calls_by_id(database: Reads, organization: str, call_ids: Sequence[str]) -> list[ArchivedCall]:
    """Return these calls, of those that there are; not more than a few hundred.

    Raises:
        ArchiveUnavailable: the database did not answer.
    """
    with database.read() as connection:
        own = organization_number(connection, organization) or _NOBODY
        wanted = select(*_COLUMNS).where(
            calls.c.organization_id == own,
            calls.c.month.in_(sorted({month_of_call(call_id) for call_id in call_ids})),
            calls.c.call_id.in_(list(call_ids)),
        )
        return _calls(connection, own, _read(connection, wanted))


def _rows(
    connection: Connection,
    organization_id: int,
    behind: int,
    conditions: Sequence[ColumnElement[bool]],
) -> Sequence[CallRow]:
    wanted = (
        select(*_COLUMNS)
        .where(calls.c.organization_id == organization_id, calls.c.number > behind, *conditions)
        .order_by(calls.c.number)
        .limit(BATCH)
    )
    return _read(connection, wanted)


def _read(connection: Connection, wanted: Select[tuple[int, str, str]]) -> list[CallRow]:
    return [(row.number, row.call_id, row.entries) for row in connection.execute(wanted)]


def _calls(
    connection: Connection, organization_id: int, rows: Sequence[CallRow]
) -> list[ArchivedCall]:
    wanted = [number for _, _, numbers in rows for number in _numbers(numbers)]
    found = entries_of(connection, organization_id, wanted)
    made = (
        call_of(call_id, [found[at] for at in _numbers(numbers) if at in found])
        for _, call_id, numbers in rows
    )
    return [call for call in made if call is not None]


def _numbers(entries: str) -> list[int]:
    return [int(number) for number in entries.split(",") if number]


def _admitted(call_id: str, entry: Recorded) -> CallRecord:
    charges = tuple(charge_of(check) for check in entry.checks)
    return CallRecord(
        state=State.RESERVED,
        reservation=Reservation(call_id=call_id, at_ms=entry.at_ms, charges=charges),
        charged=(),
        data=entry.data,
        outcome="",
        generation_ids=(),
    )


def _moved(call: CallRecord, operation: Operation, entry: Recorded) -> CallRecord:
    before = call.charged or (0,) * len(call.reservation.charges)
    changes = [move.spent_change for move in entry.moves]
    if len(changes) != len(before):
        changes = [0] * len(before)
    is_receipt = operation in _SAYS_RECEIPT
    return replace(
        call,
        state=DONE[operation],
        charged=tuple(old + change for old, change in zip(before, changes, strict=True)),
        ended_ms=call.ended_ms or entry.at_ms,
        outcome=call.outcome if is_receipt else entry.data,
        receipt=entry.data if is_receipt else call.receipt,
    )


def charge_of(check: Check) -> Charge:
    """Return what an admitted call holds of a budget that it was checked against."""
    return Charge(
        budget=check.budget,
        subject=check.subject,
        unit=check.unit,
        counter=check.counter,
        kind=check.kind,
        length_ms=check.length_ms,
        bucket_ms=check.bucket_ms,
        slot=check.slot,
        held=check.held,
        bound=check.bound,
    )
