"""Server-sent events, found in chunks that are cut anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from proxy.dialects.bounds import EVENT_BYTES_MAX

# Lines end with \n, \r\n or \r; two line ends in a row end an event. What may stand before a match
# is the \r of a \r\n.
_BOUNDARY: Final = re.compile(rb"\n\r?\n|\n\r|\r\r\n?")
_BOM: Final = b"\xef\xbb\xbf"
# The longest boundary, less one byte: where a boundary that a chunk's end cuts may begin.
_BOUNDARY_BYTES_BEFORE: Final = 3


class SseSplitter:
    """Keeps the beginning of an event until its end arrives."""

    __slots__ = ("_event_bytes_max", "_pending", "_skipping")

    def __init__(self, event_bytes_max: int = EVENT_BYTES_MAX) -> None:
        self._event_bytes_max = event_bytes_max
        self._pending = bytearray()
        #: The event that is passing is too long to keep.
        self._skipping = False

    @property
    def kept_bytes(self) -> int:
        """How much of an event is kept."""
        return len(self._pending)

    def feed(self, chunk: bytes) -> bytes:
        """Return the bytes of all events that this chunk completes, ends included."""
        pending = self._pending
        if not pending:
            # Almost always a chunk is a number of whole events: nothing is copied.
            if chunk.endswith((b"\n\n", b"\n\r\n")):
                return chunk
            end = _last_end(chunk, 0)
            if end == len(chunk):
                return chunk
            pending += chunk[end:]
            self._bound()
            return chunk[:end]
        searched = max(0, len(pending) - _BOUNDARY_BYTES_BEFORE)
        pending += chunk
        end = _last_end(pending, searched)
        if end == 0:
            self._bound()
            return b""
        complete = bytes(pending[:end])
        del pending[:end]
        if self._skipping:
            self._skipping = False
            first = _BOUNDARY.search(complete)
            complete = complete[first.end() :] if first else b""
        self._bound()
        return complete

    def rest(self) -> bytes:
        """Return what has no end yet, and forget it."""
        rest = b"" if self._skipping else bytes(self._pending)
        self._pending.clear()
        return rest

    def _bound(self) -> None:
        if len(self._pending) > self._event_bytes_max or self._skipping:
            self._skipping = True
            del self._pending[:-_BOUNDARY_BYTES_BEFORE]


def _last_end(data: bytes | bytearray, start: int) -> int:
    r"""Return where the last complete event ends; 0 when none does.

    A `\r` at the very end may be the first half of a `\r\n`: it is waited for, so that events
    end at the same place however the stream is cut.
    """
    if data.find(b"\r", start) < 0:
        found = data.rfind(b"\n\n", start)
        return found + 2 if found >= 0 else 0
    end = 0
    for match in _BOUNDARY.finditer(data, start):
        if match.end() < len(data) or not data.endswith(b"\r"):
            end = match.end()
    return end


def events(block: bytes) -> Iterator[bytes]:
    """Yield the events of a block, each with the empty line that ends it, so that nothing is lost.

    What follows the last empty line comes last: an event without an end, or line ends too many.
    """
    start = 0
    for match in _BOUNDARY.finditer(block):
        yield block[start : match.end()]
        start = match.end()
    if start < len(block):
        yield block[start:]


def data_of(event: bytes) -> bytes:
    """Return an event's data; empty when it is a comment or has none."""
    # One line is what every provider sends.
    if event.startswith(b"data: ") and event.find(b"\n", 0, -2) < 0 and b"\r" not in event:
        return event[6:].rstrip(b"\n")
    lines = event.removeprefix(_BOM).splitlines()
    return b"\n".join(line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:"))
