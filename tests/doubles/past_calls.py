"""Calls under a policy, as the gateway makes them: their data says who asks, their end what it came to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from policies.budgets import Budget, Caller
from policies.decisions import Admitted, Decision
from policies.ledger.interface import Admission, Ask, Ledger
from policies.reservations import Reservation
from policies.rulebook import Rulebook, Rules, Team
from policies.units import Amounts

PROVIDER, MODEL = "venice", "small"


@dataclass(frozen=True)
class PastCall:
    """One call, and its quote."""

    id: str
    caller: Caller
    nano_usd: int
    bound_nano_usd: int
    input_tokens: int
    output_tokens: int
    model: str = MODEL

    @property
    def data(self) -> str:
        return json.dumps(
            {
                "team": self.caller.team,
                "user": self.caller.user,
                "key": self.caller.key_id,
                "session": self.caller.session,
                "tags": dict(self.caller.tags),
                "provider": PROVIDER,
                "model": self.model,
                "body_bytes": self.input_tokens,
                "quote": {
                    "nano_usd": self.nano_usd,
                    "bound_nano_usd": self.bound_nano_usd,
                    "input_tokens": self.input_tokens,
                    "output_tokens": self.output_tokens,
                    "kind": "likely" if self.nano_usd < self.bound_nano_usd else "bound",
                },
            }
        )

    def asks(self, rulebook: Rulebook) -> list[Ask]:
        rules = rulebook.rules_for(self.caller, self.model, PROVIDER)
        assert isinstance(rules, Rules)
        return [self._ask(budget, subject) for budget, subject in rules.budgets]

    def _ask(self, budget: Budget, subject: str) -> Ask:
        bound = self._amounts(self.bound_nano_usd).of(budget.unit)
        held = self._amounts(self.nano_usd).of(budget.unit)
        if budget.quote == "bound":
            held = bound
        return Ask(budget=budget, subject=subject, held=held, bound=bound)

    def _amounts(self, nano_usd: int) -> Amounts:
        return Amounts(
            nano_usd=nano_usd, input_tokens=self.input_tokens, output_tokens=self.output_tokens
        )

    async def reserve(self, ledger: Ledger, rulebook: Rulebook) -> Reservation | None:
        decision: Decision = await ledger.reserve(
            self.id, self.asks(rulebook), data=self.data, admission=Admission.DECIDE
        )
        return decision.reservation if isinstance(decision, Admitted) else None


def outcome(amounts: Amounts) -> str:
    """Return what a settlement says."""
    return json.dumps(
        {
            "nano_usd": amounts.nano_usd,
            "usage": [
                {
                    "model": None,
                    "input_tokens": amounts.input_tokens,
                    "output_tokens": amounts.output_tokens,
                }
            ],
        }
    )


def rulebook_of(budgets: Sequence[Budget], *teams: str) -> Rulebook:
    named = teams or ("red", "blue")
    return Rulebook(
        teams={team: Team(name=team) for team in named},
        budgets={budget.name: budget for budget in budgets},
    )
