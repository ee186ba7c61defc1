"""Messages: what a request may cost, and what its answer says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from policies.demand import ToolDemand
from policies.usage import AtLeast, Exact, Unknown, Usage, UsageLine
from proxy.dialects.interface import ErrorKind, MalformedRequest, ParsedRequest, Reading
from proxy.dialects.messages import Messages

DIALECT = Messages()


def parse(path_model: str | None = None, **fields: object) -> ParsedRequest:
    body = {"model": "m", "max_tokens": 64, "messages": [{"role": "user", "content": "Hi"}]}
    text = json.dumps(body | fields).encode()
    return DIALECT.parse(text, path_model=path_model, path_streams=False)


def test_a_plain_request_is_bounded() -> None:
    parsed = parse()

    assert (parsed.model, parsed.stream, parsed.usage_requested) == ("m", False, True)
    assert parsed.demand.output_limit == 64
    assert parsed.demand.output_beside_limit == 0
    assert parsed.demand.hidden_input == ()
    assert parsed.notes == ()
    assert parsed.user is None


@pytest.mark.parametrize("limit", [None, -1, 2.5, True])
def test_a_limit_is_required(limit: object) -> None:
    with pytest.raises(MalformedRequest) as caught:
        parse(max_tokens=limit)
    assert caught.value.param == "max_tokens"


def test_no_output_at_all_may_be_asked_for() -> None:
    assert parse(max_tokens=0).demand.output_limit == 0


def test_at_vertex_the_path_names_the_model() -> None:
    assert parse("claude@1", model=None, anthropic_version="vertex-2023-10-16").model == "claude@1"


@pytest.mark.parametrize(
    ("fields", "beside"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 32}}, 0),
        ({"thinking": {"type": "enabled", "budget_tokens": 640}}, 640),
        ({"thinking": {"type": "adaptive"}}, 0),
        ({"tools": [{"type": "advisor_20260301", "max_tokens": 100, "max_uses": 3}]}, 300),
        ({"tools": [{"type": "advisor_20260301", "max_tokens": 100}]}, 100),
    ],
)
def test_what_the_limit_does_not_bound_is_added(fields: dict[str, Any], beside: int) -> None:
    assert parse(**fields).demand.output_beside_limit == beside


@pytest.mark.parametrize(
    ("fields", "hidden"),
    [
        ({"messages": [{"content": [{"type": "image", "source": {}}]}]}, ("image",)),
        ({"messages": [{"content": [{"type": "document"}]}]}, ("document",)),
        ({"system": [{"source": {"type": "file", "file_id": "f"}}]}, ("file", "file_id")),
        ({"messages": [{"content": 'an "image" and a "document"'}]}, ()),
        ({"messages": [{"role": "user", "content": [{"type": "hologram"}]}]}, ("hologram",)),
        ({"messages": [], "mcp_servers": [{}]}, ("mcp_servers",)),
        ({"container": "c", "thread": {"continue": True}}, ("container", "thread")),
    ],
)
def test_what_the_bytes_do_not_show_is_named(
    fields: dict[str, Any], hidden: tuple[str, ...]
) -> None:
    assert parse(**fields).demand.hidden_input == hidden


@pytest.mark.parametrize(
    ("block", "hidden"),
    [
        ({"type": "tool_use", "name": "grep", "input": {"type": "py", "kind": "image"}}, ()),
        ({"type": "tool_use", "name": "grep", "other": {"type": "py"}}, ("py",)),
        ({"type": "tool_result", "content": [{"type": "image"}]}, ("image",)),
        ({"type": "text", "text": "x", "input": {"type": "py"}}, ("py",)),
        ({"input": {"type": "py"}}, ("py",)),
    ],
)
def test_what_a_model_hands_to_a_tool_hides_nothing(
    block: dict[str, Any], hidden: tuple[str, ...]
) -> None:
    messages = [{"role": "user", "content": "x"}, {"role": "assistant", "content": [block]}]

    assert parse(messages=messages).demand.hidden_input == hidden


def test_tools_that_the_provider_runs_are_named_without_their_date() -> None:
    tools = [
        {"name": "f", "input_schema": {}},
        {"type": "custom", "name": "g"},
        {"type": "bash_20250124"},
        {"type": "web_search_20250305", "max_uses": 5},
        {"type": "code_execution_20250825"},
    ]
    demand = parse(
        tools=tools,
        mcp_servers=[{"url": "https://x"}],
        context_management={"edits": [{"type": "compact_20260112"}, {"type": "clear_tool_uses"}]},
    ).demand

    assert demand.declares_tools
    assert demand.server_tools == (
        ToolDemand(kind="web_search", calls_max=5),
        ToolDemand(kind="code_execution"),
        ToolDemand(kind="mcp"),
        ToolDemand(kind="compaction", calls_max=1),
    )


def test_a_fallback_is_another_model_and_an_advisor_has_one() -> None:
    assert parse(fallbacks="default").other_models == ("fallbacks",)
    assert parse(tools=[{"type": "advisor_20260301", "model": "a"}]).other_models == (
        "tools.model",
    )
    assert parse(tools=[{"name": "f", "input_schema": {"model": 1}}]).other_models == ()


def test_add_ons_are_read_here_too() -> None:
    parsed = parse(model="m:enable_x_search=on&gold=1")

    assert parsed.demand.server_tools == (ToolDemand(kind="x_search"),)
    assert parsed.unpriced


@pytest.mark.parametrize(
    ("fields", "tier"),
    [
        ({"service_tier": "auto"}, "auto"),
        ({"speed": "fast", "service_tier": "auto"}, "fast"),
        ({"speed": "standard"}, None),
    ],
)
def test_the_dearer_of_tier_and_speed_is_named(fields: dict[str, Any], tier: str | None) -> None:
    assert parse(**fields).demand.service_tier == tier


def test_what_else_is_in_a_request_is_read() -> None:
    cache = {"type": "ephemeral", "ttl": "1h"}
    parsed = parse(
        stream=True,
        system=[{"type": "text", "text": "x", "cache_control": cache}],
        inference_geo="us",
        fallbacks="default",
        metadata={"user_id": "u"},
    )

    assert parsed.stream
    assert parsed.demand.cache_write == "1h"
    assert parsed.notes == ("inference_geo",)
    assert parsed.other_models == ("fallbacks",)
    assert parsed.user == "u"


def test_the_limit_is_clamped() -> None:
    assert DIALECT.with_output_limit(b'{"max_tokens":90,"x":1}', 7) == b'{"max_tokens":7,"x":1}'


def test_a_refusal_is_a_billing_error() -> None:
    body = DIALECT.error_body(
        status=402, kind=ErrorKind.BUDGET_EXCEEDED, message="No.", call_id="c1"
    )

    assert json.loads(body) == {
        "type": "error",
        "error": {"type": "billing_error", "message": "No."},
        "request_id": "c1",
    }


def test_a_stream_s_error_is_an_event_of_its_own() -> None:
    error = DIALECT.stream_error(kind=ErrorKind.UPSTREAM_CUT, message="Cut.", call_id="c1")

    assert error.startswith(b'event: error\ndata: {"type":"error","error":{"type":"api_error"')
    assert error.endswith(b"\n\n")


def stream(*events: dict[str, Any]) -> Reading:
    meter = DIALECT.meter(streamed=True, content_type="text/event-stream", strip_usage=True)
    for event in events:
        meter.feed(b"data: " + json.dumps(event).encode() + b"\n\n")
    return meter.finish()


def start(**usage: object) -> dict[str, Any]:
    return {"type": "message_start", "message": {"id": "msg_1", "usage": usage}}


def delta(stop_reason: str | None = "end_turn", **usage: object) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": stop_reason}, "usage": usage}


STOP = {"type": "message_stop"}
LINES = (UsageLine(usage=Usage(input_tokens=3, output_tokens=9)),)


def test_the_reason_for_the_stop_makes_usage_final() -> None:
    assert stream(start(input_tokens=3), delta(output_tokens=9)).metered == Exact(LINES)
    assert stream(start(input_tokens=3), delta(None, output_tokens=9)).metered == AtLeast(LINES)


def test_a_stop_without_counted_output_is_not_exact() -> None:
    reading = stream(start(input_tokens=3, output_tokens=9), STOP)

    assert reading.metered == AtLeast(LINES)


def test_usage_that_cannot_be_believed_makes_the_former_a_minimum() -> None:
    reading = stream(start(input_tokens=3, output_tokens=9), delta(output_tokens=-9), STOP)

    assert reading.metered == AtLeast(LINES)


def test_calls_of_other_tools_are_counted() -> None:
    used = {"web_search_requests": 1, "web_fetch_requests": 2, "code_execution_requests": 3}
    reading = stream(
        start(input_tokens=3, server_tool_use={"web_fetch_requests": 1}),
        delta(output_tokens=9, server_tool_use=used),
    )

    assert reading.tool_calls == (("code_execution", 3), ("web_fetch", 2))


def test_an_error_s_type_is_its_code() -> None:
    event = {"type": "error", "error": {"type": "overloaded_error", "message": "No"}}

    assert stream(event).error_code == "overloaded_error"


def test_an_error_without_a_type_is_one_all_the_same() -> None:
    assert stream({"error": {"message": "No"}}).error == "No"


@pytest.mark.parametrize(
    "event",
    [
        {"type": "message_start", "message": 3},
        {"type": "message_delta", "delta": 3},
        {"type": "error"},
        {"type": "message_other"},
    ],
)
def test_events_of_another_shape_tell_nothing(event: dict[str, Any]) -> None:
    assert stream(event).metered == Unknown()


def test_a_cost_in_the_usage_is_reported() -> None:
    reading = stream(start(input_tokens=3), delta(output_tokens=9, cost=0.25))

    assert reading.cost
    assert reading.cost.amounts == {"USD": "0.25"}


def body(text: bytes) -> Reading:
    meter = DIALECT.meter(streamed=False, content_type="application/json", strip_usage=False)
    meter.feed(text)
    return meter.finish()


def test_a_cut_body_still_names_its_id() -> None:
    assert body(b'{"id":"msg_1","type":"mess').generation_ids == ("msg_1",)


def test_a_body_s_usage_without_output_is_a_minimum() -> None:
    assert isinstance(body(b'{"usage":{"input_tokens":3}}').metered, AtLeast)
