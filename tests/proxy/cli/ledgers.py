"""Calls in a ledger, as the gateway would have put them there."""

from __future__ import annotations

import json
from typing import Any

from policies.budgets import Caller, subject_of
from policies.decisions import Admitted
from policies.ledger.interface import Admission, Ask
from policies.units import Amounts
from proxy.cli.configuration import Configuration
from proxy.cli.ledger_access import LedgerAccess, with_ledger

USD = 1_000_000_000


async def reserve(
    access: LedgerAccess, configuration: Configuration, call_id: str, nano_usd: int, **who: Any
) -> Admitted | None:
    """Reserve a call's quote against the budgets of its team; None when it was refused."""
    caller = Caller(key_id="key_1", **{"team": "red", **who})
    data = {
        "team": caller.team,
        "user": caller.user,
        "key": caller.key_id,
        "provider": "sim",
        "model": "acme/mini",
        "dialect": "messages",
        "streamed": True,
        "quote": {"nano_usd": nano_usd},
    }
    amounts = Amounts(nano_usd=nano_usd)
    asks = [
        Ask(
            budget=budget,
            subject=subject_of(budget, caller, "acme/mini"),
            held=amounts.of(budget.unit),
            bound=amounts.of(budget.unit),
        )
        for budget in configuration.rulebook.budgets.values()
        if budget.scope.matches(caller, "acme/mini", "sim")
    ]
    decision = await access.ledger.reserve(
        call_id, asks, data=json.dumps(data), admission=Admission.DECIDE
    )
    return decision if isinstance(decision, Admitted) else None


async def settle(access: LedgerAccess, admitted: Admitted, nano_usd: int) -> None:
    """Settle a call at what was metered."""
    outcome = {
        "status": 200,
        "nano_usd": nano_usd,
        "usage": [{"model": "acme/mini", "input_tokens": 20, "output_tokens": 100}],
    }
    await access.ledger.note_generation(admitted.reservation.call_id, ["gen_1"])
    await access.ledger.settle(
        admitted.reservation, Amounts(nano_usd=nano_usd), outcome=json.dumps(outcome)
    )


def some_calls(configuration: Configuration) -> None:
    """Put a settled call, one in flight and a refused one into the ledger."""

    async def work(access: LedgerAccess) -> None:
        settled = await reserve(access, configuration, "call_settled", 5 * USD, user="alice")
        assert settled is not None
        await settle(access, settled, 3 * USD)
        assert await reserve(access, configuration, "call_open", 2 * USD, user="bob")
        assert await reserve(access, configuration, "call_refused", 9 * USD, user="bob") is None

    with_ledger(configuration, work)
