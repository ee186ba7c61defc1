"""Every dialect, whole and in pieces, as bare HTTP: what is sent, and what the answers look like."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tests.sdks.pair import OUTPUT_LIMIT, PROMPT

Document = dict[str, Any]
_CHAT: Final[Document] = {
    "model": "gpt-5.6-mini",
    "messages": [{"role": "user", "content": PROMPT}],
    "max_completion_tokens": OUTPUT_LIMIT,
}
_RESPONSES: Final[Document] = {
    "model": "gpt-5.6-mini",
    "input": PROMPT,
    "max_output_tokens": OUTPUT_LIMIT,
}
_MESSAGES: Final[Document] = {
    "model": "claude-haiku-4-5",
    "messages": [{"role": "user", "content": PROMPT}],
    "max_tokens": OUTPUT_LIMIT,
}
_GENERATE: Final[Document] = {
    "contents": [{"role": "user", "parts": [{"text": PROMPT}]}],
    "generationConfig": {"maxOutputTokens": OUTPUT_LIMIT},
}
_EMBEDDINGS: Final[Document] = {"model": "text-embedding-3-small", "input": "one"}
_STREAM: Final[Document] = {"stream": True}
_GEMINI: Final = "/v1beta/models/gemini-3.8-flash"
#: Of every model above, so that vendors without a price list have one too.
PRICES: Final = {
    name: {"input": 1, "output": 2, "context_window": 1_000_000, "max_output_tokens": 4_096}
    for name in ("gpt-5.6-mini", "claude-haiku-4-5", "gemini-3.8-flash", "text-embedding-3-small")
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One dialect in one of its forms."""

    name: str
    dialect: str
    #: The kind of provider whose own dialect it is.
    vendor: str
    path: str
    body: Document
    content_type: str = "application/json"
    #: From the body to its events, its elements, or the one document that it is.
    read: Callable[[bytes], list[Document]]
    #: Whether the last of them is the end of an answer.
    is_whole: Callable[[Document], bool]

    @property
    def streams(self) -> bool:
        """Whether the answer comes in pieces."""
        return self.name.endswith(("streamed", "array"))


def _one(body: bytes) -> list[Document]:
    return [json.loads(body)]


def _array(body: bytes) -> list[Document]:
    elements: list[Document] = json.loads(body)
    return elements


def _events(body: bytes) -> list[Document]:
    """Read events up to `[DONE]`, which has to be the last one where there is one."""
    blocks = body.replace(b"\r\n", b"\n").split(b"\n\n")
    assert blocks.pop() == b""
    data = [block.rpartition(b"data: ")[2] for block in blocks]
    if data[-1] == b"[DONE]":
        data.pop()
    return [json.loads(each) for each in data]


def _chat_events(body: bytes) -> list[Document]:
    assert body.endswith(b"\n\ndata: [DONE]\n\n")
    return _events(body)


def _generated(document: Document) -> bool:
    return bool(document["candidates"][0]["finishReason"] == "STOP")


_EVENT_STREAM: Final = "text/event-stream; charset=utf-8"

SHAPES: Final = (
    Shape(
        name="chat",
        dialect="chat_completions",
        vendor="openai",
        path="/v1/chat/completions",
        body=_CHAT,
        read=_one,
        is_whole=lambda document: document["object"] == "chat.completion",
    ),
    Shape(
        name="chat_streamed",
        dialect="chat_completions",
        vendor="openai",
        path="/v1/chat/completions",
        body=_CHAT | _STREAM,
        content_type=_EVENT_STREAM,
        read=_chat_events,
        is_whole=lambda document: document["choices"][0]["finish_reason"] == "stop",
    ),
    Shape(
        name="responses",
        dialect="responses",
        vendor="openai",
        path="/v1/responses",
        body=_RESPONSES,
        read=_one,
        is_whole=lambda document: document["object"] == "response",
    ),
    Shape(
        name="responses_streamed",
        dialect="responses",
        vendor="openai",
        path="/v1/responses",
        body=_RESPONSES | _STREAM,
        content_type=_EVENT_STREAM,
        read=_events,
        is_whole=lambda document: document["type"] == "response.completed",
    ),
    Shape(
        name="messages",
        dialect="messages",
        vendor="anthropic",
        path="/v1/messages",
        body=_MESSAGES,
        read=_one,
        is_whole=lambda document: document["type"] == "message",
    ),
    Shape(
        name="messages_streamed",
        dialect="messages",
        vendor="anthropic",
        path="/v1/messages",
        body=_MESSAGES | _STREAM,
        content_type=_EVENT_STREAM,
        read=_events,
        is_whole=lambda document: document["type"] == "message_stop",
    ),
    Shape(
        name="generate",
        dialect="generate_content",
        vendor="google",
        path=f"{_GEMINI}:generateContent",
        body=_GENERATE,
        read=_one,
        is_whole=_generated,
    ),
    Shape(
        name="generate_streamed",
        dialect="generate_content",
        vendor="google",
        path=f"{_GEMINI}:streamGenerateContent?alt=sse",
        body=_GENERATE,
        content_type=_EVENT_STREAM,
        read=_events,
        is_whole=_generated,
    ),
    Shape(
        name="generate_array",
        dialect="generate_content",
        vendor="google",
        path=f"{_GEMINI}:streamGenerateContent",
        body=_GENERATE,
        read=_array,
        is_whole=_generated,
    ),
    Shape(
        name="embeddings",
        dialect="embeddings",
        vendor="openai",
        path="/v1/embeddings",
        body=_EMBEDDINGS,
        read=_one,
        is_whole=lambda document: document["object"] == "list",
    ),
)
