"""Goal: metering depends on an answer's bytes alone, not on how they are cut, and never fails."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any, Final

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from policies.usage import Unknown
from proxy.dialects.interface import DialectName, MalformedRequest, Meter, Reading
from proxy.dialects.registry import DIALECTS
from tests.recordings.catalogue import BY_NAME, RECORDINGS, Recording

recordings: Final = st.sampled_from(RECORDINGS)
dialects: Final = st.sampled_from(sorted(DIALECTS))


@st.composite
def cuts(draw: st.DrawFn, answer: bytes) -> list[bytes]:
    """Draw a way to cut an answer into chunks, single bytes included."""
    points = draw(st.lists(st.integers(0, len(answer)), max_size=12))
    bounds = [0, *sorted(points), len(answer)]
    return [answer[start:end] for start, end in pairwise(bounds)]


def passed(meter: Meter, chunks: list[bytes]) -> tuple[bytes, Reading]:
    """Let chunks pass; return what was relayed and what was read."""
    relayed = b"".join([meter.feed(chunk) for chunk in chunks]) + meter.flush()
    return relayed, meter.finish()


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_a_recording_is_read_as_it_truly_is(recording: Recording) -> None:
    meter = recording.meter()

    relayed, reading = passed(meter, [recording.answer])

    assert relayed == recording.answer
    assert reading == recording.reading()
    assert meter.terminal == recording.truth.get("terminal", False)


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
@pytest.mark.parametrize("strip_usage", [False, True])
def test_byte_by_byte_is_read_like_all_at_once(recording: Recording, strip_usage: bool) -> None:
    whole = passed(recording.meter(strip_usage=strip_usage), [recording.answer])
    bytewise = [bytes([byte]) for byte in recording.answer]

    assert passed(recording.meter(strip_usage=strip_usage), bytewise) == whole


@given(st.data(), recordings, st.booleans())
def test_any_chunking_gives_the_same_reading_and_the_same_bytes(
    data: st.DataObject, recording: Recording, strip_usage: bool
) -> None:
    whole = passed(recording.meter(strip_usage=strip_usage), [recording.answer])
    chunks = data.draw(cuts(recording.answer))

    assert passed(recording.meter(strip_usage=strip_usage), chunks) == whole


@given(st.data(), recordings)
def test_a_cut_is_never_read_as_more_than_is_known(
    data: st.DataObject, recording: Recording
) -> None:
    end = data.draw(st.integers(0, len(recording.answer)))
    meter = recording.meter()

    _, reading = passed(meter, [recording.answer[:end]])

    whole = recording.reading()
    # Exact before the end is fine only where it is the truth.
    assert not _is_exact(reading) or reading.metered == whole.metered


def _is_exact(reading: Reading) -> bool:
    return type(reading.metered).__name__ == "Exact"


@given(dialects, st.booleans(), st.sampled_from(["", "text/event-stream", "application/json"]))
def test_nothing_is_known_about_an_empty_answer(
    name: DialectName, streamed: bool, content_type: str
) -> None:
    meter = DIALECTS[name].meter(streamed=streamed, content_type=content_type, strip_usage=True)

    relayed, reading = passed(meter, [b""])

    assert relayed == b""
    assert reading == Reading(metered=Unknown())


@given(
    dialects,
    st.booleans(),
    st.sampled_from(["text/event-stream", "application/json"]),
    st.lists(
        st.one_of(st.binary(), st.sampled_from([b"data: ", b"\n\n", b'"usage"', b"{", b"[", b"]"]))
    ),
)
def test_random_bytes_are_relayed_and_unknown(
    name: DialectName, streamed: bool, content_type: str, chunks: list[bytes]
) -> None:
    meter = DIALECTS[name].meter(streamed=streamed, content_type=content_type, strip_usage=False)

    relayed, reading = passed(meter, chunks)

    assert relayed == b"".join(chunks)
    assert reading.metered == Unknown()


@given(st.data(), recordings, st.binary(min_size=1, max_size=8))
def test_damaged_answers_never_raise(
    data: st.DataObject, recording: Recording, damage: bytes
) -> None:
    at = data.draw(st.integers(0, len(recording.answer)))
    answer = recording.answer[:at] + damage + recording.answer[at + len(damage) :]

    relayed, _ = passed(recording.meter(), [answer])

    assert relayed == answer


json_values: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
NAMES: Final = sorted(
    {
        "candidates",
        "candidatesTokenCount",
        "cache_creation",
        "choices",
        "completion_tokens",
        "content",
        "cost",
        "delta",
        "error",
        "finish_reason",
        "id",
        "input_tokens",
        "input_tokens_details",
        "iterations",
        "message",
        "model",
        "output",
        "output_tokens",
        "prompt_tokens",
        "prompt_tokens_details",
        "promptFeedback",
        "promptTokenCount",
        "promptTokensDetails",
        "response",
        "responseId",
        "status",
        "stop_reason",
        "tool_usage",
        "type",
        "usage",
        "usageMetadata",
        "web_search",
    }
)
likely_objects: Final = st.recursive(
    json_values
    | st.sampled_from(["message_start", "message_delta", "error", "response.completed"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=8)
    ),
    max_leaves=20,
)


@given(dialects, st.booleans(), st.lists(likely_objects, max_size=4))
def test_json_of_any_shape_is_read_without_failing(
    name: DialectName, streamed: bool, objects: list[Any]
) -> None:
    content_type = "text/event-stream" if streamed else "application/json"
    meter = DIALECTS[name].meter(streamed=streamed, content_type=content_type, strip_usage=True)

    for item in objects:
        text = json.dumps(item).encode()
        meter.feed(b"data: " + text + b"\n\n" if streamed else text)
    meter.flush()

    assert meter.finish() == meter.finish()


texts: Final = st.text(max_size=8) | st.sampled_from(
    ['"usage":null', "usage", ',"usage":{}', "é👋"]
)
chat_chunks: Final = st.fixed_dictionaries(
    {
        "id": st.just("chatcmpl-1"),
        "choices": st.just([])
        | st.lists(
            st.fixed_dictionaries(
                {"index": st.just(0), "delta": st.fixed_dictionaries({"content": texts})},
                optional={"usage": st.none() | st.just({"prompt_tokens": 1})},
            ),
            min_size=1,
            max_size=2,
        ),
    },
    optional={"obfuscation": texts, "x_groq": st.just({"usage": {"prompt_tokens": 1}})},
)
usages: Final = st.none() | st.just({"prompt_tokens": 3, "completion_tokens": 1})


def written(chunk: dict[str, Any], style: tuple[str, str], line_end: str) -> str:
    """Write a chunk as an event."""
    text = json.dumps(chunk, separators=style, ensure_ascii=False)
    return f"data: {text}{line_end}{line_end}"


@given(
    st.data(),
    st.lists(st.tuples(chat_chunks, usages, st.integers(0, 4)), max_size=6),
    st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " : ")]),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_stripping_leaves_the_stream_that_was_not_asked_for_usage(
    data: st.DataObject,
    chunks: list[tuple[dict[str, Any], dict[str, int] | None, int]],
    style: tuple[str, str],
    line_end: str,
) -> None:
    asked = unasked = f": hello{line_end}{line_end}"
    for chunk, usage, place in chunks:
        members = list(chunk.items())
        members.insert(place, ("usage", usage))
        asked += written(dict(members), style, line_end)
        unasked += written(chunk, style, line_end) if chunk["choices"] or usage is None else ""
    end = data.draw(st.sampled_from([f"data: [DONE]{line_end}{line_end}", 'data: {"id":"chat']))
    meter = DIALECTS["chat_completions"].meter(
        streamed=True, content_type="text/event-stream", strip_usage=True
    )

    relayed, _ = passed(meter, data.draw(cuts((asked + end).encode())))

    assert relayed == (unasked + end).encode()


REQUEST_NAMES: Final = sorted(
    {
        "audio",
        "best_of",
        "cachedContent",
        "candidateCount",
        "contents",
        "generation_config",
        "generationConfig",
        "input",
        "max_completion_tokens",
        "max_output_tokens",
        "max_tokens",
        "maxOutputTokens",
        "messages",
        "modalities",
        "model",
        "n",
        "plugins",
        "service_tier",
        "stream",
        "stream_options",
        "thinking",
        "tools",
        "venice_parameters",
    }
)


@given(
    dialects,
    st.dictionaries(st.sampled_from(REQUEST_NAMES), likely_objects, max_size=8) | json_values,
    st.sampled_from([None, "m"]),
)
def test_a_request_of_any_shape_is_understood_or_refused(
    name: DialectName, body: object, path_model: str | None
) -> None:
    text = json.dumps(body).encode()
    try:
        parsed = DIALECTS[name].parse(text, path_model=path_model, path_streams=False)
    except MalformedRequest as error:
        event(f"refused: {error.param}")
        return
    assert parsed.demand.body_bytes == len(text)
    assert parsed.demand.choices >= 1


@given(dialects, st.binary())
def test_bytes_that_are_no_json_are_refused(name: DialectName, body: bytes) -> None:
    with pytest.raises(MalformedRequest):
        DIALECTS[name].parse(b"\x00" + body, path_model="m", path_streams=True)


def disguised(name: str, positions: set[int]) -> str:
    """Write a key with some of its letters as escapes."""
    return "".join(
        f"\\u{ord(letter):04x}" if index in positions else letter
        for index, letter in enumerate(name)
    )


HIDDEN: Final = {
    "chat_completions": ("messages", "image_url"),
    "responses": ("input", "file_id"),
    "messages": ("messages", "document"),
    "generate_content": ("contents", "inline_data"),
    "embeddings": ("input", "image_url"),
}


@given(dialects, st.sets(st.integers(0, 12)), st.text())
def test_escapes_do_not_hide_media(name: DialectName, positions: set[int], text: str) -> None:
    holder, key = HIDDEN[name]
    content = f'[{{{json.dumps("text")}:{json.dumps(text)},"{disguised(key, positions)}":{{}}}}]'
    body = f'{{"model":"m","max_tokens":1,"{holder}":{content}}}'.encode()

    parsed = DIALECTS[name].parse(body, path_model="m", path_streams=False)

    assert key in parsed.demand.hidden_input


@given(dialects, st.text(alphabet='"\\ueil_gmaf:{}', max_size=60), st.booleans())
def test_a_text_that_mentions_media_hides_nothing(
    name: DialectName, text: str, mention: bool
) -> None:
    holder, key = HIDDEN[name]
    text = f'{text}"{key}":' if mention else text
    body = {"model": "m", "max_tokens": 1, holder: [{"role": "user", "content": f"{text}."}]}

    parsed = DIALECTS[name].parse(json.dumps(body).encode(), path_model="m", path_streams=False)

    assert parsed.demand.hidden_input == ()


def test_the_quirks_are_all_recorded() -> None:
    assert {recording.truth["dialect"] for recording in BY_NAME.values()} == set(DIALECTS)
