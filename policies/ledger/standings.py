"""How a budget stands, from a counter's numbers: the same for every ledger."""

from __future__ import annotations

from policies.decisions import Standing
from policies.ledger.interface import Ask
from policies.ledger.keys import FIRST_USE, FIXED, REPORTED, Placement

#: What stands where the limit of a reported window would, while that is closed.
CLOSED = -1


def standing_of(
    ask: Ask, placement: Placement, *, spent: int, reserved: int, overrun: int, slot: int
) -> Standing:
    """Return a budget's standing; amounts in its unit.

    Args:
        slot: when a first-use window began, or the limit of a reported one (`CLOSED`: none passes).
    """
    budget = ask.budget
    limit, closed = budget.limit, False
    if placement.kind == REPORTED:
        limit, closed = max(0, slot), slot == CLOSED
    if placement.kind == FIXED:
        start_ms, end_ms = placement.start_ms, placement.end_ms or None
    elif placement.kind == FIRST_USE:
        start_ms, end_ms = slot, slot + placement.length_ms if slot else None
    else:
        start_ms, end_ms = 0, None
    return Standing(
        budget=budget.name,
        subject=ask.subject,
        unit=budget.unit,
        mode=budget.mode,
        limit=limit,
        spent=spent,
        reserved=reserved,
        overrun=overrun,
        start_ms=start_ms,
        end_ms=end_ms,
        window=placement.window_id,
        closed=closed,
    )
