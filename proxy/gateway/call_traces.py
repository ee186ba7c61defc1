"""What a call's span says: the GenAI conventions' names, and the money beside them."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import msgspec

from policies.decisions import Moved
from policies.usage import Usage
from proxy.gateway.call import Refusal, Ticket
from proxy.gateway.settle import Conclusion
from proxy.telemetry.traces import CallTrace

# The conventions' names for providers; others are called as they are configured.
_PROVIDERS: Final = {
    "openai": "openai",
    "anthropic": "anthropic",
    "google": "gcp.gemini",
}
_OPERATIONS: Final = {"generate_content": "generate_content", "embeddings": "embeddings"}
_CHAT: Final = "chat"
_FAILED: Final = 400


def settled_trace(ticket: Ticket, conclusion: Conclusion, moved: Moved, ended_ms: int) -> CallTrace:
    """Return the span of a call whose end is in the ledger."""
    routed = ticket.quoted.routed
    arrival = routed.arrival
    operation = _OPERATIONS.get(arrival.dialect.name, _CHAT)
    outcome: dict[str, Any] = msgspec.json.decode(conclusion.outcome)
    attributes: dict[str, str | int | bool | tuple[str, ...]] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": _PROVIDERS.get(routed.provider.kind, routed.provider.name),
        "gen_ai.request.model": routed.model,
        "gen_ai.request.stream": arrival.parsed.stream,
        "bursar.call.id": arrival.call_id,
        "bursar.team": arrival.caller.team,
        "bursar.key.id": arrival.caller.key_id,
        "bursar.provider": routed.provider.name,
        "bursar.state": moved.state.value,
        "bursar.usage.certainty": conclusion.certainty,
        "bursar.settled.nano_usd": conclusion.amounts.nano_usd,
        "bursar.budgets": tuple(ask.budget.name for ask in ticket.quoted.asks),
    }
    quote = ticket.quoted.quote
    if quote is not None:
        attributes["bursar.quoted.nano_usd"] = quote.amounts.nano_usd
        attributes["gen_ai.request.max_tokens"] = quote.output_limit
    if generation_ids := outcome.get("generation_ids"):
        attributes["gen_ai.response.id"] = str(generation_ids[0])
    attributes |= _usage(outcome)
    error = outcome.get("error")
    status = outcome.get("status")
    if isinstance(status, int):
        attributes["http.response.status_code"] = status
    if error is None and isinstance(status, int) and status >= _FAILED:
        error = f"status {status}"
    if error is not None:
        attributes["error.type"] = str(status or "upstream")
    return CallTrace(
        name=f"{operation} {routed.model}",
        began_ms=arrival.at_ms,
        ended_ms=ended_ms,
        traceparent=arrival.traceparent,
        attributes=attributes,
        error=None if error is None else "the provider did not answer as it should",
    )


def refused_trace(
    refusal: Refusal, dialect: str, call_id: str, began_ms: int, ended_ms: int
) -> CallTrace:
    """Return the span of a call that was not sent."""
    operation = _OPERATIONS.get(dialect, _CHAT)
    attributes: dict[str, str | int | bool | tuple[str, ...]] = {
        "gen_ai.operation.name": operation,
        "bursar.call.id": call_id,
        "bursar.state": "refused",
        "http.response.status_code": refusal.status,
        "error.type": refusal.kind.value,
    }
    if refusal.standing is not None:
        attributes["bursar.refused_by"] = refusal.standing.budget
    return CallTrace(
        name=operation,
        began_ms=began_ms,
        ended_ms=ended_ms,
        attributes=attributes,
        error=refusal.kind.value,
    )


def _usage(outcome: dict[str, Any]) -> dict[str, int]:
    parts: Counter[str] = Counter()
    for line in outcome.get("usage") or ():
        parts.update({part: count for part, count in line.items() if isinstance(count, int)})
    if not parts:
        return {}
    usage = Usage(**parts)
    return {
        # The conventions count what was read from a cache, and reasoning, into the sums.
        "gen_ai.usage.input_tokens": usage.total_input_tokens,
        "gen_ai.usage.output_tokens": usage.total_output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
    }
