"""Embeddings: input only, and never a stream."""

from __future__ import annotations

import json

import pytest

from policies.usage import Exact, Unknown, Usage, UsageLine
from proxy.dialects.embeddings import Embeddings, EmbeddingsAnswer
from proxy.dialects.interface import ErrorKind, Reading

DIALECT = Embeddings()


@pytest.mark.parametrize(
    ("given", "hidden", "audio"),
    [
        ("Hi", (), False),
        ([[1, 2, 3]], (), False),
        ([{"image_url": "https://x"}], ("image_url",), False),
        ([{"input_audio": "AA"}], ("input_audio",), True),
    ],
)
def test_a_request_has_no_output(given: object, hidden: tuple[str, ...], audio: bool) -> None:
    body = {"model": "m", "input": given, "user": "u", "stream": True, "service_tier": "flex"}
    parsed = DIALECT.parse(json.dumps(body).encode(), path_model=None, path_streams=False)

    assert (parsed.model, parsed.stream, parsed.user) == ("m", False, "u")
    assert parsed.demand.output_limit == 0
    assert parsed.demand.hidden_input == hidden
    assert parsed.demand.audio is audio
    assert parsed.demand.service_tier == "flex"


def test_there_is_no_output_to_limit() -> None:
    assert DIALECT.with_output_limit(b'{"model": "m"}', 7) == b'{"model": "m"}'


def test_an_error_has_no_place_inside_of_a_body() -> None:
    assert DIALECT.stream_error(kind=ErrorKind.UPSTREAM_CUT, message="Cut.", call_id="c1") == b""


def test_there_are_no_events() -> None:
    answer = EmbeddingsAnswer()
    answer.note(b'{"usage":{"prompt_tokens":3}}')

    assert not answer.tells(b'"usage"')
    assert answer.metered() == Unknown()


def read(text: bytes) -> Reading:
    meter = DIALECT.meter(streamed=False, content_type="application/json", strip_usage=False)
    meter.feed(text)
    return meter.finish()


def test_usage_is_exact() -> None:
    reading = read(b'{"model":"m","data":[{}],"usage":{"prompt_tokens":3,"total_tokens":3}}')

    assert reading.metered == Exact((UsageLine(usage=Usage(input_tokens=3)),))
    assert reading.produced_output


@pytest.mark.parametrize("text", [b'{"data":[{}]}', b'{"data":[', b'{"error":"No"}'])
def test_without_usage_nothing_is_known(text: bytes) -> None:
    assert read(text).metered == Unknown()
