"""How a call is shown: in short, and its whole life."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Final

from policies.clock import rfc3339
from policies.journal import REFUSED, Entry
from policies.ledger.interface import CallRecord
from policies.money import decimal_text
from policies.reservations import State
from proxy.admin.schemas import CallRow, CallView, ChargeRow, Money
from proxy.standing_rows import amount_json

#: States in which the metered amount is what stands.
_METERED: Final = frozenset({State.SETTLED, State.UNRECEIPTED})


def call_row(call_id: str, record: CallRecord) -> CallRow:
    """Return a call in short."""
    return CallRow(**_fields(call_id, record))


def call_view(call_id: str, record: CallRecord) -> CallView:
    """Return the whole life of a call."""
    data, outcome = _object(record.data), _object(record.outcome)
    charged = record.charged or (None,) * len(record.reservation.charges)
    return CallView(
        **_fields(call_id, record),
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
        generation_ids=list(record.generation_ids),
        quote=data.get("quote"),
        outcome=outcome or None,
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
    data, outcome = _object(record.data), _object(record.outcome)
    charged = _money(outcome.get("nano_usd"))
    receipted = record.state is State.RECEIPTED
    settled = _money(outcome.get("settled_nano_usd")) if receipted else charged
    usage: Counter[str] = Counter()
    for line in outcome.get("usage") or ():
        usage.update({part: count for part, count in line.items() if isinstance(count, int)})
    return {
        "id": call_id,
        "state": record.state.value,
        "at": rfc3339(record.reservation.at_ms),
        **_who(data),
        "generation_id": next(iter(record.generation_ids), None),
        "usage": dict(usage),
        "quoted": _money((data.get("quote") or {}).get("nano_usd")),
        "settled": settled if receipted or record.state in _METERED else None,
        "receipted": charged if receipted else None,
        "status": outcome.get("status"),
    }


def _who(data: dict[str, Any]) -> dict[str, Any]:
    named = ("team", "user", "provider", "model", "dialect", "streamed")
    return {name: data.get(name) for name in named} | {"key_id": data.get("key")}


def _money(nano_usd: int | None) -> Money | None:
    return None if nano_usd is None else Money(nano_usd=nano_usd, usd=decimal_text(nano_usd))


def _object(text: str) -> dict[str, Any]:
    """Return what a JSON text of the journal says; what nobody has written yet says nothing."""
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {}
