"""Events are found however they are written and wherever they are cut."""

from __future__ import annotations

import pytest

from proxy.dialects.sse import SseSplitter, data_of, events


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_every_line_end_of_the_specification_ends_an_event(line_end: bytes) -> None:
    block = b"data: 1" + line_end * 2 + b"data: 2" + line_end * 2

    assert [data_of(event) for event in events(block)] == [b"1", b"2"]


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: {}\n\n", b"{}"),
        (b"data:{}\n\n", b"{}"),
        (b"data:  two spaces\n\n", b" two spaces"),
        (b"event: ping\ndata: 1\nid: 7\n\n", b"1"),
        (b"data: a\ndata: b\n\n", b"a\nb"),
        (b"data: a\r\ndata: b\r\n\r\n", b"a\nb"),
        (b"data\n\n", b""),
        (b": a comment\n\n", b""),
        (b": a comment\ndata: 1\n\n", b"1"),
        (b"\xef\xbb\xbfdata: 1\n\n", b"1"),
        (b"database: 1\n\n", b""),
        ("data: é👋\n\n".encode(), "é👋".encode()),
    ],
)
def test_data_is_read_as_the_specification_says(event: bytes, data: bytes) -> None:
    assert data_of(event) == data


def test_whole_events_pass_as_the_same_object() -> None:
    splitter = SseSplitter()
    chunk = bytes(bytearray(b"data: 1\n\ndata: 2\n\n"))

    assert splitter.feed(chunk) is chunk
    assert splitter.kept_bytes == 0


def test_the_beginning_of_an_event_is_kept_until_its_end() -> None:
    splitter = SseSplitter()

    assert splitter.feed(b"data: 1\n\ndata: ") == b"data: 1\n\n"
    assert splitter.kept_bytes == 6
    assert splitter.feed(b"2\n") == b""
    assert splitter.feed(b"\ndata: 3") == b"data: 2\n\n"
    assert splitter.rest() == b"data: 3"
    assert splitter.rest() == b""


def test_a_line_end_that_may_be_half_of_one_is_waited_for() -> None:
    splitter = SseSplitter()

    assert splitter.feed(b"data: 1\r\n\r") == b""
    assert splitter.feed(b"\ndata: 2\r\r") == b"data: 1\r\n\r\n"
    assert splitter.feed(b"x") == b"data: 2\r\r"


def test_a_chunk_that_ends_an_event_in_an_unusual_way_is_whole_all_the_same() -> None:
    splitter = SseSplitter()

    assert splitter.feed(b"data: 1\n\r\ndata: 2\r\n\n") == b"data: 1\n\r\ndata: 2\r\n\n"
    assert splitter.kept_bytes == 0


def test_an_event_that_is_too_long_is_left_out_and_the_next_one_is_not() -> None:
    splitter = SseSplitter(event_bytes_max=20)

    assert splitter.feed(b"data: " + b"x" * 30) == b""
    assert splitter.kept_bytes < 20
    assert splitter.feed(b"x" * 1000) == b""
    assert splitter.feed(b"\n\ndata: 2\n\ndata: ") == b"data: 2\n\n"
    assert splitter.feed(b"3\n\n") == b"data: 3\n\n"


def test_the_rest_of_an_event_that_is_too_long_is_nothing() -> None:
    splitter = SseSplitter(event_bytes_max=20)
    splitter.feed(b"data: " + b"x" * 30)

    assert splitter.rest() == b""


def test_nothing_of_a_block_is_lost() -> None:
    block = b"\n\n\ndata: 1\n\n\ndata: 2"

    assert b"".join(events(block)) == block
