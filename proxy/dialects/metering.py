"""Watching an answer pass: as events, as a JSON array, or as one body.

A meter finds the few pieces that tell something and hands them to the dialect's `Answer`; the rest
is relayed without being parsed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from proxy.dialects import bounds, sse
from proxy.dialects.answer import Answer
from proxy.dialects.interface import Reading
from proxy.dialects.json_array import ElementSplitter

#: Returns an event as it is to be relayed, possibly empty.
Strip = Callable[[bytes], bytes]


class EventMeter:
    """Watches server-sent events."""

    def __init__(self, answer: Answer, strip: Strip | None = None) -> None:
        self._answer = answer
        self._strip = strip
        self._splitter = sse.SseSplitter()
        self._held = b""

    @property
    def generation_id(self) -> str | None:
        """The answer's id, as soon as it was seen."""
        return self._answer.generation_id

    @property
    def terminal(self) -> bool:
        """The dialect's end was seen."""
        return self._answer.terminal

    def feed(self, chunk: bytes) -> bytes:
        """Take note of a chunk; return the bytes to relay."""
        if self._strip is not None:
            return self._feed_stripping(chunk, self._strip)
        block = self._splitter.feed(chunk)
        if block and self._answer.tells(block):
            self._note(block)
        return chunk

    def _note(self, block: bytes) -> None:
        for event in sse.events(block):
            if self._answer.tells(event):
                self._answer.note(sse.data_of(event))

    def _feed_stripping(self, chunk: bytes, strip: Strip) -> bytes:
        if self._splitter.kept_bytes + len(chunk) > bounds.EVENT_BYTES_MAX:
            # Too long to hold back: the client gets to see the usage it did not ask for.
            self._strip = None
            return self.feed(self._splitter.rest() + chunk)
        block = self._splitter.feed(chunk)
        if self._answer.tells(block):
            self._note(block)
        return b"".join(map(strip, sse.events(block)))

    def flush(self) -> bytes:
        """Return the bytes that are still held back: at most one event without an end."""
        self.finish()
        held, self._held = self._held, b""
        return held

    def finish(self) -> Reading:
        """Return what is known."""
        # An event whose end is missing may be whole all the same: usage is usage.
        rest = self._splitter.rest()
        if rest:
            self._note(rest)
            if self._strip is not None:
                self._held = b"".join(map(self._strip, sse.events(rest)))
        return self._answer.reading()


class BodyMeter:
    """Keeps an answer that is no stream, and reads it at its end."""

    terminal: Final = False

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._body = bytearray()
        self._finished = False
        self._too_long = False

    @property
    def generation_id(self) -> str | None:
        """The answer's id, once the answer was read."""
        return self._answer.generation_id

    def feed(self, chunk: bytes) -> bytes:
        """Keep a chunk; return it."""
        if self._too_long:
            return chunk
        self._body += chunk
        if len(self._body) > bounds.BODY_BYTES_MAX:
            self._too_long = True
            # The beginning may name the id, and says that there was output.
            del self._body[bounds.MIB :]
        return chunk

    def flush(self) -> bytes:
        """Return nothing: a body is never held back."""
        return b""

    def finish(self) -> Reading:
        """Return what is known."""
        if not self._finished:
            self._finished = True
            note = self._answer.note_unreadable if self._too_long else self._answer.note_body
            note(bytes(self._body))
            self._body.clear()
        return self._answer.reading()


class ArrayMeter:
    """Watches a JSON array that is streamed element by element."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._splitter = ElementSplitter()

    @property
    def generation_id(self) -> str | None:
        """The answer's id, as soon as it was seen."""
        return self._answer.generation_id

    @property
    def terminal(self) -> bool:
        """The array was closed, or its last element was recognised."""
        return self._splitter.closed or self._answer.terminal

    def feed(self, chunk: bytes) -> bytes:
        """Take note of a chunk; return it."""
        for element in self._splitter.feed(chunk):
            if self._answer.tells(element):
                self._answer.note(element)
        return chunk

    def flush(self) -> bytes:
        """Return nothing: an array is never held back."""
        return b""

    def finish(self) -> Reading:
        """Return what is known."""
        return self._answer.reading()


def is_event_stream(content_type: str, *, streamed: bool) -> bool:
    """Say whether an answer is a stream of events; without a type the request decides."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "text/event-stream" or (streamed and "json" not in kind)
