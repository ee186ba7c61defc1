"""What a caller's own key has left, and until when: `GET /v1/budget`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from policies.budgets import Budget, Caller, subject_of
from policies.grants import Raised, as_written
from policies.ledger.interface import Ask, Ledger
from policies.rulebook import Rulebook
from proxy.standing_rows import standing_row


async def own_budgets(
    caller: Caller, rulebook: Rulebook, ledger: Ledger, raised: Raised = as_written
) -> dict[str, Any]:
    """Return the standing of every budget that can count this caller's calls.

    Args:
        caller: whose key it is.
        rulebook: the policies.
        ledger: counts.
        raised: puts on top of a limit what is granted now.

    Raises:
        LedgerUnavailable: the ledger did not answer.
    """
    pairs = [
        (budget, subject)
        for budget in rulebook.budgets.values()
        if budget.mode != "shadow" and _counts(budget, caller)
        for subject in await _subjects(budget, caller, ledger)
    ]
    standings = await ledger.standings(
        [
            Ask(budget=raised(budget, subject), subject=subject, held=0, bound=0)
            for budget, subject in pairs
        ]
    )
    return {
        "team": caller.team,
        "user": caller.user,
        "key_id": caller.key_id,
        "items": [
            {
                **standing_row(standing, granted=standing.limit - budget.limit),
                "models": list(budget.scope.models) or None,
            }
            for (budget, _), standing in zip(pairs, standings, strict=True)
        ],
    }


def _counts(budget: Budget, caller: Caller) -> bool:
    """Tell whether a budget counts calls of this caller to some model at some provider."""
    anywhere = replace(budget.scope, models=(), providers=frozenset())
    return anywhere.matches(caller, "", "")


async def _subjects(budget: Budget, caller: Caller, ledger: Ledger) -> list[str]:
    if budget.each == "model":
        return await ledger.subjects(budget)
    return [subject_of(budget, caller, "")]
