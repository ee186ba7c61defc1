"""How a call is shown: in short, and its whole life."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from policies.clock import rfc3339
from policies.journal import ADMITTED, REFUSED, Entry
from policies.ledger.interface import CallRecord
from policies.reservations import Operation, State
from proxy.admin.journal_rows import archived_row, checks_in, movements_in
from proxy.admin.journal_schemas import CallLifeView
from proxy.admin.recent import object_of
from proxy.admin.schemas import CallRow, CallView, ChargeRow, Money
from proxy.archive.lines import CallLife, CallLine
from proxy.standing_rows import amount_json

#: Entries that say how a call ended, the one that knows most first.
_ENDINGS: Final = (Operation.SETTLE, Operation.RELEASE, Operation.EXPIRE)
#: States behind a settlement: what was metered stays what it was, whatever is billed.
_METERED: Final = frozenset({State.SETTLED, State.UNRECEIPTED, State.RECEIPTED})


def call_row(call_id: str, record: CallRecord) -> CallRow:
    """Return a call in short."""
    return CallRow(**_fields(call_id, record))


def call_view(call_id: str, record: CallRecord) -> CallView:
    """Return the whole life of a call."""
    data, outcome, receipt = _said(record)
    charged = record.charged or (None,) * len(record.reservation.charges)
    return CallView(
        **_fields(call_id, record),
        ended_at=rfc3339(record.ended_ms) if record.ended_ms else None,
        ghost=data.get("ghost"),
        charges=[
            ChargeRow(
                budget=charge.budget,
                subject=charge.subject or None,
                unit=charge.unit,
                held=amount_json(charge.unit, charge.held),
                bound=amount_json(charge.unit, charge.bound),
                charged=None if amount is None else amount_json(charge.unit, amount),
            )
            for charge, amount in zip(record.reservation.charges, charged, strict=True)
        ],
        generation_ids=_generation_ids(record, outcome),
        quote=data.get("quote"),
        outcome=outcome or None,
        receipt=receipt or None,
    )


def refused_row(entry: Entry) -> CallRow:
    """Return a call that was not admitted: the ledger keeps no record of it, the journal does."""
    data = object_of(entry.data)
    return CallRow(
        id=entry.call_id,
        state=REFUSED,
        at=rfc3339(entry.at_ms),
        **_who(data),
        generation_id=None,
        usage={},
        quoted=_money((data.get("quote") or {}).get("nano_usd")),
        settled=None,
        receipted=None,
        status=None,
    )


def refused_view(entry: Entry) -> CallView:
    """Return all there is of a call that was not admitted: what it asked of which budget."""
    data = object_of(entry.data)
    return CallView(
        **refused_row(entry).model_dump(),
        ended_at=None,
        ghost=None,
        charges=[
            ChargeRow(
                budget=check.budget,
                subject=check.subject or None,
                unit=check.unit,
                held=amount_json(check.unit, check.held),
                bound=amount_json(check.unit, check.bound),
                charged=None,
            )
            for check in entry.checks
        ],
        generation_ids=[],
        quote=data.get("quote"),
        outcome=None,
        receipt=None,
    )


def line_row(line: CallLine) -> CallRow:
    """Return a call in short, as the archive has it."""
    return CallRow(**_line_fields(line))


def life_view(life: CallLife) -> CallLifeView:
    """Return the whole life of a call that the archive alone remembers."""
    line, said = life.line, {entry.kind: object_of(entry.data) for entry in life.entries}
    begun = said.get(ADMITTED) or said.get(REFUSED) or {}
    outcome = next((said[kind] for kind in _ENDINGS if kind in said), None)
    return CallLifeView(
        **_line_fields(line),
        ended_at=rfc3339(line.ended_ms) if line.ended_ms is not None else None,
        ghost=begun.get("ghost"),
        charges=_charges(life),
        generation_ids=list((outcome or {}).get("generation_ids") or ())
        or [each for each in (line.generation_id,) if each is not None],
        quote=begun.get("quote"),
        outcome=outcome,
        receipt=said.get(Operation.RECEIPT) or said.get(Operation.GIVE_UP),
        entries=[archived_row(entry) for entry in life.entries],
    )


def _charges(life: CallLife) -> list[ChargeRow]:
    """Return what a call was charged to each budget: all that its entries booked on the counter."""
    booked: Counter[str] = Counter()
    for entry in life.entries:
        for movement in movements_in(entry):
            booked[movement.counter] += movement.spent_change
    ended = life.line.state not in (State.RESERVED, REFUSED)
    first = next((entry for entry in life.entries if entry.kind in (ADMITTED, REFUSED)), None)
    return [
        ChargeRow(
            budget=check.budget,
            subject=check.subject or None,
            unit=check.unit,
            held=amount_json(check.unit, check.held),
            bound=amount_json(check.unit, check.bound),
            charged=amount_json(check.unit, booked[check.counter]) if ended else None,
        )
        for check in (checks_in(first) if first is not None else ())
    ]


def _line_fields(line: CallLine) -> dict[str, Any]:
    # What nobody said is an empty text in the archive, where columns are part of indexes.
    return {
        "id": line.call_id,
        "state": line.state,
        "at": rfc3339(line.at_ms),
        "team": line.team or None,
        "user": line.user or None,
        "key_id": line.key_id or None,
        "provider": line.provider or None,
        "model": line.model or None,
        "dialect": line.dialect or None,
        "streamed": line.streamed,
        "generation_id": line.generation_id,
        "usage": _parts(object_of(line.usage or "")),
        "quoted": _money(line.quoted_nano_usd),
        "settled": _money(line.settled_nano_usd),
        "receipted": _money(line.receipted_nano_usd),
        "status": line.status,
    }


def _fields(call_id: str, record: CallRecord) -> dict[str, Any]:
    data, outcome, receipt = _said(record)
    usage: Counter[str] = Counter()
    for line in outcome.get("usage") or ():
        usage.update(_parts(line))
    return {
        "id": call_id,
        "state": record.state.value,
        "at": rfc3339(record.reservation.at_ms),
        **_who(data),
        "generation_id": next(iter(_generation_ids(record, outcome)), None),
        "usage": dict(usage),
        "quoted": _money((data.get("quote") or {}).get("nano_usd")),
        "settled": _money(outcome.get("nano_usd")) if record.state in _METERED else None,
        "receipted": (_money(receipt.get("nano_usd")) if record.state is State.RECEIPTED else None),
        "status": outcome.get("status"),
    }


def _said(record: CallRecord) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return who asked for what, how it ended, and what the receipt said."""
    return object_of(record.data), object_of(record.outcome), object_of(record.receipt)


def _generation_ids(record: CallRecord, outcome: dict[str, Any]) -> list[str]:
    """Return the ids under which the provider may know a call, likeliest first."""
    told = outcome.get("generation_ids") or ()
    return list(dict.fromkeys([*record.generation_ids, *told]))


def _who(data: dict[str, Any]) -> dict[str, Any]:
    named = ("team", "user", "provider", "model", "dialect", "streamed")
    return {name: data.get(name) for name in named} | {"key_id": data.get("key")}


def _parts(usage: Mapping[str, Any]) -> dict[str, int]:
    return {part: count for part, count in usage.items() if isinstance(count, int)}


def _money(nano_usd: int | None) -> Money | None:
    return None if nano_usd is None else Money.of(nano_usd)
