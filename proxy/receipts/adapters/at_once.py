"""What an answer itself said it cost, as the settlement kept it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from proxy.receipts.adapters.figures import Unreadable, amount


def told(outcome: Mapping[str, Any], *currencies: str) -> dict[str, Decimal] | None:
    """Return what a whole answer said it cost, in whole units by currency; None: it did not say.

    A cost comes with the usage at an answer's end. One that was cut, that ended too early or with
    an error may have told a part of it.

    Args:
        outcome: what the settlement journalled.
        currencies: those that the provider is known to charge; any other makes all of it unclear.
    """
    if not _is_whole(outcome):
        return None
    reported = outcome.get("reported_cost")
    if not isinstance(reported, Mapping) or not reported or not reported.keys() <= {*currencies}:
        return None
    try:
        return {currency: amount(value, currency) for currency, value in reported.items()}
    except Unreadable:
        return None


def _is_whole(outcome: Mapping[str, Any]) -> bool:
    if outcome.get("cut") or outcome.get("error"):
        return False
    match outcome.get("certainty"):
        case "at_least":
            return False
        case "unknown" | "unpriced":
            # Neither says whether the end was seen; a reason why the model stopped does.
            return outcome.get("finish") is not None
        case _:
            return True


def first_id(outcome: Mapping[str, Any]) -> str:
    """Return the id by which the provider most likely knows the call; empty: none was told."""
    known = outcome.get("generation_ids")
    first = known[0] if isinstance(known, list | tuple) and known else ""
    return first if isinstance(first, str) else ""
