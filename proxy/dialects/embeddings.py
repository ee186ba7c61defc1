"""Embeddings: OpenAI's format; input only, and never a stream."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from policies.demand import Demand
from proxy.dialects import json_text, openai_errors
from proxy.dialects.add_ons import add_ons
from proxy.dialects.answer import Answer
from proxy.dialects.counts import ABSENT, decoded, is_absent
from proxy.dialects.hidden_input import hidden_input
from proxy.dialects.interface import ErrorKind, Meter, ParsedRequest
from proxy.dialects.metering import BodyMeter
from proxy.dialects.openai_usage import chat_lines
from proxy.dialects.other_models import other_models

# Some servers embed pictures as well.
_HIDDEN: Final = json_text.names_pattern(
    {"audio", "image", "image_url", "input_audio", "video", "video_url"}
)


class _Request(msgspec.Struct):
    model: str | None = None
    input: msgspec.Raw = ABSENT
    messages: msgspec.Raw = ABSENT
    service_tier: str | None = None
    user: Any = None


class _Document(msgspec.Struct):
    id: Any = None
    model: Any = None
    data: msgspec.Raw = ABSENT
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


_DOCUMENT: Final = msgspec.json.Decoder(_Document)


class Embeddings:
    """The dialect of `/v1/embeddings`."""

    name: Final = "embeddings"

    def parse(self, body: bytes, *, path_model: str | None, path_streams: bool) -> ParsedRequest:
        """Read a request body."""
        body = json_text.plain(body)
        request, members = json_text.decode(_Request, body)
        model = json_text.model_name(path_model, request.model)
        hidden = hidden_input(_HIDDEN, "input", request.input, request.messages)
        added = add_ons(model, members)
        return ParsedRequest(
            model=model,
            stream=False,
            demand=Demand(
                model=model,
                body_bytes=len(body),
                output_limit=0,
                hidden_input=hidden,
                server_tools=added.tools,
                service_tier=request.service_tier,
                audio="input_audio" in hidden,
            ),
            user=request.user if isinstance(request.user, str) else None,
            other_models=other_models(members),
            unpriced=added.unpriced,
        )

    def meter(self, *, streamed: bool, content_type: str, strip_usage: bool) -> Meter:
        """Return a meter for one answer."""
        return BodyMeter(EmbeddingsAnswer())

    def with_output_limit(self, body: bytes, tokens: int) -> bytes:
        """Return the body as it is: there is no output."""
        return body

    def with_usage_requested(self, body: bytes) -> bytes:
        """Return the body as it is: usage comes unasked."""
        return body

    def error_body(
        self, *, status: int, kind: ErrorKind, message: str, call_id: str, param: str | None = None
    ) -> bytes:
        """Return the JSON body of an error answer."""
        return openai_errors.error_body(kind, message, param)

    def stream_error(
        self,
        *,
        kind: ErrorKind,
        message: str,
        call_id: str,
        content_type: str = "text/event-stream",
    ) -> bytes:
        """Return nothing: inside of a body that was begun, an error cannot be told."""
        return b""


class EmbeddingsAnswer(Answer):
    """What an answer with embeddings has said."""

    @property
    def usage_is_final(self) -> bool:
        """It comes with the whole answer."""
        return True

    def tells(self, block: bytes) -> bool:
        """No events exist in this dialect."""
        return False

    def note(self, data: bytes) -> None:
        """No events exist in this dialect."""

    def note_body(self, body: bytes) -> None:
        """Take note of a whole answer."""
        document = decoded(_DOCUMENT, body)
        if document is None:
            self.note_unreadable(body)
            return
        self.identify(document.id, document.model)
        self.identify_elsewhere(body)
        self.produced_output = b"{" in bytes(document.data)
        self.note_error(document.error)
        if not is_absent(document.usage):
            self.note_usage(chat_lines(document.usage))
