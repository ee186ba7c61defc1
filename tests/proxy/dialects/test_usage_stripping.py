"""Usage leaves a stream without a trace; `tests/properties/test_metering.py` has the whole rule."""

from __future__ import annotations

import pytest

from proxy.dialects.usage_stripping import without_usage


@pytest.mark.parametrize(
    ("event", "left"),
    [
        (b'data: {"id":1,"usage":null}\n\n', b'data: {"id":1}\n\n'),
        (b'data: {"usage":null,"id":1}\r\n\r\n', b'data: {"id":1}\r\n\r\n'),
        (b'data: {"id": 1, "usage": null, "x": 2}\n\n', b'data: {"id": 1, "x": 2}\n\n'),
        (b'data: {"usage":null}\n\n', b"data: {}\n\n"),
        (b'data: {"choices":[],"usage":{"a":{}}}\n\n', b""),
        (b'data: {"choices": [ ], "usage": {"a": 1}}\n\n', b""),
        (b'data: {"usage":{"a":1}}\n\n', b""),
        (b'\n\r\ndata: {"usage":{"a":1}}\n\n', b"\n\r\n"),
        (
            b'data: {"choices":[{"usage":{"a":1}}],"usage":{"a":[1]},"x":"usage"}\n\n',
            b'data: {"choices":[{"usage":{"a":1}}],"x":"usage"}\n\n',
        ),
    ],
)
def test_usage_is_taken_out(event: bytes, left: bytes) -> None:
    assert without_usage(event) == left


@pytest.mark.parametrize(
    "event",
    [
        b"data: [DONE]\n\n",
        b': a comment about "usage"\n\n',
        b'data: {"id":1,"choices":[{"delta":{"content":"usage"}}]}\n\n',
        b'data: {"choices":[{"usage":{"a":1}}]}\n\n',
        b'data: {"usage":nul',
        b'data: {"id":1,\ndata: "usage":null}\n\n',
        # Written in escapes: no provider does so, and nothing may break.
        b'data: {"choices":[{"x":"usage"}],"us\\u0061ge":null}\n\n',
        b'data: {"choices":[{"x":"usage","y":"usage"}],"us\\u0061ge":null}\n\n',
    ],
)
def test_everything_else_stays(event: bytes) -> None:
    assert without_usage(event) == event
