"""Elements are found by their brackets, wherever the array is cut."""

from __future__ import annotations

import pytest

from proxy.dialects.json_array import ElementSplitter


def split(*chunks: bytes) -> list[bytes]:
    splitter = ElementSplitter()
    return [element for chunk in chunks for element in splitter.feed(chunk)]


def test_elements_come_as_their_last_bracket_does() -> None:
    splitter = ElementSplitter()

    assert splitter.feed(b'[{"a": [1, {}]}\n,\r\n{"b"') == [b'{"a": [1, {}]}']
    assert splitter.feed(b": 2") == []
    assert splitter.feed(b"}\n") == [b'{"b": 2}']
    assert not splitter.closed
    assert splitter.feed(b"]") == []
    assert splitter.closed


@pytest.mark.parametrize(
    "element",
    [
        rb'{"a": "}]"}',
        rb'{"a": "\"}"}',
        rb'{"a": "\\"}',
        rb'{"a\\\"{": "[\u007b"}',
        rb'{"a": "\\\\"}',
    ],
)
def test_brackets_inside_of_strings_do_not_count(element: bytes) -> None:
    answer = b"[" + element + b"," + element + b"]"

    assert split(answer) == [element, element]
    assert split(*(bytes([byte]) for byte in answer)) == [element, element]


def test_an_object_without_an_array_is_one_element() -> None:
    splitter = ElementSplitter()

    assert splitter.feed(b' {"error": {}}') == [b'{"error": {}}']
    assert splitter.closed


def test_what_follows_the_array_is_none_of_its_elements() -> None:
    splitter = ElementSplitter()

    assert splitter.feed(b'[{"a": 1}] {"b": 2}') == [b'{"a": 1}']
    assert splitter.feed(b'{"c": 3}') == []


@pytest.mark.parametrize("junk", [b"}", b"]]]", b'"', b"<html>", b"1, 2", b"[1, 2]", b""])
def test_junk_has_no_elements(junk: bytes) -> None:
    assert split(junk, junk) == []


def test_an_element_that_is_too_long_is_left_out_and_the_next_one_is_not() -> None:
    splitter = ElementSplitter(element_bytes_max=10)

    assert splitter.feed(b'[{"a": "' + b"x" * 20) == []
    assert splitter.feed(b'x"}, {"b": ') == []
    assert splitter.feed(b"2}]") == [b'{"b": 2}']
