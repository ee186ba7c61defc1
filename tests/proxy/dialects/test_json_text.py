"""A body is understood, or refused with a sentence that says what to do."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects import json_text
from proxy.dialects.interface import MalformedRequest


class Deeper(msgspec.Struct):
    limit: json_text.Limit = None


class Config(msgspec.Struct):
    limit: json_text.Limit = None
    deeper: Deeper | None = None


class Body(msgspec.Struct):
    model: str | None = None
    limit: json_text.Limit = None
    n: json_text.Choices = None
    config: Config | None = None
    messages: msgspec.Raw = msgspec.Raw(b"null")


def refusal(body: bytes) -> MalformedRequest:
    with pytest.raises(MalformedRequest) as caught:
        json_text.decode(Body, json_text.plain(body))
    assert str(caught.value) == caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not valid JSON: Input data was truncated (byte 0)"),
        (b'{"model": "m"', "not valid JSON: Input data was truncated (byte 13)"),
        (b'{"model": ?}', "not valid JSON: invalid character (byte 10)"),
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
    json_text.decode(Body, b'{"limit": ' + value + b"}")


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
        b'{"limit": 1, "config": null, "limit": null}',
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
        b'{"limit": 1, "config": null}',
        b'{"limit": 1, "config": {"other": {"limit": 1, "limit": 2}}}',
        b'{"limit": 1, "a": {"b": {"c": {"limit": 1, "limit": 2}}}}',
        b'{"limit": 1, "messages": ["limit", "l\\u0069mit"]}',
        b'{"limit": 1, "other": {"limit": 1, "limit": 2}}',
    ],
)
def test_the_same_name_elsewhere_is_no_repetition(body: bytes) -> None:
    assert json_text.decode(Body, json_text.plain(body))[0].limit == 1


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


@pytest.mark.parametrize(
    ("body", "plain"),
    [
        (rb'{"\u0069mage":"\u00e9\u003c"}', rb'{"image":"\u00e9\u003c"}'),
        (rb'"\u0041\u007A\u005f\u0030\u0039"', b'"Az_09"'),
        (rb'"\\\u0061 \\u0061 \n\u0061"', rb'"\\a \\u0061 \na"'),
        (b'"a\\u0062' + "é".encode() + b'"', b'"ab' + "é".encode() + b'"'),
        (rb'"\u0061\u', rb'"a\u'),
    ],
)
def test_letters_in_disguise_are_undisguised(body: bytes, plain: bytes) -> None:
    assert json_text.plain(body) == plain


@pytest.mark.parametrize(
    "body", [rb'"\u00e9 \u003c \u005c \u0000"', rb'"\\u0061"', rb'"\\\\u0061"', b'"plain"', b""]
)
def test_all_other_bodies_are_left_alone(body: bytes) -> None:
    assert json_text.plain(body) is body


def test_a_long_disguise_is_refused() -> None:
    with pytest.raises(MalformedRequest, match="as escapes"):
        json_text.plain(b'"' + rb"\u0061" * 100_000 + b'"')


@given(st.dictionaries(st.text(), st.text()), st.sets(st.characters(), max_size=40))
def test_undisguising_changes_no_meaning(value: dict[str, str], disguised: set[str]) -> None:
    members = ",".join(
        f'"{spelt(name, disguised)}":"{spelt(text, disguised)}"' for name, text in value.items()
    )

    assert json.loads(json_text.plain(f"{{{members}}}".encode())) == value


def spelt(text: str, disguised: set[str]) -> str:
    """Write a text as JSON, some of its letters as escapes that nothing demands."""
    return "".join(
        f"\\u{ord(letter):04x}"
        if letter.isascii() and letter in disguised
        else json.dumps(letter)[1:-1]
        for letter in text
    )


@pytest.mark.parametrize("name", ["config", "messages"])
def test_a_whole_part_of_the_body_is_given_once(name: str) -> None:
    error = refusal(f'{{"{name}": {{"limit": 1}}, "{name}": {{}}, "limit": 1}}'.encode())

    assert error.param == name


def test_what_is_raw_stays_and_what_is_null_is_nothing() -> None:
    body = b'{"messages": [1 , 2], "config": null, "limit": null, "other": 3 }'

    request, members = json_text.decode(Body, body)

    assert bytes(request.messages) == b"[1 , 2]"
    assert request.config is None
    assert {name: bytes(value) for name, value in members.items()} == {
        "messages": b"[1 , 2]",
        "other": b"3",
    }


@pytest.mark.parametrize("prefix", [b'{"config": {', b"{"])
@pytest.mark.parametrize("value", [b"1", b"1" + b"0" * 40])
def test_so_many_fields_are_an_attack(prefix: bytes, value: bytes) -> None:
    fields = b",".join(b'"f%d":%b' % (at, value) for at in range(json_text.MEMBERS_MAX + 1))

    assert "more than 1000 fields" in refusal(prefix + fields + b"}" * prefix.count(b"{")).message


def test_what_is_decoded_whole_is_of_bounded_length() -> None:
    long = b'"' + b"m" * json_text.SETTING_BYTES_MAX + b'"'

    assert refusal(b'{"model":' + long + b"}").param == "model"
    assert json_text.decode(Body, b'{"limit":1,"messages":' + long + b"}")[0].limit == 1
    assert json_text.decode(Body, b'{"limit":1,"other":' + long + b"}")[0].limit == 1


member_names = st.sampled_from(["limit", "model", "messages", "config", "n", "other"])


@given(st.lists(member_names, max_size=8))
def test_a_body_is_read_if_no_name_is_repeated(names: list[str]) -> None:
    values = {"limit": "1", "model": '"m"', "n": "1", "config": "{}"}
    body = "{" + ",".join(f'"{name}":{values.get(name, "[]")}' for name in names) + "}"

    if len(names) == len(set(names)):
        _, members = json_text.decode(Body, body.encode())
        assert set(members) == set(names)
    else:
        assert names.count(refusal(body.encode()).param or "") > 1


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (b'[{"a":1},{"a":1,"a":2}]', "'a' is given more than once"),
        (b"[" + b"1," * json_text.ITEMS_MAX + b"1]", "more than 4096 items"),
        (b'"' + b"x" * json_text.SETTING_BYTES_MAX + b'"', "longer than"),
    ],
)
def test_a_setting_can_be_looked_through(value: bytes, says: str) -> None:
    with pytest.raises(MalformedRequest, match=says):
        json_text.setting({"tools": msgspec.Raw(value)}, "tools")


def test_only_an_object_has_members() -> None:
    members = json_text.members(b'{"a": {"b": 1}, "c": [{"d": 1}], "e": null}')

    assert set(json_text.object_of(members, "a")) == {"b"}
    assert json_text.object_of(members, "c") == {}
    assert json_text.object_of(members, "e") == json_text.object_of(members, "f") == {}


@pytest.mark.parametrize(
    ("body", "life"),
    [
        (rb'{"tools":[{"cache_control":{"ttl" : "1h"}}]}', "1h"),
        (rb'{"tools":[{"cache_control":{"ttl":"5m"}}]}', "default"),
        (rb'{"text":"\"ttl\":\"1h\""}', "default"),
    ],
)
def test_a_longer_cache_life_is_found_wherever_it_stands(body: bytes, life: str) -> None:
    assert json_text.cache_write(body) == life


@pytest.mark.parametrize(
    ("ttl", "retention", "life"),
    [
        (None, None, "default"),
        ("30m", "in_memory", "default"),
        ("12h", None, "1h"),
        ("30m", "24h", "1h"),
    ],
)
def test_a_longer_life_of_the_whole_prompt_costs_more_too(
    ttl: str | None, retention: str | None, life: str
) -> None:
    options = json_text.CacheOptions(ttl=ttl)

    assert json_text.cache_write(b"{}", options, retention) == life


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
