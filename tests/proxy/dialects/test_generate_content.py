"""generateContent: what a request may cost, and what its answer says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from policies.demand import ToolDemand
from policies.usage import AtLeast, Exact, Unknown, Usage, UsageLine
from proxy.dialects.generate_content import GenerateContent
from proxy.dialects.interface import ErrorKind, MalformedRequest, ParsedRequest, Reading

DIALECT = GenerateContent()


def parse(**fields: object) -> ParsedRequest:
    body = json.dumps({"contents": [{"parts": [{"text": "Hi"}]}]} | fields).encode()
    return DIALECT.parse(body, path_model="gemini", path_streams=True)


def test_the_path_says_what_other_dialects_have_in_the_body() -> None:
    parsed = parse(model="other")

    assert (parsed.model, parsed.stream, parsed.usage_requested) == ("gemini", True, True)
    assert parsed.demand.output_limit is None
    assert parsed.demand.choices == 1


def test_a_path_without_a_model_is_explained() -> None:
    with pytest.raises(MalformedRequest, match="project and location"):
        DIALECT.parse(b"{}", path_model=None, path_streams=False)


@pytest.mark.parametrize(
    "config",
    [
        {
            "generationConfig": {
                "maxOutputTokens": 64,
                "candidateCount": 2,
                "thinkingConfig": {"thinkingBudget": 500},
                "responseModalities": ["AUDIO"],
            }
        },
        {
            "generation_config": {
                "max_output_tokens": 64,
                "candidate_count": 2,
                "thinking_config": {"thinking_budget": 500},
                "response_modalities": ["audio"],
            }
        },
    ],
)
def test_both_spellings_are_read(config: dict[str, Any]) -> None:
    parsed = parse(**config)

    assert parsed.demand.output_limit == 64
    assert parsed.demand.choices == 2
    assert parsed.demand.output_beside_limit == 500
    assert parsed.demand.audio
    assert parsed.notes == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"generationConfig": {}, "generation_config": {}},
        {"generationConfig": {"maxOutputTokens": 1, "max_output_tokens": 2}},
        {"cachedContent": "a", "cached_content": "b"},
    ],
)
def test_a_field_in_both_spellings_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(MalformedRequest, match="are the same field"):
        parse(**fields)


@pytest.mark.parametrize("value", [0, -5, 1.5, "9"])
def test_a_limit_that_means_nothing_is_refused(value: object) -> None:
    with pytest.raises(MalformedRequest, match="maxOutputTokens"):
        parse(generationConfig={"maxOutputTokens": value})


@pytest.mark.parametrize(
    "thinking",
    [
        {},
        {"thinkingBudget": -1},
        {"thinkingLevel": "high"},
        {"thinkingBudget": 0, "thinkingLevel": "high"},
        {"thinking_budget": 0, "thinking_level": "low"},
    ],
)
def test_thinking_without_a_stated_limit_is_noted(thinking: dict[str, Any]) -> None:
    parsed = parse(generationConfig={"thinkingConfig": thinking})

    assert parsed.demand.output_beside_limit == 0
    assert parsed.notes == ("thinkingBudget",)


def test_no_thinking_is_no_note() -> None:
    assert parse(generationConfig={"thinkingConfig": {"thinkingBudget": 0}}).notes == ()


@pytest.mark.parametrize(
    ("fields", "hidden", "audio"),
    [
        ({"contents": [{"parts": [{"inlineData": {}}]}]}, ("inlineData",), False),
        ({"contents": [{"parts": [{"file_data": {}}]}]}, ("file_data",), False),
        ({"contents": [{"fileData": {"mimeType": "Audio/mp3"}}]}, ("fileData",), True),
        ({"system_instruction": {"parts": [{"inline_data": {}}]}}, ("inline_data",), False),
        ({"cachedContent": "cachedContents/1"}, ("cachedContent",), False),
        ({"contents": [{"parts": [{"text": '"inlineData" "audio/mp3"'}]}]}, (), False),
    ],
)
def test_what_the_bytes_do_not_show_is_named(
    fields: dict[str, Any], hidden: tuple[str, ...], audio: bool
) -> None:
    demand = parse(**fields).demand

    assert (demand.hidden_input, demand.audio) == (hidden, audio)


def test_a_media_type_may_escape_its_slash() -> None:
    body = rb'{"contents":[{"inlineData":{"mimeType":"audio\/mp3"}}]}'

    assert DIALECT.parse(body, path_model="m", path_streams=False).demand.audio


def test_tools_that_google_runs_are_named() -> None:
    tools = [
        {"functionDeclarations": []},
        {"googleSearch": {}, "url_context": {}},
        {"codeExecution": {}},
    ]
    demand = parse(tools=tools, serviceTier="flex").demand

    assert demand.declares_tools
    assert demand.service_tier == "flex"
    assert demand.server_tools == (
        ToolDemand(kind="google_search"),
        ToolDemand(kind="url_context"),
        ToolDemand(kind="code_execution"),
    )


@pytest.mark.parametrize(
    ("body", "clamped"),
    [
        ("{}", '{"generationConfig":{"maxOutputTokens":7}}'),
        (
            '{"generationConfig":{"maxOutputTokens":90,"topK": 1}}',
            '{"generationConfig":{"maxOutputTokens":7,"topK":1}}',
        ),
        (
            '{"generation_config":{"max_output_tokens":90}}',
            '{"generation_config":{"max_output_tokens":7}}',
        ),
        ('{"generationConfig":null}', '{"generationConfig":{"maxOutputTokens":7}}'),
        (
            '{"generation_config":null,"generationConfig":{"maxOutputTokens":90}}',
            '{"generationConfig":{"maxOutputTokens":7}}',
        ),
        (
            '{"generationConfig":null,"generation_config":{"topK":1}}',
            '{"generation_config":{"topK":1,"maxOutputTokens":7}}',
        ),
        (
            '{"generationConfig":{"maxOutputTokens":null,"max_output_tokens":90}}',
            '{"generationConfig":{"max_output_tokens":7}}',
        ),
    ],
)
def test_the_limit_is_clamped_where_it_stands(body: str, clamped: str) -> None:
    assert DIALECT.with_output_limit(body.encode(), 7) == clamped.encode()


def test_a_refusal_is_google_s() -> None:
    body = DIALECT.error_body(
        status=402, kind=ErrorKind.BUDGET_EXCEEDED, message="No.", call_id="c1"
    )

    assert json.loads(body) == {
        "error": {
            "code": 402,
            "message": "No.",
            "status": "RESOURCE_EXHAUSTED",
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "BUDGET_EXCEEDED",
                    "domain": "bursar",
                    "metadata": {"call_id": "c1"},
                }
            ],
        }
    }


def test_an_error_ends_a_stream_in_the_stream_s_own_form() -> None:
    event = DIALECT.stream_error(kind=ErrorKind.UPSTREAM_TIMEOUT, message="Late.", call_id="c1")
    element = DIALECT.stream_error(
        kind=ErrorKind.UPSTREAM_CUT,
        message="Cut.",
        call_id="c1",
        content_type="application/json; charset=UTF-8",
    )

    assert event.startswith(b'data: {"error":{"code":504')
    assert event.endswith(b"\r\n\r\n")
    assert json.loads(b'[{"candidates": []}' + element)[1]["error"]["code"] == 502


def stream(*chunks: dict[str, Any]) -> Reading:
    meter = DIALECT.meter(streamed=True, content_type="text/event-stream", strip_usage=True)
    for chunk in chunks:
        meter.feed(b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n")
    return meter.finish()


def candidate(**fields: object) -> dict[str, Any]:
    return {"responseId": "r1", "candidates": [{"content": {"parts": [{"text": "a"}]}} | fields]}


USAGE = {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 9}}
LINES = (UsageLine(usage=Usage(input_tokens=3, output_tokens=9)),)


def test_usage_with_the_finish_or_after_it_is_exact() -> None:
    finish = candidate(finishReason="STOP")

    assert stream(finish | USAGE).metered == Exact(LINES)
    assert stream(finish, USAGE).metered == Exact(LINES)
    assert stream(candidate() | USAGE).metered == AtLeast(LINES)
    assert stream(candidate() | USAGE, finish).metered == AtLeast(LINES)


def test_only_the_connection_s_end_is_a_stream_s_end() -> None:
    meter = DIALECT.meter(streamed=True, content_type="text/event-stream", strip_usage=False)
    more = {"usageMetadata": {"candidatesTokenCount": 12, "thoughtsTokenCount": 4}}

    for chunk in (candidate(finishReason="STOP") | USAGE, more):
        meter.feed(b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n")
        assert not meter.terminal

    usage = Usage(input_tokens=3, output_tokens=16, reasoning_tokens=4)
    assert meter.finish().metered == Exact((UsageLine(usage=usage),))


def test_every_candidate_has_an_end_of_its_own() -> None:
    first = candidate(finishReason="STOP", index=0)
    second = candidate(index=1)
    last = candidate(finishReason="MAX_TOKENS", index=1)

    assert isinstance(stream(second, first | USAGE).metered, AtLeast)
    assert stream(second, first | USAGE, last | USAGE).metered == Exact(LINES)


def test_tools_that_ran_are_counted() -> None:
    code = {"candidates": [{"content": {"parts": [{"executableCode": {"code": "1"}}]}}]}
    urls: dict[str, Any] = {"candidates": [{"urlContextMetadata": {"urlMetadata": [{}, {}]}}]}

    assert stream(code, urls, code, candidate(finishReason="STOP") | USAGE).tool_calls == (
        ("code_execution", 2),
        ("url_context", 2),
    )


def test_what_gateways_add_is_read_here_too() -> None:
    body = b'{"contents":[],"models":["a"],"venice_parameters":{"enable_web_search":"on"}}'
    parsed = DIALECT.parse(body, path_model="m:gold=1", path_streams=False)

    assert parsed.other_models == ("models",)
    assert parsed.unpriced
    assert parsed.demand.server_tools == (ToolDemand(kind="web_search", calls_max=1),)


def test_an_error_after_usage_makes_it_a_minimum() -> None:
    reading = stream(candidate() | USAGE, {"error": {"message": "No"}})

    assert (reading.metered, reading.error) == (AtLeast(LINES), "No")
    assert reading.error_code is None


def test_usage_that_cannot_be_believed_is_unknown() -> None:
    chunk = candidate(finishReason="STOP") | {"usageMetadata": {"promptTokenCount": "3"}}

    assert stream(chunk).metered == Unknown()


def test_the_most_searches_that_any_chunk_names_count() -> None:
    two = candidate(groundingMetadata={"webSearchQueries": ["a", "b"]})
    one = candidate(finishReason="STOP", groundingMetadata={"webSearchQueries": ["a"]})

    reading = stream(two, one | USAGE)

    assert isinstance(reading.metered, Exact)
    assert reading.metered.lines[0].usage.web_searches == 2


def test_a_body_may_be_an_array_of_chunks() -> None:
    meter = DIALECT.meter(streamed=False, content_type="application/json", strip_usage=False)
    meter.feed(json.dumps([candidate(), candidate(finishReason="STOP") | USAGE]).encode())

    reading = meter.finish()

    assert (reading.metered, reading.finish) == (Exact(LINES), "STOP")


def test_a_cut_body_is_output_of_unknown_cost() -> None:
    meter = DIALECT.meter(streamed=False, content_type="application/json", strip_usage=False)
    meter.feed(b'{"candidates": [{"content"')

    assert meter.finish() == Reading(metered=Unknown(), produced_output=True)


def test_a_chunk_that_is_no_object_tells_nothing() -> None:
    meter = DIALECT.meter(streamed=True, content_type="text/event-stream", strip_usage=False)
    meter.feed(b'data: 3\n\ndata: {"candidates": 3}\n\n')

    assert meter.finish() == Reading(metered=Unknown())
