"""Messages: Anthropic's format."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

import msgspec

from policies.demand import Demand, ToolDemand
from proxy.dialects import json_text
from proxy.dialects.add_ons import add_ons
from proxy.dialects.answer import Answer
from proxy.dialects.anthropic_usage import (
    Iteration,
    MessageUsage,
    Numbers,
    lines_of,
    numbers_of,
    tool_calls_of,
)
from proxy.dialects.counts import ABSENT, decoded, is_absent, name_of
from proxy.dialects.hidden_input import hidden_input, without_tool_inputs
from proxy.dialects.interface import ErrorKind, MalformedRequest, Meter, ParsedRequest
from proxy.dialects.metering import BodyMeter, EventMeter, is_event_stream
from proxy.dialects.other_models import other_models

# Tokens that the body's bytes do not show: pictures and documents, by address, id or in base64.
_HIDDEN: Final = json_text.names_pattern(
    {
        "audio",
        "container_upload",
        "document",
        "file_id",
        "image",
        "image_url",
        "input_audio",
        "video",
        "video_url",
    }
)
# Tools whose schema Anthropic knows but which the client runs; what is in neither set, the provider
# runs, in rounds that bill the input again.
_CLIENT_TOOLS: Final = ("bash", "computer", "custom", "memory", "text_editor")
#: `web_search_20250305` is `web_search` with a date.
_DATED: Final = re.compile(r"_\d{8}$")


class _Thinking(msgspec.Struct):
    budget_tokens: json_text.Limit = None


class _Tool(msgspec.Struct):
    type: str | None = None
    max_uses: Annotated[int, msgspec.Meta(ge=0)] | None = None
    max_tokens: json_text.Limit = None


class _Edit(msgspec.Struct):
    type: str | None = None


class _ContextManagement(msgspec.Struct):
    edits: list[_Edit] | None = None


class _Request(msgspec.Struct):
    model: str | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=0, le=json_text.TOKENS_MAX)] | None = None
    stream: bool | None = None
    messages: msgspec.Raw = ABSENT
    system: msgspec.Raw = ABSENT
    tools: list[_Tool] | None = None
    thinking: _Thinking | None = None
    mcp_servers: list[msgspec.Raw] | None = None
    context_management: _ContextManagement | None = None
    container: msgspec.Raw = ABSENT
    thread: msgspec.Raw = ABSENT
    speed: str | None = None
    service_tier: str | None = None
    inference_geo: str | None = None
    metadata: dict[str, Any] | None = None


class Messages:
    """The dialect of `/v1/messages`."""

    name: Final = "messages"

    def parse(self, body: bytes, *, path_model: str | None, path_streams: bool) -> ParsedRequest:
        """Read a request body."""
        body = json_text.plain(body)
        request, members = json_text.decode(_Request, body)
        model = json_text.model_name(path_model, request.model)
        if request.max_tokens is None:
            raise MalformedRequest(
                "'max_tokens' is missing. Set it to the most tokens that the answer may have.",
                "max_tokens",
            )
        user = (request.metadata or {}).get("user_id")
        added = add_ons(model, members)
        return ParsedRequest(
            model=model,
            stream=bool(request.stream) or path_streams,
            demand=_demand(request, body, model, added.tools),
            user=user if isinstance(user, str) else None,
            notes=("inference_geo",) if request.inference_geo else (),
            other_models=other_models(members),
            unpriced=added.unpriced,
        )

    def meter(self, *, streamed: bool, content_type: str, strip_usage: bool) -> Meter:
        """Return a meter for one answer; usage belongs to the format and is never stripped."""
        if is_event_stream(content_type, streamed=streamed):
            return EventMeter(MessagesAnswer())
        return BodyMeter(MessagesAnswer())

    def with_output_limit(self, body: bytes, tokens: int) -> bytes:
        """Return the body with its output limit lowered."""
        members = json_text.members(body)
        return json_text.written(json_text.lowered(members, ("max_tokens",), "max_tokens", tokens))

    def with_usage_requested(self, body: bytes) -> bytes:
        """Return the body as it is: usage comes unasked."""
        return body

    def error_body(
        self, *, status: int, kind: ErrorKind, message: str, call_id: str, param: str | None = None
    ) -> bytes:
        """Return the JSON body of an error answer."""
        return msgspec.json.encode(
            {
                "type": "error",
                "error": {"type": _ERROR_TYPES[kind], "message": message},
                "request_id": call_id,
            }
        )

    def stream_error(
        self,
        *,
        kind: ErrorKind,
        message: str,
        call_id: str,
        content_type: str = "text/event-stream",
    ) -> bytes:
        """Return what ends a stream with an error; SDKs raise it."""
        body = self.error_body(status=200, kind=kind, message=message, call_id=call_id)
        return b"event: error\ndata: " + body + b"\n\n"


_ERROR_TYPES: Final = {
    ErrorKind.BUDGET_EXCEEDED: "billing_error",
    ErrorKind.WALLET_EXHAUSTED: "billing_error",
    ErrorKind.UNPRICED: "invalid_request_error",
    ErrorKind.UNAUTHENTICATED: "authentication_error",
    ErrorKind.MODEL_NOT_ALLOWED: "permission_error",
    ErrorKind.NOT_ALLOWED: "permission_error",
    ErrorKind.MALFORMED: "invalid_request_error",
    ErrorKind.BODY_TOO_LARGE: "request_too_large",
    ErrorKind.NOT_FOUND: "not_found_error",
    ErrorKind.METHOD_NOT_ALLOWED: "invalid_request_error",
    ErrorKind.UPGRADE_REQUIRED: "invalid_request_error",
    ErrorKind.OVERLOADED: "overloaded_error",
    ErrorKind.LEDGER_UNAVAILABLE: "api_error",
    ErrorKind.UPSTREAM_UNREACHABLE: "api_error",
    ErrorKind.UPSTREAM_TIMEOUT: "timeout_error",
    ErrorKind.UPSTREAM_CUT: "api_error",
    ErrorKind.INTERNAL: "api_error",
}


def _demand(request: _Request, body: bytes, model: str, added: tuple[ToolDemand, ...]) -> Demand:
    hidden = [*_hidden_input(request)]
    # A thread's history and a container's files and skills are with the provider.
    hidden += ["container"] if not is_absent(request.container) else []
    hidden += ["thread"] if not is_absent(request.thread) else []
    # What other servers' tools are called, the provider asks them.
    hidden += ["mcp_servers"] if request.mcp_servers else []
    max_tokens = request.max_tokens or 0
    return Demand(
        model=model,
        body_bytes=len(body),
        output_limit=max_tokens,
        output_beside_limit=_beside(request, max_tokens),
        hidden_input=tuple(hidden),
        server_tools=(*_server_tools(request), *added),
        declares_tools=bool(request.tools) or bool(request.mcp_servers),
        cache_write=json_text.cache_write(body),
        service_tier=request.speed
        if request.speed not in {None, "standard"}
        else request.service_tier,
    )


def _hidden_input(request: _Request) -> tuple[str, ...]:
    hidden = hidden_input(_HIDDEN, "messages", request.messages, request.system)
    if not hidden or hidden == ("messages",):
        return hidden
    # Most likely a model has handed such words to a tool; that is looked into only where it may be.
    messages = without_tool_inputs(request.messages)
    return hidden_input(_HIDDEN, "messages", messages, request.system)


def _beside(request: _Request, max_tokens: int) -> int:
    """Return output that `max_tokens` does not bound."""
    # Thinking lies within the limit, so a budget above it is only legal where it is interleaved
    # with tool calls, and then it is not within it.
    thinking = request.thinking.budget_tokens or 0 if request.thinking else 0
    beside = thinking if thinking >= max_tokens else 0
    # An advisor writes on its own account; without a limit of its own the quote has to guess.
    for tool in request.tools or ():
        if tool.max_tokens is not None:
            beside += tool.max_tokens * max(tool.max_uses or 1, 1)
    return beside


def _server_tools(request: _Request) -> tuple[ToolDemand, ...]:
    tools = [
        ToolDemand(kind=_DATED.sub("", tool.type), calls_max=tool.max_uses)
        for tool in request.tools or ()
        if tool.type is not None and not tool.type.startswith(_CLIENT_TOOLS)
    ]
    tools += [ToolDemand(kind="mcp") for _ in request.mcp_servers or ()]
    # A summary is one more pass over the whole input.
    management = request.context_management or _ContextManagement()
    for edit in management.edits or ():
        if (edit.type or "").startswith("compact"):
            tools.append(ToolDemand(kind="compaction", calls_max=1))
    return tuple(tools)


class _Delta(msgspec.Struct):
    stop_reason: Any = None
    usage: msgspec.Raw = ABSENT


class _Message(msgspec.Struct):
    id: Any = None
    model: Any = None
    stop_reason: Any = None
    content: msgspec.Raw = ABSENT
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


class _Event(msgspec.Struct):
    type: Any = None
    message: msgspec.Raw = ABSENT
    delta: msgspec.Raw = ABSENT
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


_EVENT: Final = msgspec.json.Decoder(_Event)
_MESSAGE: Final = msgspec.json.Decoder(_Message)
_DELTA: Final = msgspec.json.Decoder(_Delta)
_USAGE: Final = msgspec.json.Decoder(MessageUsage)


class MessagesAnswer(Answer):
    """What an answer in Messages has said so far."""

    def __init__(self) -> None:
        super().__init__()
        #: The most that any event has said of each number: later events leave numbers out, and some
        #: servers repeat them as zeros (providers.md, 20).
        self._numbers: Numbers = {}
        self._iterations: list[Iteration] = []
        self._output_counted = False
        self._stopped = False

    @property
    def usage_is_final(self) -> bool:
        """When output was counted in the end; `message_start` only says that it begins with 1."""
        return self._output_counted and (self.terminal or self._stopped)

    def tells(self, block: bytes) -> bool:
        """Only `message_start`, `message_delta`, `message_stop` and `error` tell something."""
        if not self.produced_output and b'"content_block_' in block:
            self.produced_output = True
        return b'"message_' in block or b'"error"' in block

    def note(self, data: bytes) -> None:
        """Take note of an event."""
        event = decoded(_EVENT, data)
        if event is None:
            return
        if event.type == "message_start":
            message = decoded(_MESSAGE, event.message) or _Message()
            self.identify(message.id, message.model)
            self.identify_elsewhere(data)
            self._count(message.usage)
        elif event.type == "message_delta":
            delta = decoded(_DELTA, event.delta) or _Delta()
            self.finish = name_of(delta.stop_reason) or self.finish
            self._stopped = delta.stop_reason is not None
            # ZenMux documents usage inside of the delta (providers.md, 21).
            for usage in (delta.usage, event.usage):
                self._output_counted = self._count(usage) or self._output_counted
        elif event.type == "message_stop":
            self.terminal = True
        elif event.type == "error" or not is_absent(event.error):
            self.note_error(event.error)
            self.terminal = True

    def note_body(self, body: bytes) -> None:
        """Take note of a whole answer."""
        message = decoded(_MESSAGE, body)
        if message is None:
            self.note_unreadable(body)
            return
        self.identify(message.id, message.model)
        self.identify_elsewhere(body)
        self.note_error(message.error)
        self.finish = name_of(message.stop_reason)
        self.produced_output = b"{" in bytes(message.content)
        self._stopped = True
        self._output_counted = self._count(message.usage)

    def _count(self, raw: msgspec.Raw) -> bool:
        """Take usage into account; return whether it counts output."""
        if is_absent(raw):
            return False
        usage = decoded(_USAGE, raw)
        if usage is None:
            self.note_usage(None)
            return False
        speed = name_of(usage.speed)
        tier = name_of(usage.service_tier) if speed in {None, "standard"} else speed
        self.service_tier = tier or self.service_tier
        self.note_cost("USD", usage.cost)
        for name, number in numbers_of(usage).items():
            self._numbers[name] = max(number, self._numbers.get(name, 0))
        for kind, calls in tool_calls_of(usage).items():
            self.note_tool_calls(kind, calls)
        self._iterations = usage.iterations or self._iterations
        self.note_usage(lines_of(self._numbers, self._iterations))
        return usage.output_tokens is not None
