"""What a call's span says: how much, for whom and of what, and never what was asked or answered."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from policies.decisions import Moved
from policies.reservations import Operation, State
from policies.units import Amounts
from proxy.dialects.interface import ErrorKind
from proxy.gateway.call import Refusal
from proxy.gateway.call_traces import refused_trace, settled_trace
from proxy.gateway.settle import Conclusion
from proxy.telemetry.traces import CallTrace
from tests.doubles.calls import quoted, ticket

MOVED = Moved(state=State.SETTLED, changed=True)
USAGE = {"input_tokens": 10, "cache_read_tokens": 5, "output_tokens": 20, "reasoning_tokens": 8}


def trace_of(**outcome: Any) -> CallTrace:
    call = quoted()
    arrival = replace(call.routed.arrival, traceparent="00-a-b-01")
    call = replace(call, routed=replace(call.routed, arrival=arrival))
    conclusion = Conclusion(
        operation=Operation.SETTLE,
        amounts=Amounts(nano_usd=7),
        outcome=json.dumps(outcome),
        certainty="exact",
    )
    return settled_trace(ticket(call), conclusion, MOVED, ended_ms=99)


def test_a_settled_call_says_what_it_used_and_what_it_cost() -> None:
    trace = trace_of(
        status=200, generation_ids=["gen-1", "gen-2"], usage=[{"model": None, **USAGE}]
    )

    assert trace.name.startswith("chat ")
    assert trace.traceparent == "00-a-b-01"
    assert trace.error is None
    said = trace.attributes
    assert said["gen_ai.response.id"] == "gen-1"
    assert said["gen_ai.usage.input_tokens"] == 15
    assert said["gen_ai.usage.output_tokens"] == 20
    assert said["gen_ai.usage.cache_read.input_tokens"] == 5
    assert said["gen_ai.usage.reasoning.output_tokens"] == 8
    assert said["bursar.settled.nano_usd"] == 7
    assert said["bursar.state"] == "settled"


def test_usage_of_several_models_is_added_up() -> None:
    trace = trace_of(usage=[{"model": "a", **USAGE}, {"model": "b", **USAGE}])

    assert trace.attributes["gen_ai.usage.output_tokens"] == 40


def test_what_is_not_known_is_left_out() -> None:
    trace = trace_of()

    assert "gen_ai.usage.input_tokens" not in trace.attributes
    assert "gen_ai.response.id" not in trace.attributes


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        ({"status": 500, "error": "sk-secret said no"}, "500"),
        ({"error": "the connection broke: sk-secret"}, "upstream"),
    ],
)
def test_an_error_is_one_and_tells_no_words_of_the_provider(
    outcome: dict[str, Any], kind: str
) -> None:
    trace = trace_of(**outcome)

    assert trace.attributes["error.type"] == kind
    assert trace.error is not None
    assert "secret" not in str(trace)


def test_a_refusal_says_by_what() -> None:
    refusal = Refusal(status=402, kind=ErrorKind.BUDGET_EXCEEDED, message="no room")

    trace = refused_trace(refusal, "embeddings", "call_a", 1, 2)

    assert trace.error == "budget_exceeded"
    assert trace.attributes["gen_ai.operation.name"] == "embeddings"
    assert trace.attributes["http.response.status_code"] == 402
