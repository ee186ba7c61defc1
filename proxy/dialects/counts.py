"""What answers say in numbers and names, taken only as far as it can be true."""

from __future__ import annotations

import re
from typing import Annotated, Final, TypeVar

import msgspec

T = TypeVar("T")

# No call has consumed a trillion tokens: whoever says so, or counts below zero, is not believed,
# and the ledger's arithmetic stays exact.
TOKENS_MAX: Final = 2**40
# Ids are opaque; the longest in the documents have 80 characters.
NAME_CHARS_MAX: Final = 256

#: A number of tokens; null is what some servers write for zero.
Tokens = Annotated[int, msgspec.Meta(ge=0, le=TOKENS_MAX)] | None

#: The default of a raw member: a null and nothing mean the same in every answer.
_NULL: Final = b"null"
ABSENT: Final = msgspec.Raw(_NULL)

# Two digits of exponent: enough for any price, too few to make a huge number out of a few bytes.
_AMOUNT: Final = re.compile(rb'"?(\d{1,20}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,2})?)"?')
_UNPRINTABLE: Final = re.compile(r"[\x00-\x20\x7f-\x9f]")


def decoded(decoder: msgspec.json.Decoder[T], data: bytes | msgspec.Raw) -> T | None:
    """Return what the data say, or None when they are not what the decoder expects."""
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def is_absent(raw: msgspec.Raw) -> bool:
    """Say whether a raw member is null or was left out."""
    # Not by its bytes: that would copy sixty MiB of messages to compare four of them.
    return len(memoryview(raw)) == len(_NULL) and bytes(raw) == _NULL


def opens_with(raw: msgspec.Raw, bracket: bytes) -> bool:
    """Say whether a raw member is an object, an array or a text, by its first byte."""
    return bytes(memoryview(raw)[:1]) == bracket


def name_of(value: object) -> str | None:
    """Return an id or a model's name; None when it cannot be one."""
    if not isinstance(value, str) or not value or len(value) > NAME_CHARS_MAX:
        return None
    return None if _UNPRINTABLE.search(value) else value


def amount_of(raw: msgspec.Raw) -> str | None:
    """Return an amount of money as decimal text, exponents included; None for anything else."""
    match = _AMOUNT.fullmatch(bytes(raw))
    return match[1].decode() if match else None


def split_write(written: int, kept_long: int, kept_short: int = 0) -> tuple[int, int]:
    """Return what was written to caches of short and of long life; what is unclear is short."""
    return max(written - kept_long, kept_short), kept_long
