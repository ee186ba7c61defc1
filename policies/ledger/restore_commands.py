"""What `restore_call.lua` and `restore_counter.lua` are given: keys and arguments, as their headers say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from policies.ledger.interface import CallRecord, CounterRecord, Due
from policies.ledger.keys import Keys, counter_parts
from policies.reservations import Charge, State, leading_to


class Command(NamedTuple):
    """What a script is called with."""

    keys: list[str]
    arguments: list[bytes | str | int]


def restore_call(
    keys: Keys, record: CallRecord, due: Due | None, *, lease_ms: int, keep_ms: int
) -> Command:
    """Return the call of `restore_call.lua`.

    Args:
        keep_ms: how long to keep the record of a call that ended.
    """
    call_id, charges = record.reservation.call_id, record.reservation.charges
    ids = json.dumps(list(record.generation_ids)) if record.generation_ids else ""
    return Command(
        [
            keys.call(call_id),
            keys.deadlines,
            keys.journal,
            keys.receipts(due.queue if due is not None else "", "due"),
            *(keys.counter(charge.counter) for charge in charges),
            *(keys.subjects(charge.counter) for charge in charges),
        ],
        [
            call_id,
            record.state.value,
            ",".join(leading_to(record.state)),
            lease_ms,
            keep_ms,
            due.after_ms if due is not None and record.state is not State.RESERVED else "",
            record.reservation.at_ms,
            record.data,
            charges_text(charges),
            ",".join(str(charge.held) for charge in charges),
            ",".join(str(charge.bound) for charge in charges),
            ",".join(str(charge.slot) for charge in charges),
            ",".join(map(str, record.charged)),
            record.outcome,
            record.receipt,
            ids,
            record.ended_ms or "",
        ],
    )


def restore_counter(keys: Keys, record: CounterRecord) -> Command:
    """Return the call of `restore_counter.lua`."""
    _, unit, subject, _ = counter_parts(record.counter)
    arguments: list[bytes | str | int] = [
        record.counter,
        unit,
        subject,
        record.kind,
        record.length_ms,
        record.bucket_ms,
        record.spent,
        record.overrun,
        record.start_ms,
    ]
    for bucket, amount in sorted(record.buckets.items()):
        arguments += (bucket, amount)
    return Command(
        [keys.counter(record.counter), keys.subjects(record.counter), keys.journal], arguments
    )


def charges_text(charges: Sequence[Charge]) -> str:
    """Return the charges as a call's record keeps them, without their amounts."""
    rows = [
        [
            charge.counter,
            charge.budget,
            charge.subject,
            charge.unit,
            charge.kind,
            str(charge.length_ms),
            str(charge.bucket_ms),
        ]
        for charge in charges
    ]
    return json.dumps(rows, separators=(",", ":"))
