"""Numbers and names are taken only as far as they can be true."""

from __future__ import annotations

import msgspec
import pytest

from proxy.dialects.counts import (
    ABSENT,
    TOKENS_MAX,
    Tokens,
    amount_of,
    decoded,
    is_absent,
    name_of,
    split_write,
)


class Count(msgspec.Struct):
    tokens: Tokens = None


COUNT = msgspec.json.Decoder(Count)


@pytest.mark.parametrize(
    "text",
    [b"-1", b"1.5", b'"7"', b"true", str(TOKENS_MAX + 1).encode(), b"9" * 5000, b"[]", b"{}", b""],
)
def test_an_absurd_count_is_not_believed(text: bytes) -> None:
    assert decoded(COUNT, b'{"tokens": ' + text + b"}") is None


@pytest.mark.parametrize(("text", "tokens"), [(b"0", 0), (b"null", None), (b"7", 7)])
def test_a_count_is_a_whole_number_or_a_null(text: bytes, tokens: int | None) -> None:
    assert decoded(COUNT, b'{"tokens": ' + text + b"}") == Count(tokens=tokens)


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"tokens": "\xff"}', b'{"\xff": 1, "x": "\xff'])
def test_no_bytes_make_decoding_raise(text: bytes) -> None:
    assert decoded(COUNT, text) is None


@pytest.mark.parametrize("amount", ["0", "0.00042", "4.2E-4", "4.2e-04", "12", "1e+2"])
def test_an_amount_keeps_its_digits(amount: str) -> None:
    assert amount_of(msgspec.Raw(amount.encode())) == amount
    assert amount_of(msgspec.Raw(f'"{amount}"'.encode())) == amount


@pytest.mark.parametrize("text", ["-1", "null", "true", "1e999", "{}", '"x"', "9" * 30, "NaN"])
def test_what_is_no_amount_is_none(text: str) -> None:
    assert amount_of(msgspec.Raw(text.encode())) is None


@pytest.mark.parametrize("value", [None, 3, "", "a b", "a\n", "x" * 257, ["x"], "\x7f"])
def test_what_cannot_be_a_name_is_none(value: object) -> None:
    assert name_of(value) is None


def test_a_name_is_taken_as_it_is() -> None:
    assert name_of("google/gemini-2.5-pro:x@1") == "google/gemini-2.5-pro:x@1"


def test_a_member_that_was_left_out_is_as_absent_as_a_null() -> None:
    assert is_absent(ABSENT)
    assert is_absent(msgspec.Raw(b"null"))
    assert not is_absent(msgspec.Raw(b"0"))


@pytest.mark.parametrize(
    ("written", "kept_long", "kept_short", "split"),
    [(100, 0, 0, (100, 0)), (100, 30, 70, (70, 30)), (0, 30, 5, (5, 30)), (20, 30, 0, (0, 30))],
)
def test_what_is_unclear_was_written_for_a_short_time(
    written: int, kept_long: int, kept_short: int, split: tuple[int, int]
) -> None:
    assert split_write(written, kept_long, kept_short) == split
