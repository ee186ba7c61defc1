"""A body is understood, or refused with a sentence that says what to do."""

from __future__ import annotations

import re

import msgspec
import pytest

from proxy.dialects import json_text
from proxy.dialects.interface import MalformedRequest


class Body(msgspec.Struct):
    model: str | None = None
    limit: json_text.Limit = None
    n: json_text.Choices = None
    config: dict[str, msgspec.Raw] | None = None
    messages: msgspec.Raw = msgspec.Raw(b"null")


DECODER = msgspec.json.Decoder(Body)
SINGULAR = json_text.names_pattern({"model", "limit", "depth"})


def refusal(body: bytes) -> MalformedRequest:
    with pytest.raises(MalformedRequest) as caught:
        json_text.decode(DECODER, body, SINGULAR)
    assert str(caught.value) == caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not valid JSON: Input data was truncated (byte 0)"),
        (b'{"model": "m"', "not valid JSON: Input data was truncated (byte 13)"),
        (b'{"model": nope}', "not valid JSON: invalid character (byte 12)"),
        (b"{} {}", "not valid JSON: trailing characters (byte 4)"),
        (b"\xef\xbb\xbf{}", "not valid JSON: invalid character (byte 0)"),
        (b'{"model": "\xff"}', "not valid UTF-8 at byte 11"),
        (b'{"messages": "\xc3"}', "not valid UTF-8 at byte 14"),
        (b"[]", "expected `object`, got `array`. Send one JSON object."),
        (b"3", "expected `object`, got `int`"),
        (b'{"messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b'{"messages": "\\ud800"}', "not valid JSON"),
    ],
)
def test_what_is_no_json_object_is_refused(body: bytes, says: str) -> None:
    assert says in refusal(body).message


@pytest.mark.parametrize("value", [b"0", b"-1", b"1.5", b"2.0", b"true", b'"7"', b"2147483649"])
def test_a_limit_is_a_whole_number_that_can_be_meant(value: bytes) -> None:
    error = refusal(b'{"limit": ' + value + b"}")

    assert error.param == "limit"
    assert "'limit' is wrong" in error.message


@pytest.mark.parametrize("value", [b"1", b"1000000000", b"2147483648", b"null"])
def test_a_limit_above_any_model_is_left_to_the_quote(value: bytes) -> None:
    json_text.decode(DECODER, b'{"limit": ' + value + b"}", SINGULAR)


@pytest.mark.parametrize("value", [b"0", b"129", b"1000"])
def test_so_many_choices_are_a_mistake(value: bytes) -> None:
    assert refusal(b'{"n": ' + value + b"}").param == "n"


@pytest.mark.parametrize(
    "body",
    [
        b'{"limit": 1, "limit": 100000}',
        b'{"limit": 1, "l\\u0069mit": 100000}',
        b'{"l\\u0069mit": 1, "l\\u0069m\\u0069t": 100000}',
        b'{"config": {"limit": 1, "limit": 2}}',
        b'{"config": {"deeper": {"limit": 1, "limit": 2}}}',
        b'{"other": ' + b"9" * 5000 + b', "limit": 1, "limit": 2}',
    ],
)
def test_a_field_that_decides_the_cost_is_given_once(body: bytes) -> None:
    error = refusal(body)

    assert error.param == "limit"
    assert "given more than once" in error.message


@pytest.mark.parametrize(
    "body",
    [
        b'{"limit": 1, "messages": [{"limit": 2, "limit": 3}]}',
        b'{"limit": 1, "config": {"limit": 2}}',
        b'{"limit": 1, "other": 1, "other": 2, "config": {"limit": 1}}',
        b'{"limit": 1, "messages": ["limit", "l\\u0069mit"]}',
        '{"limit": 1, "\\u0061": 1, "\\ud83d\\udc4b": 1, "\\ud83d\\udc4b": 2}'.encode(),
    ],
)
def test_the_same_name_elsewhere_is_no_repetition(body: bytes) -> None:
    assert json_text.decode(DECODER, body, SINGULAR).limit == 1


@pytest.mark.parametrize(
    ("path_model", "body_model", "model"),
    [(None, "m", "m"), ("p", None, "p"), ("p", "m", "p"), (None, "a/b:c@d é", "a/b:c@d é")],
)
def test_the_path_names_the_model_before_the_body_does(
    path_model: str | None, body_model: str | None, model: str
) -> None:
    assert json_text.model_name(path_model, body_model) == model


@pytest.mark.parametrize("model", [None, "", "  ", "m" * 257, "a\nb", "a\x00", "\x7f", "\x85"])
def test_what_cannot_be_a_model_is_refused(model: str | None) -> None:
    with pytest.raises(MalformedRequest) as caught:
        json_text.model_name(None, model)
    assert caught.value.param == "model"


def test_names_are_found_between_quotes_only() -> None:
    pattern = json_text.names_pattern({"file", "file_id", "image", "b"})

    assert json_text.found(pattern, b'"file_id" "file" "files" file "b" "file"') == (
        "b",
        "file",
        "file_id",
    )


def test_a_pattern_finds_what_a_plain_one_finds() -> None:
    names = ["a", "ab", "abc", "b_c", "b_d", "xyz"]
    text = b" ".join(f'"{name}"'.encode() for name in [*names, "abcd", "x", "b_", ""])

    assert json_text.names_pattern(names).findall(text) == re.findall(
        b'"(?:a|ab|abc|b_c|b_d|xyz)"', text
    )


def test_keys_in_disguise_are_searched_undisguised() -> None:
    raw = msgspec.Raw(rb'{"\u0069mage":"\u00e9\u003c"}')

    assert b'"image"' in json_text.searchable(raw)


@pytest.mark.parametrize("text", [rb'"\u00e9 \u003c \u005c \u0000"', b'"plain"'])
def test_other_escapes_cost_no_second_decoding(text: bytes) -> None:
    assert json_text.searchable(msgspec.Raw(text)) == text


def test_numbers_that_no_server_reads_are_refused_beside_a_disguise() -> None:
    with pytest.raises(MalformedRequest, match="cannot be read"):
        json_text.searchable(msgspec.Raw(rb'{"\u0061":1e999}'))


def test_editing_keeps_every_other_byte_of_every_value() -> None:
    body = rb'{"a": {"x" : [1.0, "\u00e9"]}, "max": 100, "b":  "two  spaces" }'
    members = json_text.members(body)

    edited = json_text.written(json_text.lowered(members, ("max", "limit"), "max", 7))

    assert edited == rb'{"a":{"x" : [1.0, "\u00e9"]},"max":7,"b":"two  spaces"}'


@pytest.mark.parametrize(
    ("body", "edited"),
    [
        (b'{"max":5}', b'{"max":5}'),
        (b'{"max":500,"limit":600}', b'{"max":7,"limit":7}'),
        (b'{"max":500,"limit":5}', b'{"max":7,"limit":5}'),
        (b'{"limit":null}', b'{"limit":null,"max":7}'),
        (b"{}", b'{"max":7}'),
        (b"null", b'{"max":7}'),
    ],
)
def test_a_limit_is_lowered_or_set_and_never_raised(body: bytes, edited: bytes) -> None:
    members = json_text.members(body)

    assert json_text.written(json_text.lowered(members, ("max", "limit"), "max", 7)) == edited
