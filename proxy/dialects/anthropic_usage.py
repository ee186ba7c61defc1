"""Usage as Anthropic counts it: parts apart, and iterations that may be another model's."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from policies.usage import Usage, UsageLine
from proxy.dialects.counts import ABSENT, Tokens, name_of, split_write

# Iterations whose tokens the message's own usage leaves out (protocols.md, A1).
_OUTSIDE: Final = frozenset({"advisor_message", "compaction"})

#: Tokens by what they were; see `numbers_of`.
Numbers = dict[str, int]


class _CacheCreation(msgspec.Struct):
    ephemeral_5m_input_tokens: Tokens = None
    ephemeral_1h_input_tokens: Tokens = None


class _OutputDetails(msgspec.Struct):
    thinking_tokens: Tokens = None


class _ServerToolUse(msgspec.Struct):
    web_search_requests: Tokens = None
    web_fetch_requests: Tokens = None
    code_execution_requests: Tokens = None


class Iteration(msgspec.Struct):
    """Usage of a message, or of one iteration of it."""

    type: Any = None
    #: Whose price an iteration has; None for the message's own model.
    model: Any = None
    input_tokens: Tokens = None
    cache_creation_input_tokens: Tokens = None
    cache_read_input_tokens: Tokens = None
    cache_creation: _CacheCreation | None = None
    output_tokens: Tokens = None
    output_tokens_details: _OutputDetails | None = None
    server_tool_use: _ServerToolUse | None = None


class MessageUsage(Iteration):
    """The member `usage` of a message or of an event."""

    iterations: list[Iteration] | None = None
    service_tier: Any = None
    speed: Any = None
    cost: msgspec.Raw = ABSENT


def numbers_of(counted: Iteration) -> Numbers:
    """Return what usage says, with zeros for what it leaves out."""
    creation = counted.cache_creation or _CacheCreation()
    details = counted.output_tokens_details or _OutputDetails()
    tools = counted.server_tool_use or _ServerToolUse()
    return {
        "input": counted.input_tokens or 0,
        "read": counted.cache_read_input_tokens or 0,
        "written": counted.cache_creation_input_tokens or 0,
        "written_5m": creation.ephemeral_5m_input_tokens or 0,
        "written_1h": creation.ephemeral_1h_input_tokens or 0,
        "output": counted.output_tokens or 0,
        "thinking": details.thinking_tokens or 0,
        "searches": tools.web_search_requests or 0,
    }


def tool_calls_of(counted: Iteration) -> dict[str, int]:
    """Return the calls of the provider's tools besides searches."""
    tools = counted.server_tool_use or _ServerToolUse()
    return {
        "web_fetch": tools.web_fetch_requests or 0,
        "code_execution": tools.code_execution_requests or 0,
    }


def _usage(numbers: Numbers) -> Usage:
    written_5m, written_1h = split_write(
        numbers["written"], numbers["written_1h"], numbers["written_5m"]
    )
    return Usage(
        input_tokens=numbers["input"],
        cache_read_tokens=numbers["read"],
        cache_write_5m_tokens=written_5m,
        cache_write_1h_tokens=written_1h,
        output_tokens=numbers["output"],
        reasoning_tokens=min(numbers["thinking"], numbers["output"]),
        web_searches=numbers["searches"],
    )


def lines_of(top: Numbers, iterations: list[Iteration]) -> tuple[UsageLine, ...]:
    """Return a line for each iteration, and one for what the message counts beyond them.

    Without iterations that is all of it. With them it is searches, and nothing else where servers
    keep to the documents: the entries inside of the message add up to its own numbers.
    """
    lines = []
    inside = dict.fromkeys(top, 0)
    for iteration in iterations:
        numbers = numbers_of(iteration)
        if top["written_1h"] and iteration.cache_creation is None:
            # Entries need not say for how long they wrote; the message does, and long is dearer.
            numbers["written_1h"] = numbers["written"]
        if iteration.type not in _OUTSIDE:
            inside = {name: inside[name] + number for name, number in numbers.items()}
        lines.append(UsageLine(model=name_of(iteration.model), usage=_usage(numbers)))
    beyond = {name: max(0, number - inside[name]) for name, number in top.items()}
    if not beyond["written"] and inside["written"]:
        beyond |= {"written_5m": 0, "written_1h": 0}
    if any(beyond.values()) or not lines:
        lines.insert(0, UsageLine(usage=_usage(beyond)))
    return tuple(lines)
