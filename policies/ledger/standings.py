"""How a budget stands, from a counter's numbers: the same for every ledger."""

from __future__ import annotations

from policies.decisions import Standing
from policies.ledger.interface import Ask
from policies.ledger.keys import FIRST_USE, FIXED, Placement


def standing_of(
    ask: Ask, placement: Placement, *, spent: int, reserved: int, overrun: int, slot_ms: int
) -> Standing:
    """Return a budget's standing; amounts in its unit, `slot_ms` where a first-use window began."""
    if placement.kind == FIXED:
        start_ms, end_ms = placement.start_ms, placement.end_ms or None
    elif placement.kind == FIRST_USE:
        start_ms, end_ms = slot_ms, slot_ms + placement.length_ms if slot_ms else None
    else:
        start_ms, end_ms = 0, None
    budget = ask.budget
    return Standing(
        budget=budget.name,
        subject=ask.subject,
        unit=budget.unit,
        mode=budget.mode,
        limit=budget.limit,
        spent=spent,
        reserved=reserved,
        overrun=overrun,
        start_ms=start_ms,
        end_ms=end_ms,
        window=placement.window_id,
    )
