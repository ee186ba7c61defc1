"""How a budget's standing is shown to programs: one row, the same at every door (contract.md, Admin plane)."""

from __future__ import annotations

from typing import Any

from policies.clock import rfc3339
from policies.decisions import Standing
from policies.money import decimal_text
from policies.units import USD, is_nano


def amount_json(unit: str, amount: int) -> int | dict[str, int | str]:
    """Return an amount as JSON: money in two spellings, tokens and calls as plain numbers."""
    if unit == USD:
        return {"nano_usd": amount, "usd": decimal_text(amount)}
    if is_nano(unit):
        return {"nano": amount, "amount": decimal_text(amount)}
    return amount


def standing_row(standing: Standing, *, granted: int = 0) -> dict[str, Any]:
    """Return one budget's row; `granted`: how much of its limit is granted for a while, in its unit."""
    unit = standing.unit
    return {
        "name": standing.budget,
        "subject": standing.subject or None,
        "unit": unit,
        "limit": amount_json(unit, standing.limit),
        "granted": amount_json(unit, granted),
        "spent": amount_json(unit, standing.spent),
        "reserved": amount_json(unit, standing.reserved),
        "remaining": amount_json(unit, standing.remaining),
        "overrun": amount_json(unit, standing.overrun),
        "mode": standing.mode,
        "window": {
            "id": standing.window,
            "start": rfc3339(standing.start_ms) if standing.start_ms else None,
            "end": rfc3339(standing.end_ms) if standing.end_ms is not None else None,
        },
    }
