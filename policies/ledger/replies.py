"""What Redis answers, as values: the other half of what the Lua scripts say in their headers."""

from __future__ import annotations

import json
from collections.abc import Sequence

from policies.decisions import Admitted, Decision, Duplicate, Refused, Standing
from policies.journal import Entry, checks_of, movements_of
from policies.ledger.connection import Reply
from policies.ledger.interface import Ask
from policies.ledger.keys import Placement, charge_of
from policies.ledger.standings import standing_of
from policies.reservations import Charge, Reservation, State


def decision_of(
    call_id: str, asks: Sequence[Ask], places: Sequence[Placement], reply: Reply
) -> Decision:
    """Return what `reserve.lua` decided."""
    outcome, now_ms, keys_version, detail = (
        reply[0],
        int(reply[1]),
        int(reply[2]),
        reply[3].decode(),
    )
    rows = reply[4:]
    match outcome:
        case b"admitted":
            charges = tuple(
                charge_of(
                    ask.budget,
                    ask.subject,
                    at,
                    slot=rows[i * 4 + 3],
                    held=ask.held,
                    bound=ask.bound,
                )
                for i, (ask, at) in enumerate(zip(asks, places, strict=True))
            )
            return Admitted(
                reservation=Reservation(call_id=call_id, at_ms=now_ms, charges=charges),
                standings=standings_of(asks, places, rows),
                would_refuse=tuple(asks[at - 1].budget.name for at in integers(detail)),
                keys_version=keys_version,
            )
        case b"refused":
            position, retry_at_ms = integers(detail)
            standings = standings_of(asks, places, rows)
            return Refused(
                standing=standings[position - 1],
                asked=asks[position - 1].held,
                standings=standings,
                retry_at_ms=retry_at_ms or None,
                keys_version=keys_version,
            )
        case _:
            return Duplicate(state=State(detail))


def standings_of(
    asks: Sequence[Ask], places: Sequence[Placement], rows: Sequence[int]
) -> tuple[Standing, ...]:
    """Return standings from rows of spent, reserved, overrun and slot."""
    return tuple(
        standing_of(
            ask,
            at,
            spent=rows[i * 4],
            reserved=rows[i * 4 + 1],
            overrun=rows[i * 4 + 2],
            slot=rows[i * 4 + 3],
        )
        for i, (ask, at) in enumerate(zip(asks, places, strict=True))
    )


def integers(csv: str) -> list[int]:
    """Return whole numbers from a list by commas."""
    return [int(part) for part in csv.split(",") if part]


def charges_of(record: dict[str, str]) -> tuple[Charge, ...]:
    """Return the charges that a call's record holds."""
    numbers = zip(
        integers(record["held"]),
        integers(record["bound"]),
        integers(record["slots"]),
        strict=True,
    )
    return tuple(
        Charge(
            counter=counter,
            budget=budget,
            subject=subject,
            unit=unit,
            kind=kind,
            length_ms=int(length_ms),
            bucket_ms=int(bucket_ms),
            slot=slot,
            held=held,
            bound=bound,
        )
        for (counter, budget, subject, unit, kind, length_ms, bucket_ms), (
            held,
            bound,
            slot,
        ) in zip(json.loads(record["charges"]), numbers, strict=True)
    )


def entry_of(row: Reply) -> Entry:
    """Return an entry of the journal from a row of the stream."""
    entry_id, flat = row
    fields = {flat[i].decode(): flat[i + 1].decode() for i in range(0, len(flat), 2)}
    return Entry(
        id=entry_id.decode(),
        kind=fields["kind"],
        call_id=fields["call"],
        at_ms=int(fields["at"]),
        data=fields["data"],
        movements=movements_of(fields["moves"]),
        checks=checks_of(fields.get("checks", "[]")),
        forced=fields.get("forced") == "1",
    )
