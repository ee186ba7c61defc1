"""The four dialects as their clients write them: what a journey sends, and how it reads a no."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

MODEL = "acme/mini"
#: At the prices of `running.OUTPUT_ONLY` one token of output costs this much.
TOKEN_NANO_USD = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One dialect on the wire."""

    name: str
    path: str
    stream_path: str
    #: The field that limits output, and the object that it stands in.
    limit: str
    holder: str = ""
    choices: str = ""

    def __str__(self) -> str:
        return self.name

    def path_of(self, *, stream: bool) -> str:
        """Return where a call goes."""
        return self.stream_path if stream else self.path

    def body(
        self, *, limit: object = 10, stream: Any = False, choices: object = None, **more: Any
    ) -> dict[str, Any]:
        """Return a small request; a limit of None leaves it out."""
        if self.name == "generate_content":
            # Without a budget for thoughts the quote has to assume the most that there can be.
            document: dict[str, Any] = {
                "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
                "generationConfig": {"thinkingConfig": {"thinkingBudget": 0}},
            }
        elif self.name == "responses":
            document = {"model": MODEL, "input": "Hi"}
        else:
            document = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}
        if stream and self.name != "generate_content":
            document["stream"] = True
        holder = document.setdefault(self.holder, {}) if self.holder else document
        if limit is not None:
            holder[self.limit] = limit
        if choices is not None:
            holder[self.choices] = choices
        return {**document, **more}

    def text(self, *, stream: bool = False, **more: Any) -> bytes:
        """Return a small request as it is sent."""
        return json.dumps(self.body(stream=stream, **more)).encode()

    def refusal_of(self, document: Any, status: int) -> str:
        """Return the message of a refusal, and insist on the dialect's own envelope."""
        error = document["error"]
        match self.name:
            case "messages":
                assert document["type"] == "error"
                assert document["request_id"].startswith("call_")
                assert set(error) == {"type", "message"}
            case "generate_content":
                assert (set(error), error["code"]) == (
                    {"code", "message", "status", "details"},
                    status,
                )
                assert error["details"][0]["domain"] == "bursar"
            case _:
                assert set(error) == {"message", "type", "param", "code"}
        assert isinstance(error["message"], str)
        return str(error["message"])

    def error_in(self, stream: bytes) -> str:
        """Return the message of the error event that ends a stream; empty when none does."""
        events = [event for event in stream.replace(b"\r\n", b"\n").split(b"\n\n") if event.strip()]
        if self.name == "chat_completions" and events and events[-1] == b"data: [DONE]":
            events.pop()
        name, _, data = (events[-1] if events else b"").rpartition(b"data: ")
        document = json.loads(data) if data.startswith(b"{") else {}
        match self.name:
            case "messages":
                return str(document["error"]["message"]) if b"event: error" in name else ""
            case "responses":
                if b"event: response.failed" not in name:
                    return ""
                return str(document["response"]["error"]["message"])
            case _:
                return str(document["error"]["message"]) if "error" in document else ""


CHAT = Format(
    name="chat_completions",
    path="/v1/chat/completions",
    stream_path="/v1/chat/completions",
    limit="max_tokens",
    choices="n",
)
RESPONSES = Format(
    name="responses",
    path="/v1/responses",
    stream_path="/v1/responses",
    limit="max_output_tokens",
)
MESSAGES = Format(
    name="messages",
    path="/v1/messages",
    stream_path="/v1/messages",
    limit="max_tokens",
)
GENERATE = Format(
    name="generate_content",
    path=f"/v1beta/models/{MODEL}:generateContent",
    stream_path=f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse",
    limit="maxOutputTokens",
    holder="generationConfig",
    choices="candidateCount",
)
FORMATS = (CHAT, RESPONSES, MESSAGES, GENERATE)
