"""How a call ends in the ledger: what it is charged, decided purely, then done, whatever is away."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Final, assert_never

import msgspec

from policies.errors import AmountOutOfRange
from policies.learning import Learning
from policies.money import EXACT_MAX
from policies.reservations import Operation
from policies.units import Amounts
from policies.usage import AtLeast, Exact, Unknown, UsageLine
from proxy.dialects.interface import Reading
from proxy.gateway.call import Passage, Quoted
from proxy.gateway.cost import Costing, Prices, SameModel

_encoder = msgspec.json.Encoder()

# Answers without output that say nothing about money: the provider gave up waiting, but whoever is
# behind it may have gone on, and is paid (providers.md, trap 13; peers.md, 42).
AMBIGUOUS_STATUSES: Final = frozenset({408, 499, 504, 520, 522, 524})
# The same, said inside of an answer: a code such as 504, or that somebody's time was up.
_WAITING_ENDED: Final = re.compile(r"\b(?:408|499|504|520|522|524)\b|tim(?:e|ed)[ _-]?out|deadline")
_NOTHING: Final = Amounts(nano_usd=0, calls=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What is to be done in the ledger at a call's end."""

    operation: Operation
    amounts: Amounts
    #: JSON text for the journal.
    outcome: str
    #: exact, at_least, unknown or unbilled: how well the amounts are known.
    certainty: str
    #: The answer itself said what was billed.
    cost_told: bool = False


class Settler:
    """Concludes calls by what was read of their answers."""

    def __init__(
        self, prices: Prices, learning: Learning, same_model: SameModel = str.__eq__
    ) -> None:
        self._costing = Costing(prices, same_model)
        self._learning = learning

    def unsent(self, passage: Passage, reason: str) -> Conclusion:
        """Conclude a call that never reached the provider."""
        return _release(passage, {"reason": reason})

    def unanswered(self, passage: Passage, reason: str) -> Conclusion:
        """Conclude a call that may have reached the provider, which did not answer."""
        return self._settle(passage, Reading(metered=Unknown(), error=reason))

    def refused(self, passage: Passage, status: int, error: str | None) -> Conclusion:
        """Conclude a call that the provider answered with an error status."""
        if status in AMBIGUOUS_STATUSES:
            return self._settle(passage, Reading(metered=Unknown(), error=error))
        return _release(passage, {"status": status, "error": error})

    def answered(self, passage: Passage, reading: Reading) -> Conclusion:
        """Conclude a call whose answer passed, whole or in part."""
        nothing = isinstance(reading.metered, Unknown) and not reading.produced_output
        if nothing and reading.error is not None and not passage.cut and not _gave_up(reading):
            # An error inside of an answer with status 200, and nothing else: a refusal all the same.
            return _release(passage, {"status": passage.status, "error": reading.error})
        return self._settle(passage, reading)

    def _settle(self, passage: Passage, reading: Reading) -> Conclusion:
        quoted = passage.ticket.quoted
        amounts, certainty = self._amounts(quoted, reading)
        if certainty == "exact":
            arrival = quoted.routed.arrival
            self._learning.of(arrival.caller.team, quoted.routed.model).observe(
                body_bytes=arrival.parsed.demand.body_bytes,
                input_tokens=amounts.input_tokens,
                output_tokens=amounts.output_tokens,
            )
        outcome = _outcome(passage, reading, amounts, certainty)
        return Conclusion(
            operation=Operation.SETTLE,
            amounts=amounts,
            outcome=_encoder.encode(outcome).decode(),
            certainty=certainty,
            cost_told=reading.cost is not None and not passage.cut,
        )

    def _amounts(self, quoted: Quoted, reading: Reading) -> tuple[Amounts, str]:
        """Return what a call came to, and how well that is known; what is not known is as reserved."""
        match reading.metered:
            case Unknown():
                return _reserved(quoted), "unknown"
            case AtLeast(lines):
                raised = _raised(quoted, reading.model, lines)
                amounts, certainty = self._priced(quoted, reading, raised, "at_least")
                if quoted.quote is None or quoted.quote.tool_calls:
                    # Without a bound, or with tools whose rounds are not seen, nothing says how far
                    # a cut answer went.
                    amounts = _no_less(amounts, _reserved(quoted))
                return amounts, certainty
            case Exact(lines):
                return self._priced(quoted, reading, lines, "exact")
            case unreachable:
                assert_never(unreachable)

    def _priced(
        self, quoted: Quoted, reading: Reading, lines: tuple[UsageLine, ...], certainty: str
    ) -> tuple[Amounts, str]:
        try:
            amounts = self._costing.cost(quoted, reading, lines)
        except AmountOutOfRange:
            amounts = None
        if amounts is None:
            return _with_tokens(_reserved(quoted), lines), "unpriced"
        return amounts, certainty


def _release(passage: Passage, facts: dict[str, Any]) -> Conclusion:
    facts["generation_ids"] = passage.generation_ids
    return Conclusion(
        operation=Operation.RELEASE,
        amounts=_NOTHING,
        outcome=_encoder.encode(facts).decode(),
        certainty="unbilled",
    )


def _gave_up(reading: Reading) -> bool:
    """Tell whether an error inside an answer is of those that leave open what was billed."""
    words = f"{reading.error_code or ''} {reading.error or ''}".lower()
    return _WAITING_ENDED.search(words) is not None


def _reserved(quoted: Quoted) -> Amounts:
    """Return what is held, in every unit; the most of it where budgets hold differently."""
    if quoted.quote is not None:
        at_bound = any(ask.budget.quote == "bound" for ask in quoted.asks)
        return quoted.quote.bound if at_bound else quoted.quote.amounts
    return Amounts(nano_usd=max((a.held for a in quoted.asks if a.budget.unit == "USD"), default=0))


def _no_less(amounts: Amounts, least: Amounts) -> Amounts:
    return replace(amounts, nano_usd=max(amounts.nano_usd, least.nano_usd))


def _with_tokens(amounts: Amounts, lines: tuple[UsageLine, ...]) -> Amounts:
    input_tokens = sum(line.usage.total_input_tokens for line in lines)
    output_tokens = sum(line.usage.total_output_tokens for line in lines)
    return Amounts(
        nano_usd=amounts.nano_usd,
        input_tokens=min(input_tokens, EXACT_MAX // 2),
        output_tokens=min(output_tokens, EXACT_MAX // 2),
        credits=amounts.credits,
    )


def _raised(
    quoted: Quoted, answered_model: str | None, lines: tuple[UsageLine, ...]
) -> tuple[UsageLine, ...]:
    """Return the lines with the output raised to the bound: how far a cut answer went is not known."""
    limit = quoted.quote.bound.output_tokens if quoted.quote is not None else 0
    # What an advisor or a compaction did on the side is over; the call's own model is what goes on.
    own = {None, quoted.routed.arrival.parsed.demand.model, answered_model}
    at = max((i for i, line in enumerate(lines) if line.model in own), default=len(lines) - 1)
    raised = replace(lines[at], usage=lines[at].usage.with_output_at_least(limit))
    return (*lines[:at], raised, *lines[at + 1 :])


def _outcome(
    passage: Passage, reading: Reading, amounts: Amounts, certainty: str
) -> dict[str, Any]:
    lines = reading.metered.lines if not isinstance(reading.metered, Unknown) else ()
    outcome: dict[str, Any] = {
        "status": passage.status,
        "certainty": certainty,
        "nano_usd": amounts.nano_usd,
        "usage": [{"model": line.model, **_parts(line)} for line in lines],
        "model": reading.model,
        "service_tier": reading.service_tier,
        "finish": reading.finish,
        "generation_ids": passage.generation_ids,
    }
    if reading.cost is not None:
        outcome["reported_cost"] = reading.cost.amounts
    if reading.error is not None:
        outcome["error"] = reading.error[:500]
    if passage.client_left:
        outcome["client_left"] = True
    if passage.cut:
        outcome["cut"] = True
    if passage.ticket.on_allowance:
        outcome["on_allowance"] = True
    return outcome


def _parts(line: UsageLine) -> dict[str, int]:
    usage = line.usage
    parts = {name: getattr(usage, name) for name in usage.__dataclass_fields__}
    return {name: count for name, count in parts.items() if count}
