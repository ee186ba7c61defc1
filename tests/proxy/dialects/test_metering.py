"""Meters relay what they get and keep within their bounds."""

from __future__ import annotations

import json

import pytest

from policies.usage import Exact, Unknown, Usage, UsageLine
from proxy.dialects import bounds
from proxy.dialects.chat_completions import ChatAnswer
from proxy.dialects.generate_content import GeneratedAnswer
from proxy.dialects.metering import ArrayMeter, BodyMeter, EventMeter, is_event_stream
from proxy.dialects.usage_stripping import without_usage

USAGE_EVENT = b'data: {"choices":[],"usage":{"prompt_tokens":3}}\n\n'
LINES = (UsageLine(usage=Usage(input_tokens=3)),)


@pytest.mark.parametrize(
    ("content_type", "streamed", "events"),
    [
        ("text/event-stream", False, True),
        ("Text/Event-Stream; charset=utf-8", True, True),
        ("application/json", True, False),
        ("application/problem+json", True, False),
        ("", True, True),
        ("text/plain", True, True),
        ("", False, False),
    ],
)
def test_the_content_type_outranks_the_request(
    content_type: str, streamed: bool, events: bool
) -> None:
    assert is_event_stream(content_type, streamed=streamed) is events


def test_chunks_are_relayed_as_the_same_objects() -> None:
    chunk = bytes(bytearray(b'data: {"choices":[]}\n\ndata: {'))

    for meter in (EventMeter(ChatAnswer()), BodyMeter(ChatAnswer()), ArrayMeter(GeneratedAnswer())):
        assert meter.feed(chunk) is chunk


def test_the_id_is_known_as_soon_as_it_was_seen() -> None:
    meter = EventMeter(ChatAnswer())

    meter.feed(b'data: {"id":"id1"}\n')
    assert meter.generation_id is None

    meter.feed(b"\n")
    assert meter.generation_id == "id1"


def test_an_event_without_an_end_counts_when_it_is_whole() -> None:
    meter = EventMeter(ChatAnswer())
    meter.feed(USAGE_EVENT[:-2])

    assert meter.finish().metered == Exact(LINES)
    assert meter.finish() == meter.finish()
    assert meter.flush() == b""


def test_stripping_holds_back_one_event_at_most() -> None:
    meter = EventMeter(ChatAnswer(), without_usage)

    assert meter.feed(b"data: 1\n\ndata: {") == b"data: 1\n\n"
    assert meter.flush() == b"data: {"
    assert meter.flush() == b""


def test_usage_is_stripped_without_an_end_as_well() -> None:
    meter = EventMeter(ChatAnswer(), without_usage)
    meter.feed(USAGE_EVENT[:-1])

    assert meter.flush() == b""
    assert meter.finish().metered == Exact(LINES)


def test_an_event_too_long_to_hold_back_is_relayed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "EVENT_BYTES_MAX", 40)
    meter = EventMeter(ChatAnswer(), without_usage)

    relayed = meter.feed(b"data: " + b"x" * 30) + meter.feed(b"x" * 30 + b"\n\n" + USAGE_EVENT)

    assert relayed == b"data: " + b"x" * 60 + b"\n\n" + USAGE_EVENT
    assert meter.flush() == b""
    assert meter.finish().metered == Exact(LINES)


def test_a_body_is_read_at_its_end() -> None:
    meter = BodyMeter(ChatAnswer())
    body = b'{"id":"id1","choices":[{}],"usage":{"prompt_tokens":3}}'

    assert (meter.feed(body[:20]), meter.feed(body[20:])) == (body[:20], body[20:])
    assert meter.finish().metered == Exact(LINES)
    assert meter.finish() == meter.finish()
    assert meter.generation_id == "id1"
    assert not meter.terminal
    assert meter.flush() == b""


def test_a_body_that_is_too_long_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "BODY_BYTES_MAX", 50)
    meter = BodyMeter(ChatAnswer())
    body = json.dumps({"id": "id1", "usage": {"prompt_tokens": 3}, "x": "x" * 50}).encode()

    assert meter.feed(body) == body
    assert meter.feed(b"more") == b"more"
    reading = meter.finish()
    assert reading.metered == Unknown()
    assert reading.produced_output


def test_an_array_s_elements_are_read_as_they_come() -> None:
    meter = ArrayMeter(GeneratedAnswer())

    meter.feed(b'[{"responseId":"id1"}')
    assert (meter.generation_id, meter.terminal) == ("id1", False)

    meter.feed(b',{"candidates":[]}]')
    assert (meter.flush(), meter.terminal) == (b"", True)
    assert meter.finish().generation_ids == ("id1",)
