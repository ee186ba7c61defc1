"""Entries of the journal as the admin API shows them, whether the archive has them or not yet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from policies.clock import rfc3339
from policies.journal import Check, Movement, checks_of, movements_of
from policies.ledger.keys import counter_parts
from proxy.admin.journal_schemas import CheckRow, EntryRow, MovementRow
from proxy.admin.recent import Numbered
from proxy.archive.chain import ChainedEntry
from proxy.standing_rows import amount_json


def archived_row(entry: ChainedEntry) -> EntryRow:
    """Return an entry of the archive; of one that a newer version wrote, what can be read."""
    return EntryRow(
        number=entry.number,
        id=entry.stream_id,
        kind=entry.kind,
        at=rfc3339(entry.at_ms),
        at_ms=entry.at_ms,
        call_id=entry.call_id,
        data=_value(entry.data),
        movements=[movement_row(each) for each in movements_in(entry)],
        checks=[check_row(each) for each in checks_in(entry)],
        archived=True,
    )


def recent_row(found: Numbered) -> EntryRow:
    """Return an entry that the archive has not yet."""
    entry = found.entry
    return EntryRow(
        number=found.number,
        id=entry.id,
        kind=entry.kind,
        at=rfc3339(entry.at_ms),
        at_ms=entry.at_ms,
        call_id=entry.call_id or None,
        data=_value(entry.data),
        movements=[movement_row(each) for each in entry.movements],
        checks=[check_row(each) for each in entry.checks],
        archived=False,
    )


def movements_in(entry: ChainedEntry) -> Sequence[Movement]:
    """Return what an archived entry did; nothing, if it cannot be read."""
    try:
        return movements_of(entry.moves)
    except (ValueError, RecursionError):
        return ()


def checks_in(entry: ChainedEntry) -> Sequence[Check]:
    """Return what the decision of an archived entry looked at; nothing, if it cannot be read."""
    try:
        return checks_of(entry.checks) if entry.checks else ()
    except (ValueError, RecursionError):
        return ()


def movement_row(movement: Movement) -> MovementRow:
    """Return what was done to one counter."""
    budget, subject = _owner(movement.counter)
    unit = movement.unit
    return MovementRow(
        counter=movement.counter,
        budget=budget,
        subject=subject,
        unit=unit,
        spent_change=amount_json(unit, movement.spent_change),
        reserved_change=amount_json(unit, movement.reserved_change),
        spent=amount_json(unit, movement.spent),
        reserved=amount_json(unit, movement.reserved),
        overrun=amount_json(unit, movement.overrun),
        prior_period=movement.prior_period,
    )


def check_row(check: Check) -> CheckRow:
    """Return what was looked at in one budget."""
    unit = check.unit
    return CheckRow(
        budget=check.budget,
        subject=check.subject or None,
        unit=unit,
        held=amount_json(unit, check.held),
        bound=amount_json(unit, check.bound),
        limit=amount_json(unit, check.limit),
        mode=check.mode,
        short=check.short,
    )


def _owner(counter: str) -> tuple[str, str | None]:
    try:
        budget, _, subject, _ = counter_parts(counter)
    except ValueError:
        return counter, None
    return budget, subject or None


def _value(text: str) -> Any:  # noqa: ANN401 - Whatever JSON can say.
    try:
        found = json.loads(text, parse_constant=str)
        if "\\u" in text:
            # Half of a surrogate pair can be written in JSON, and nobody can send it.
            json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return text
    return found
