"""What is not known to be shown hides input."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.hidden_input import _SHOWN, QUOTES_MAX, hidden_input, without_tool_inputs
from proxy.dialects.json_text import names_pattern

MARKS = names_pattern({"image_url", "file_id"})


def hidden(value: object) -> tuple[str, ...]:
    return hidden_input(MARKS, "messages", json.dumps(value).encode())


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ([{"type": "text"}, {"type": "tool_use"}, {"type": "refusal"}], ()),
        ([{"type": "reasoning.encrypted"}, {"type": "thinking"}], ()),
        ([{"type": "hologram"}, {"type": "text"}], ("hologram",)),
        ([{"type": "image_url", "image_url": {}}], ("image_url",)),
        ([{"type": "new", "file_id": "f"}], ("file_id", "new")),
        ([{"type": 3}, "type", {"text": '"type":"new"'}], ()),
        ([{"type": "a b\n"}], ("type",)),
        ([{"type": ""}], ("type",)),
    ],
)
def test_an_unknown_type_hides_input(value: object, names: tuple[str, ...]) -> None:
    assert hidden(value) == names


@pytest.mark.parametrize("text", [rb'{"type":"te\/xt"}', rb'{"type" :  "te\"xt"}'])
def test_an_escape_does_not_hide_a_type(text: bytes) -> None:
    assert hidden_input(MARKS, "messages", text) == ("type",)


def test_what_is_too_crowded_to_look_through_hides_input() -> None:
    crowded = b'""' * (QUOTES_MAX // 2)

    assert hidden_input(MARKS, "input", crowded + b" ") == ()
    assert hidden_input(MARKS, "input", b"[]", crowded + b'"') == ("input",)


@given(st.text(min_size=1).filter(str.strip))
def test_any_type_is_known_or_hides(kind: str) -> None:
    assert bool(hidden([{"type": kind}])) == (kind not in _SHOWN)


@pytest.mark.parametrize(
    "messages",
    [
        b"3",
        b'[{"content":[]}]',
        b'[{"role":"user","content":[],"audio":{}}]',
        b'[{"role":"user","content":[{"no":"type"}]}]',
    ],
)
def test_unusual_messages_are_looked_at_whole(messages: bytes) -> None:
    raw = msgspec.Raw(messages)

    assert without_tool_inputs(raw) is raw


def test_only_what_tools_were_given_is_left_out() -> None:
    messages = [
        {"role": "user", "content": "text"},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "1", "input": {"type": "py"}},
                {"type": "text", "input": 1},
            ],
        },
    ]

    left = without_tool_inputs(msgspec.Raw(json.dumps(messages).encode()))

    assert left == b'{"type":"tool_use","id":"1"},{"type":"text","input":1}'
