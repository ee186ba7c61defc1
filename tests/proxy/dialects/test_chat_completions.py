"""Chat Completions: what a request may cost, and what its answer says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from policies.demand import ToolDemand
from policies.usage import AtLeast, Exact, Unknown, Usage, UsageLine
from proxy.dialects.chat_completions import ChatCompletions
from proxy.dialects.interface import ErrorKind, MalformedRequest, ParsedRequest, Reading

DIALECT = ChatCompletions()


def parse(**fields: object) -> ParsedRequest:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}]} | fields)
    return DIALECT.parse(body.encode(), path_model=None, path_streams=False)


def test_a_plain_request_has_no_bound_but_the_model_s() -> None:
    parsed = parse()

    assert (parsed.model, parsed.stream, parsed.usage_requested) == ("m", False, False)
    assert parsed.demand.output_limit is None
    assert parsed.demand.choices == 1
    assert parsed.demand.hidden_input == ()
    assert parsed.demand.server_tools == ()
    assert not parsed.demand.declares_tools
    assert not parsed.demand.audio
    assert parsed.demand.cache_write == "default"


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 7}, 7),
        ({"max_tokens": 9, "max_completion_tokens": 7}, 9),
        ({"max_tokens": 10**9}, 10**9),
        ({"max_tokens": None}, None),
    ],
)
def test_the_larger_limit_bounds(fields: dict[str, Any], limit: int | None) -> None:
    assert parse(**fields).demand.output_limit == limit


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_tokens", 0), ("max_tokens", -1), ("max_completion_tokens", 0.5), ("n", 1000), ("n", 0)],
)
def test_a_limit_that_means_nothing_is_refused(name: str, value: object) -> None:
    with pytest.raises(MalformedRequest) as caught:
        parse(**{name: value})
    assert caught.value.param == name


@pytest.mark.parametrize(
    ("fields", "choices"), [({"n": 3}, 3), ({"best_of": 4, "n": 2}, 4), ({"n": None}, 1)]
)
def test_every_choice_is_billed(fields: dict[str, Any], choices: int) -> None:
    assert parse(**fields).demand.choices == choices


def test_a_prediction_may_be_billed_beside_the_limit() -> None:
    prediction = {"type": "content", "content": "x" * 100}

    assert parse(prediction=prediction).demand.output_beside_limit == len(json.dumps(prediction))
    assert parse(prediction=None).demand.output_beside_limit == 0


@pytest.mark.parametrize(
    ("part", "hidden", "audio"),
    [
        ({"type": "image_url", "image_url": {"url": "https://x"}}, ("image_url",), False),
        ({"type": "file", "file": {"file_id": "f"}}, ("file", "file_id"), False),
        ({"type": "input_audio", "input_audio": {"data": ""}}, ("input_audio",), True),
        ({"type": "audio_url", "audio_url": {"url": "x"}}, ("audio_url",), True),
        ({"type": "video", "video": []}, ("video",), False),
        ({"type": "hologram"}, ("hologram",), False),
        ({"type": "text", "text": 'an "image_url": "file_id"'}, (), False),
    ],
)
def test_media_are_input_that_the_bytes_do_not_show(
    part: dict[str, Any], hidden: tuple[str, ...], audio: bool
) -> None:
    demand = parse(messages=[{"role": "user", "content": [part]}]).demand

    assert (demand.hidden_input, demand.audio) == (hidden, audio)


@pytest.mark.parametrize(
    ("fields", "hidden"),
    [
        ({"cached_content": "cachedContents/1"}, ("cached_content",)),
        ({"extra_body": {"google": {"cached_content": "c"}}}, ("cached_content",)),
        ({"google": {"cachedContent": "c"}}, ("cachedContent",)),
        ({"extra_body": {"google": {"thinking_config": {}}}}, ()),
    ],
)
def test_a_cache_is_input_that_the_bytes_do_not_show(
    fields: dict[str, Any], hidden: tuple[str, ...]
) -> None:
    assert parse(**fields).demand.hidden_input == hidden


@pytest.mark.parametrize(
    ("fields", "beside"),
    [
        ({"reasoning": {"max_tokens": 70}}, 70),
        ({"reasoning": {"effort": "high"}}, 0),
        ({"thinking": {"type": "enabled", "budget_tokens": 80}, "thinking_budget": 90}, 90),
        ({"thinking_budget": -1}, 0),
    ],
)
def test_thinking_with_a_number_of_its_own_may_lie_beside_the_limit(
    fields: dict[str, Any], beside: int
) -> None:
    assert parse(max_tokens=50, **fields).demand.output_beside_limit == beside


def test_a_prompt_that_is_kept_longer_costs_more_to_write() -> None:
    assert parse(prompt_cache_options={"ttl": "12h"}).demand.cache_write == "1h"
    assert parse(prompt_cache_options={"ttl": "30m"}).demand.cache_write == "default"
    assert parse(prompt_cache_retention="24h").demand.cache_write == "1h"


def test_a_suffix_that_nobody_knows_has_no_price() -> None:
    assert "'enable_gold'" in (parse(model="m:enable_gold=1").unpriced or "")
    assert parse(model="m").unpriced is None


@pytest.mark.parametrize("fields", [{"modalities": ["text", "audio"]}, {"audio": {"voice": "x"}}])
def test_audio_can_be_asked_for(fields: dict[str, Any]) -> None:
    assert parse(**fields).demand.audio


@pytest.mark.parametrize(
    ("fields", "tools"),
    [
        ({"tools": [{"type": "function"}, {"type": "custom"}, {"function": {}}]}, ()),
        ({"tools": [{"type": "openrouter:web_search"}]}, (("openrouter:web_search", None),)),
        ({"web_search_options": {}}, (("web_search", None),)),
        ({"plugins": [{"id": "web"}, {"max": 1}]}, (("web", None),)),
        ({"venice_parameters": {"enable_web_search": "auto"}}, (("web_search", 1),)),
        ({"venice_parameters": {"enable_web_search": "off"}}, ()),
        ({"venice_parameters": {"enable_web_scraping": True}}, (("web_scraping", None),)),
        ({"venice_parameters": {"enable_x_search": True}}, (("x_search", None),)),
        ({"model": "a/b:online"}, (("web_search", 1),)),
        ({"model": "a:enable_web_search=on&x=1"}, (("web_search", 1),)),
        ({"model": "a:enable_web_search=off"}, ()),
    ],
)
def test_tools_that_the_provider_runs_are_billed(
    fields: dict[str, Any], tools: tuple[tuple[str, int | None], ...]
) -> None:
    demand = parse(**fields).demand

    assert demand.server_tools == tuple(
        ToolDemand(kind=kind, calls_max=calls) for kind, calls in tools
    )


@pytest.mark.parametrize("fields", [{"tools": [{"type": "function"}]}, {"functions": [{}]}])
def test_tools_of_any_kind_bring_a_prompt_of_their_own(fields: dict[str, Any]) -> None:
    assert parse(**fields).demand.declares_tools


def test_what_else_decides_the_price_is_read() -> None:
    cached = [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    parsed = parse(
        service_tier="flex", user="u", models=["a"], messages=[{"role": "user", "content": cached}]
    )

    assert parsed.demand.service_tier == "flex"
    assert parsed.demand.cache_write == "1h"
    assert parsed.user == "u"
    assert parsed.other_models == ("models",)
    assert parsed.notes == ()
    assert parse(user=3).user is None


@pytest.mark.parametrize(
    ("fields", "requested", "possible"),
    [
        ({"stream": False}, False, False),
        ({"stream": True}, False, True),
        ({"stream": True, "stream_options": {"include_usage": True}}, True, True),
        ({"stream": True, "stream_options": {"include_usage": False}}, False, True),
        ({"stream": True, "stream_options": None}, False, True),
        ({"stream": True, "usage": {"include": True}}, True, False),
        ({"stream": True, "usage": {"include": False}}, False, True),
    ],
)
def test_usage_is_asked_for_where_the_client_did_not_and_may(
    fields: dict[str, Any], requested: bool, possible: bool
) -> None:
    parsed = parse(**fields)

    assert (parsed.usage_requested, parsed.can_request_usage) == (requested, possible)


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ('{"stream":true}', '{"stream":true,"stream_options":{"include_usage":true}}'),
        ('{"stream_options":null}', '{"stream_options":{"include_usage":true}}'),
        (
            '{"stream_options": {"include_usage":false, "x": null}, "x": [1 , 2]}',
            '{"stream_options":{"include_usage":true,"x":null},"x":[1 , 2]}',
        ),
    ],
)
def test_asking_for_usage_changes_nothing_else(body: str, asked: str) -> None:
    assert DIALECT.with_usage_requested(body.encode()) == asked.encode()


@pytest.mark.parametrize(
    ("body", "clamped"),
    [
        ('{"model":"m"}', '{"model":"m","max_completion_tokens":7}'),
        ('{"max_tokens":100}', '{"max_tokens":7}'),
        (
            '{"max_tokens":100,"max_completion_tokens":3}',
            '{"max_tokens":7,"max_completion_tokens":3}',
        ),
    ],
)
def test_the_limit_that_the_request_uses_is_clamped(body: str, clamped: str) -> None:
    assert DIALECT.with_output_limit(body.encode(), 7) == clamped.encode()


def test_a_refusal_is_openai_s() -> None:
    body = DIALECT.error_body(
        status=400, kind=ErrorKind.MALFORMED, message="No.", call_id="c1", param="n"
    )

    assert json.loads(body) == {
        "error": {
            "message": "No.",
            "type": "invalid_request_error",
            "param": "n",
            "code": "malformed",
        }
    }


def test_a_stream_s_error_is_raised_and_then_the_stream_is_over() -> None:
    error = DIALECT.stream_error(kind=ErrorKind.UPSTREAM_CUT, message="Cut.", call_id="c1")

    assert error.startswith(b'data: {"error":{"message":"Cut."')
    assert error.endswith(b"\n\ndata: [DONE]\n\n")


def stream(*chunks: object) -> Reading:
    meter = DIALECT.meter(streamed=True, content_type="text/event-stream", strip_usage=False)
    for chunk in chunks:
        text = chunk if isinstance(chunk, str) else json.dumps(chunk)
        meter.feed(f"data: {text}\n\n".encode())
    return meter.finish()


def content(text: str, **more: object) -> dict[str, Any]:
    return {"id": "id1", "choices": [{"delta": {"content": text}}]} | more


def exact(**usage: int) -> Exact:
    return Exact((UsageLine(usage=Usage(**usage)),))


def test_a_role_alone_is_no_output_and_a_tool_call_is() -> None:
    role = {"id": "id1", "choices": [{"delta": {"role": "assistant", "content": ""}}]}
    call = {"choices": [{"delta": {"tool_calls": [{"index": 0}]}}]}

    assert not stream(role).produced_output
    assert stream(role, call).produced_output


def test_choices_that_cannot_be_read_are_output() -> None:
    assert stream({"choices": [{"delta": "x"}]}).produced_output


def test_an_error_s_code_is_read() -> None:
    assert stream({"error": {"message": "No", "code": 504, "type": "t"}}).error_code == "504"


def test_a_pretty_null_is_a_null() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 1}
    reading = stream(content("a"), content("b", usage=None), content("c", usage=usage), "[DONE]")

    assert reading.metered == exact(input_tokens=3, output_tokens=1)


def test_content_after_usage_makes_it_a_minimum_again() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 1}
    chunk = {"id": "id1", "choices": [], "usage": usage}

    assert isinstance(stream(chunk).metered, Exact)
    assert isinstance(stream(chunk, content("more")).metered, AtLeast)


def test_usage_that_cannot_be_believed_is_unknown() -> None:
    usage = {"prompt_tokens": 3.5, "completion_tokens": 1}

    assert stream(content("a"), {"choices": [], "usage": usage}, "[DONE]").metered == Unknown()


def test_a_cost_that_is_no_amount_is_left_out() -> None:
    assert stream({"cost": 3, "usage": {"prompt_tokens": 1, "cost": "?"}}).cost is None
    assert stream({"cost": {"usd": -1}, "usage": []}).cost is None
