"""The elements of a JSON array that arrives in pieces: how generateContent streams without SSE."""

from __future__ import annotations

import re
from typing import Final

from proxy.dialects.bounds import EVENT_BYTES_MAX

# Outside of strings only brackets and quotes count; inside of them the closing quote and escapes,
# which take the next byte with them, so that `\"` does not close anything.
_OUTSIDE: Final = re.compile(rb'["{}\[\]]')
_INSIDE: Final = re.compile(rb'["\\]')


class ElementSplitter:
    """Finds each element of an array as its closing bracket arrives.

    It counts brackets and does not validate: what comes out is decoded afterwards, or is not JSON.
    An answer that is one object and no array, such as an error, is one element.
    """

    __slots__ = (
        "_base",
        "_depth",
        "_element_bytes_max",
        "_escaped",
        "_found",
        "_inside_string",
        "_pending",
        "_too_long",
        "closed",
    )

    def __init__(self, element_bytes_max: int = EVENT_BYTES_MAX) -> None:
        self._element_bytes_max = element_bytes_max
        #: The element that is not complete yet, up to the current chunk.
        self._pending = bytearray()
        self._too_long = False
        self._found: list[bytes] = []
        #: Brackets that are open.
        self._depth = 0
        #: Brackets that are open between two elements: the array's own, or none.
        self._base = 0
        self._inside_string = False
        self._escaped = False
        #: The outermost bracket was closed; whatever follows is none of the array's.
        self.closed = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the elements that this chunk completes."""
        if self.closed:
            return []
        start = 0
        position = 0
        while position < len(chunk) and not self.closed:
            if self._inside_string:
                position = self._leave_string(chunk, position)
                continue
            match = _OUTSIDE.search(chunk, position)
            if match is None:
                break
            position = match.end()
            start = self._bracket(chunk, match.start(), start)
        if self._depth > self._base:
            self._keep(chunk[start:])
        found, self._found = self._found, []
        return found

    def _leave_string(self, chunk: bytes, position: int) -> int:
        """Return where to go on: behind the string, behind an escape, or at the chunk's end."""
        if self._escaped:
            self._escaped = False
            return position + 1
        match = _INSIDE.search(chunk, position)
        if match is None:
            return len(chunk)
        self._escaped = match[0] == b"\\"
        self._inside_string = self._escaped
        return match.end()

    def _bracket(self, chunk: bytes, at: int, start: int) -> int:
        """Take note of a quote or bracket; return where the current element begins in the chunk."""
        match chunk[at : at + 1]:
            case b'"':
                self._inside_string = True
            case b"[" if self._depth == 0 and self._base == 0:
                self._depth = self._base = 1
            case b"[" | b"{":
                if self._depth == self._base:
                    start = at
                self._depth += 1
            case _:
                self._depth -= 1
                if self._depth == self._base:
                    self._complete(chunk[start : at + 1])
                self.closed = self._depth <= 0
        return start

    def _complete(self, last: bytes) -> None:
        if not self._too_long:
            self._found.append(bytes(self._pending) + last)
        self._pending.clear()
        self._too_long = False

    def _keep(self, piece: bytes) -> None:
        self._pending += piece
        if len(self._pending) > self._element_bytes_max:
            self._too_long = True
        if self._too_long:
            self._pending.clear()
