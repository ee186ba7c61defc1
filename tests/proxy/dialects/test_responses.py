"""Responses: what a request may cost, and what its answer says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from policies.demand import ToolDemand
from policies.usage import AtLeast, Exact, Unknown
from proxy.dialects.interface import ErrorKind, MalformedRequest, ParsedRequest, Reading
from proxy.dialects.responses import Responses

DIALECT = Responses()


def parse(**fields: object) -> ParsedRequest:
    body = json.dumps({"model": "m", "input": "Hi"} | fields).encode()
    return DIALECT.parse(body, path_model=None, path_streams=False)


def test_a_plain_request_has_no_bound_but_the_model_s() -> None:
    parsed = parse()

    assert (parsed.model, parsed.stream, parsed.usage_requested) == ("m", False, True)
    assert not parsed.can_request_usage
    assert parsed.demand.output_limit is None
    assert parsed.demand.hidden_input == ()
    assert not parsed.demand.background


def test_what_decides_the_price_is_read() -> None:
    parsed = parse(
        stream=True,
        background=True,
        max_output_tokens=64,
        service_tier="flex",
        previous_response_id="resp_0",
        conversation={"id": "conv"},
        prompt={"id": "pmpt"},
        user="u",
        context_management=[{"type": "compaction", "compact_threshold": 9}],
    )

    assert parsed.stream
    assert parsed.previous_response_id == "resp_0"
    assert parsed.user == "u"
    assert parsed.demand.background
    assert parsed.demand.output_limit == 64
    assert parsed.demand.service_tier == "flex"
    assert parsed.demand.hidden_input == ("conversation", "previous_response_id", "prompt")
    assert parsed.demand.server_tools == (ToolDemand(kind="compaction", calls_max=1),)


@pytest.mark.parametrize(
    ("item", "hidden"),
    [
        ({"type": "input_image", "image_url": "https://x"}, ("image_url", "input_image")),
        ({"type": "input_file", "file_id": "f"}, ("file_id", "input_file")),
        ({"type": "item_reference", "id": "msg_1"}, ("item_reference",)),
        ({"type": "compaction", "encrypted_content": "x"}, ("compaction",)),
        ({"type": "hologram\u00e9"}, ("type",)),
        ({"type": "input_text", "text": '{"file_id": 1}'}, ()),
    ],
)
def test_references_are_input_that_the_bytes_do_not_show(
    item: dict[str, Any], hidden: tuple[str, ...]
) -> None:
    assert parse(input=[item]).demand.hidden_input == hidden


def test_sound_is_priced_apart() -> None:
    assert parse(input=[{"type": "input_audio", "data": ""}]).demand.audio


def test_tools_share_the_limit_on_their_calls() -> None:
    tools = [{"type": "function"}, {"type": "web_search"}, {"type": "mcp"}, {"type": "local_shell"}]
    demand = parse(tools=tools, max_tool_calls=3, context_management=[{"type": "other"}]).demand

    assert demand.declares_tools
    assert demand.server_tools == (
        ToolDemand(kind="web_search", calls_max=3),
        ToolDemand(kind="mcp", calls_max=3),
    )


@pytest.mark.parametrize(
    ("tool", "hidden"),
    [
        ({"type": "code_interpreter", "container": {"type": "auto"}}, ()),
        ({"type": "code_interpreter", "container": "cntr_1"}, ("container",)),
        ({"type": "code_interpreter", "container": {"file_ids": ["f"]}}, ("container",)),
        ({"type": "file_search", "vector_store_ids": ["vs"]}, ("vector_store_ids",)),
        ({"type": "mcp"}, ("mcp",)),
    ],
)
def test_tools_bring_input_along_even_where_none_may_run(
    tool: dict[str, Any], hidden: tuple[str, ...]
) -> None:
    demand = parse(tools=[tool], max_tool_calls=0).demand

    assert demand.declares_tools
    assert demand.hidden_input == hidden
    assert [each.calls_max for each in demand.server_tools] == [0]


def test_what_gateways_add_is_read_here_too() -> None:
    parsed = parse(
        model="m:gold=1",
        venice_parameters={"enable_web_search": "on"},
        models=["a"],
        reasoning={"max_tokens": 70},
        prompt_cache_options={"ttl": "12h"},
    )

    assert parsed.demand.server_tools == (ToolDemand(kind="web_search", calls_max=1),)
    assert parsed.other_models == ("models",)
    assert parsed.unpriced
    assert parsed.demand.output_beside_limit == 70
    assert parsed.demand.cache_write == "1h"
    assert parse(reasoning={"effort": "low"}).demand.output_beside_limit == 0


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","max_output_tokens":0}',
        b'{"model":"m","max_output_tokens":1,"max_output_tokens":9}',
        b'{"model":"m","previous_response_id":3}',
    ],
)
def test_what_decides_the_price_is_given_clearly(body: bytes) -> None:
    with pytest.raises(MalformedRequest):
        DIALECT.parse(body, path_model=None, path_streams=False)


def test_the_limit_is_clamped_or_set() -> None:
    assert DIALECT.with_output_limit(b'{"max_output_tokens":90}', 7) == b'{"max_output_tokens":7}'
    assert DIALECT.with_output_limit(b"{}", 7) == b'{"max_output_tokens":7}'


def test_a_budget_s_end_inside_of_a_stream_stops_codex() -> None:
    event = DIALECT.stream_error(kind=ErrorKind.BUDGET_EXCEEDED, message="No.", call_id="c1")

    assert event.startswith(b"event: response.failed\ndata: ")
    response = json.loads(event.partition(b"data: ")[2])["response"]
    assert response["status"] == "failed"
    assert response["error"] == {"code": "insufficient_quota", "message": "No."}


def test_other_errors_inside_of_a_stream_have_their_own_code() -> None:
    event = DIALECT.stream_error(kind=ErrorKind.UPSTREAM_CUT, message="Cut.", call_id="c1")

    assert b'"code":"upstream_cut"' in event


def stream(*events: dict[str, Any]) -> Reading:
    meter = DIALECT.meter(streamed=True, content_type="text/event-stream", strip_usage=True)
    for event in events:
        meter.feed(b"data: " + json.dumps(event).encode() + b"\n\n")
    return meter.finish()


def test_a_terminal_event_may_leave_out_the_status() -> None:
    event = {"type": "response.completed", "response": {"usage": {"input_tokens": 3}}}

    assert isinstance(stream(event).metered, Exact)


def test_usage_before_the_end_is_a_minimum() -> None:
    response = {"status": "in_progress", "usage": {"input_tokens": 3}}

    reading = stream({"type": "response.in_progress", "response": response})

    assert isinstance(reading.metered, AtLeast)


def test_an_error_may_be_nested() -> None:
    assert stream({"type": "error", "error": {"message": "No"}}).error == "No"


def test_an_error_s_code_may_stand_beside_it() -> None:
    assert stream({"type": "error", "code": "timeout", "message": "No"}).error_code == "timeout"


def test_calls_of_tools_are_counted_in_the_output() -> None:
    kinds = ["file_search_call", "mcp_call", "web_search_call", "file_search_call", "message"]
    response = {
        "status": "completed",
        "output": [{"type": kind, "text": '"type":"mcp_call"'} for kind in kinds],
        "usage": {"input_tokens": 3},
    }

    reading = stream({"type": "response.completed", "response": response})

    assert reading.tool_calls == (("file_search", 2), ("mcp", 1))


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.completed", "response": []},
        {"type": 3, "response": {"usage": "x"}},
        {"type": "other", "error": {"message": "No"}},
    ],
)
def test_events_of_another_shape_tell_nothing(event: dict[str, Any]) -> None:
    assert stream(event).metered == Unknown()


@pytest.mark.parametrize(
    ("tools", "model"),
    [
        ([{"type": "image_generation", "model": "draws-1"}], "draws-1"),
        ([{"type": "function"}, {"type": "image_generation"}], "image_generation"),
        ([], "image_generation"),
        (None, "image_generation"),
    ],
)
def test_pictures_are_priced_by_the_model_that_draws(tools: object, model: str) -> None:
    response = {
        "status": "completed",
        "tools": tools,
        "usage": {"input_tokens": 3, "cost": 0.5},
        "tool_usage": {"image_gen": {"output_tokens": 9}},
    }

    reading = stream({"type": "response.completed", "response": response})

    assert isinstance(reading.metered, Exact)
    assert [line.model for line in reading.metered.lines] == [None, model]
    assert reading.cost
    assert reading.cost.amounts == {"USD": "0.5"}


def test_a_cut_body_still_names_its_id() -> None:
    meter = DIALECT.meter(streamed=False, content_type="application/json", strip_usage=False)
    meter.feed(b'{"id":"resp_1","object":"respon')

    assert meter.finish().generation_ids == ("resp_1",)
