"""How a call is shown: in short, and its whole life."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Final

from policies.clock import rfc3339
from policies.journal import REFUSED, Entry
from policies.ledger.interface import CallRecord
from policies.reservations import State
from proxy.admin.schemas import CallRow, CallView, ChargeRow, Money
from proxy.standing_rows import amount_json

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
    data = _object(entry.data)
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


def _fields(call_id: str, record: CallRecord) -> dict[str, Any]:
    data, outcome, receipt = _said(record)
    usage: Counter[str] = Counter()
    for line in outcome.get("usage") or ():
        usage.update({part: count for part, count in line.items() if isinstance(count, int)})
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
    return _object(record.data), _object(record.outcome), _object(record.receipt)


def _generation_ids(record: CallRecord, outcome: dict[str, Any]) -> list[str]:
    """Return the ids under which the provider may know a call, likeliest first."""
    told = outcome.get("generation_ids") or ()
    return list(dict.fromkeys([*record.generation_ids, *told]))


def _who(data: dict[str, Any]) -> dict[str, Any]:
    named = ("team", "user", "provider", "model", "dialect", "streamed")
    return {name: data.get(name) for name in named} | {"key_id": data.get("key")}


def _money(nano_usd: int | None) -> Money | None:
    return None if nano_usd is None else Money.of(nano_usd)


def _object(text: str) -> dict[str, Any]:
    """Return what a JSON text of the journal says; what nobody has written yet says nothing."""
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {}
