"""What all dialects share."""

from __future__ import annotations

import json

import pytest

from proxy.dialects.interface import DialectName, ErrorKind, MalformedRequest
from proxy.dialects.registry import DIALECTS


def test_a_malformed_request_says_what_is_wrong_and_where() -> None:
    error = MalformedRequest("'n' is wrong. Correct it.", "n")

    assert (str(error), error.message, error.param) == (
        error.message,
        "'n' is wrong. Correct it.",
        "n",
    )
    assert MalformedRequest("No.").param is None


@pytest.mark.parametrize("name", sorted(DIALECTS))
@pytest.mark.parametrize("kind", ErrorKind)
def test_every_dialect_has_words_for_every_error(name: DialectName, kind: ErrorKind) -> None:
    body = DIALECTS[name].error_body(status=402, kind=kind, message='Wé "say".', call_id="c1")

    assert json.loads(body)["error"]["message"] == 'Wé "say".'


@pytest.mark.parametrize("name", sorted(set(DIALECTS) - {"embeddings"}))
@pytest.mark.parametrize("kind", ErrorKind)
def test_an_error_inside_of_a_stream_is_read_as_one(name: DialectName, kind: ErrorKind) -> None:
    dialect = DIALECTS[name]
    meter = dialect.meter(streamed=True, content_type="text/event-stream", strip_usage=False)

    meter.feed(dialect.stream_error(kind=kind, message="Cut.", call_id="c1"))

    assert meter.finish().error == "Cut."
    assert meter.terminal


@pytest.mark.parametrize("name", sorted(DIALECTS))
@pytest.mark.parametrize("body", [b"{}", b'{"model": ""}', b'{"model": 3}', b'{"model": "a\\nb"}'])
def test_a_request_without_a_model_is_refused(name: DialectName, body: bytes) -> None:
    with pytest.raises(MalformedRequest) as caught:
        DIALECTS[name].parse(body, path_model=None, path_streams=False)
    assert caught.value.param == "model"


@pytest.mark.parametrize("name", sorted(set(DIALECTS) - {"chat_completions"}))
def test_only_chat_asks_for_usage(name: DialectName) -> None:
    assert DIALECTS[name].with_usage_requested(b'{"stream": true}') == b'{"stream": true}'
