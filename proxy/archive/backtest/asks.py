"""What a past call would ask of other budgets than it was checked against then."""

from __future__ import annotations

from dataclasses import dataclass

from policies.budgets import Budget, Caller
from policies.ledger.keys import FIXED, ROLLING, place
from policies.units import CALLS, INPUT_TOKENS, OUTPUT_TOKENS, TOKENS, USD
from proxy.archive.backtest.records import Check, SaidCall, SaidQuote


@dataclass(frozen=True, slots=True)
class Unpriced:
    """No price was known, and a budget says nothing about such calls."""

    budget: str


def caller_of(said: SaidCall) -> Caller:
    """Return who called."""
    return Caller(
        key_id=said.key or "",
        team=said.team or "",
        user=said.user,
        session=said.session,
        tags=tuple(said.tags.items()),
    )


def checks_of(
    said: SaidCall,
    recorded: list[Check],
    budgets: list[tuple[Budget, str]],
    now_ms: int,
) -> list[Check] | Unpriced:
    """Return what a call asks of budgets, each at its place in time.

    What was asked of a budget of the same unit then is asked now: a model whose bills are known to be
    above its list price was quoted dearer. Where no budget counted a unit, the quote tells it.
    """
    known = _asked(recorded)
    checks = []
    for budget, subject in budgets:
        if said.quote is None and budget.unit != CALLS:
            if budget.when_unpriced_nano_usd is None:
                return Unpriced(budget.name)
            held = bound = _unpriced(said, budget, known)
        else:
            held, bound = known.get(budget.unit) or _quoted(said.quote, budget.unit)
            if budget.quote == "bound":
                held = bound
        checks.append(_check(budget, subject, held, bound, now_ms))
    return checks


def _asked(recorded: list[Check]) -> dict[str, tuple[int, int]]:
    """Return by unit what was asked: the least that a budget held, and the bound."""
    known: dict[str, tuple[int, int]] = {}
    for check in recorded:
        held, bound = known.get(check.unit, (check.held, check.bound))
        known[check.unit] = (min(held, check.held), max(bound, check.bound))
    return known


def _quoted(quote: SaidQuote | None, unit: str) -> tuple[int, int]:
    """Return what a quote holds and bounds in one unit; a credit that nobody counted is zero."""
    if unit == CALLS:
        return 1, 1
    if quote is None:
        return 0, 0
    tokens = {
        INPUT_TOKENS: quote.input_tokens,
        OUTPUT_TOKENS: quote.output_tokens,
        TOKENS: quote.input_tokens + quote.output_tokens,
    }
    if unit == USD:
        return quote.nano_usd, quote.bound_nano_usd
    return tokens.get(unit, 0), tokens.get(unit, 0)


def _unpriced(said: SaidCall, budget: Budget, known: dict[str, tuple[int, int]]) -> int:
    if budget.unit == USD:
        return budget.when_unpriced_nano_usd or 0
    if budget.unit in known:
        return known[budget.unit][1]
    # A token has a byte at least. What the output was limited to is in no record of such a call.
    return said.body_bytes if budget.unit in (TOKENS, INPUT_TOKENS) else 0


def _check(budget: Budget, subject: str, held: int, bound: int, now_ms: int) -> Check:
    at = place(budget, subject, now_ms)
    return Check(
        budget.name,
        subject,
        budget.unit,
        at.counter,
        at.kind,
        at.end_ms if at.kind == FIXED else at.length_ms,
        at.bucket_ms,
        # Of a first-use window it is known when the counter was looked at.
        now_ms // at.bucket_ms if at.kind == ROLLING else 0,
        held,
        bound,
        budget.limit,
        budget.mode,
        budget.overrun_max,
        0,
    )
