"""A rulebook as one document, in the form of a policy file: what the journal keeps of policies in force.

Nothing is left to defaults that may change: everything that a budget or a team means is written out.
"""

from __future__ import annotations

from typing import Any, Final

from policies.budgets import Budget, Scope
from policies.documents import rulebook_of
from policies.rulebook import Rulebook, Team
from policies.units import USD, policy_text
from policies.windows import Calendar, FirstUse, Lifetime, Reported, Rolling, Window, duration_text

#: What mistakes in a document name as their file.
SOURCE: Final = "the journalled policies"


def as_document(rulebook: Rulebook) -> dict[str, Any]:
    """Return a rulebook as values that JSON has; `from_document` makes the same rulebook of them.

    Raises:
        ValueError: a budget counts over a provider's own window; policy files name none of those.
    """
    return {
        "organization": rulebook.organization,
        "teams": {name: _team(team) for name, team in rulebook.teams.items()},
        "budgets": [_budget(budget) for budget in rulebook.budgets.values()],
    }


def from_document(document: object) -> Rulebook:
    """Return the rulebook that a document means; its version is that of the one it was made from.

    Raises:
        documents.PolicyErrors: it is no such document, or one that this program cannot use.
    """
    return rulebook_of(document, SOURCE)


def _team(team: Team) -> dict[str, Any]:
    return _given(
        models=list(team.models),
        members=sorted(team.members),
        accept=sorted(team.accept),
        hidden_input=team.hidden_input,
        background=team.background,
        default_max_output_tokens=team.default_max_output_tokens,
        tool_rounds_max=team.tool_rounds_max,
    )


def _budget(budget: Budget) -> dict[str, Any]:
    likely = budget.quote == "likely"
    return _given(
        name=budget.name,
        **_scope(budget.scope),
        each=budget.each,
        limit=policy_text(budget.unit, budget.limit),
        **_window(budget.window),
        mode=budget.mode,
        warn_at=[f"{percent}%" for percent in budget.warn_at_percent],
        when_short=budget.when_short,
        clamp_floor=budget.clamp_floor,
        when_unpriced=_dollars("reserve", budget.when_unpriced_nano_usd),
        when_ledger_down=_dollars("allow", budget.when_ledger_down_nano_usd),
        quote=budget.quote,
        overrun_max=policy_text(budget.unit, budget.overrun_max) if likely else None,
    )


def _scope(scope: Scope) -> dict[str, Any]:
    return {
        "team": scope.team,
        "users": sorted(scope.users),
        "keys": sorted(scope.key_ids),
        "models": list(scope.models),
        "providers": sorted(scope.providers),
        "tags": dict(scope.tags),
    }


def _window(window: Window) -> dict[str, str]:
    match window:
        case Calendar(period, timezone):
            return {"window": period, "timezone": timezone}
        case Lifetime():
            return {"window": "lifetime"}
        case Rolling(length_ms):
            return {"window": f"rolling {duration_text(length_ms)}"}
        case FirstUse(length_ms):
            return {"window": f"first-use {duration_text(length_ms)}"}
        case Reported():
            raise ValueError("a provider's own window cannot stand in a policy file")


def _dollars(verb: str, nano_usd: int | None) -> dict[str, str] | None:
    return None if nano_usd is None else {verb: policy_text(USD, nano_usd)}


def _given(**fields: object) -> dict[str, Any]:
    """Return the fields that say something: what is left out of a policy file matches everything."""
    return {name: value for name, value in fields.items() if value not in (None, [], {})}
