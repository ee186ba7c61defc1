"""Taking usage out of a Chat stream again, where it was asked for on the client's behalf.

What is left is byte for byte the stream that the client would have got without it.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from proxy.dialects.counts import ABSENT, decoded, is_absent
from proxy.dialects.sse import data_of


class _Chunk(msgspec.Struct):
    usage: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    choices: msgspec.Raw = ABSENT


_CHUNK: Final = msgspec.json.Decoder(_Chunk)
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_KEY: Final = b'"usage"'
_MEMBER: Final = re.compile(rb'"usage"\s*:\s*')
_COMMA: Final = re.compile(rb"\s*,\s*")


def without_usage(event: bytes) -> bytes:
    """Return an event without its usage; nothing of it when usage is all that it is there for."""
    if _KEY not in event:
        return event
    data = data_of(event)
    chunk = decoded(_CHUNK, data)
    if chunk is None or chunk.usage is msgspec.UNSET:
        return event
    if not is_absent(chunk.usage) and b"{" not in bytes(chunk.choices):
        # Line ends in front belong to no event; they stay, so that it does not matter in which
        # chunk they came.
        return event[: len(event) - len(event.lstrip(b"\r\n"))]
    start = event.find(data)
    if start < 0:
        # Data over several lines. No provider does so, and to see a null does a client no harm.
        return event
    return event[:start] + _without_member(data, bytes(chunk.usage)) + event[start + len(data) :]


def _without_member(data: bytes, value: bytes) -> bytes:
    if data.count(_KEY) == 1:
        # The decoder has found the member, so the one occurrence is it.
        match = _MEMBER.search(data)
        return _cut(data, match, value) if match else data
    expected = _MEMBERS.decode(data)
    del expected["usage"]
    for match in _MEMBER.finditer(data):
        rest = _cut(data, match, value)
        members = decoded(_MEMBERS, rest)
        if members is not None and _texts(members) == _texts(expected):
            return rest
    return data


def _cut(data: bytes, match: re.Match[bytes], value: bytes) -> bytes:
    end = match.end() + len(value)
    before = data[: match.start()].rstrip()
    if before.endswith(b","):
        return before[:-1].rstrip() + data[end:]
    comma = _COMMA.match(data, end)
    return data[: match.start()] + data[comma.end() if comma else end :]


def _texts(members: dict[str, msgspec.Raw]) -> dict[str, bytes]:
    return {name: bytes(value) for name, value in members.items()}
