"""Chat Completions: OpenAI's first chat format, and what most providers imitate."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from policies.demand import Demand, ToolDemand
from proxy.dialects import json_text, openai_errors
from proxy.dialects.add_ons import add_ons
from proxy.dialects.answer import Answer
from proxy.dialects.counts import ABSENT, decoded, is_absent, name_of
from proxy.dialects.hidden_input import hidden_input
from proxy.dialects.interface import ErrorKind, Meter, ParsedRequest
from proxy.dialects.json_text import Budget, Choices, Limit
from proxy.dialects.metering import BodyMeter, EventMeter, is_event_stream
from proxy.dialects.openai_usage import chat_lines
from proxy.dialects.other_models import other_models
from proxy.dialects.usage_stripping import without_usage

DONE: Final = b"data: [DONE]\n\n"

# Where both are given the larger one bounds: some servers read only one of them, and Venice ignores
# `max_tokens` beside the other.
_LIMITS: Final = ("max_completion_tokens", "max_tokens")
# Tokens that the body's bytes do not show: pictures, files and sound, by address, id or in base64.
_HIDDEN: Final = json_text.names_pattern(
    {
        "attachments",
        "audio",
        "audio_url",
        "cachedContent",
        "cached_content",
        "document",
        "file",
        "file_data",
        "file_id",
        "file_ids",
        "image",
        "image_url",
        "images",
        "input_audio",
        "input_file",
        "input_image",
        "input_video",
        "vector_store_ids",
        "video",
        "video_url",
    }
)
_AUDIO: Final = frozenset({"audio", "audio_url", "input_audio"})
#: Tools that the client runs; whatever else is declared, the provider runs and bills.
_CLIENT_TOOLS: Final = frozenset({None, "function", "custom"})


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _UsageOptions(msgspec.Struct):
    include: bool | None = None


class _Tool(msgspec.Struct):
    type: str | None = None


class _Reasoning(msgspec.Struct):
    max_tokens: Budget = None
    budget_tokens: Budget = None


class _Request(msgspec.Struct):
    model: str | None = None
    messages: msgspec.Raw = ABSENT
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    usage: _UsageOptions | None = None
    max_completion_tokens: Limit = None
    max_tokens: Limit = None
    n: Choices = None
    best_of: Choices = None
    prediction: msgspec.Raw = ABSENT
    modalities: list[str] | None = None
    audio: msgspec.Raw = ABSENT
    reasoning: _Reasoning | None = None
    thinking: _Reasoning | None = None
    thinking_budget: Budget = None
    cached_content: msgspec.Raw = ABSENT
    prompt_cache_options: json_text.CacheOptions | None = None
    prompt_cache_retention: str | None = None
    tools: list[_Tool] | None = None
    functions: msgspec.Raw = ABSENT
    service_tier: str | None = None
    user: Any = None


class ChatCompletions:
    """The dialect of `/v1/chat/completions`."""

    name: Final = "chat_completions"

    def parse(self, body: bytes, *, path_model: str | None, path_streams: bool) -> ParsedRequest:
        """Read a request body."""
        body = json_text.plain(body)
        request, members = json_text.decode(_Request, body)
        model = json_text.model_name(path_model, request.model)
        added = add_ons(model, members)
        streams = bool(request.stream) or path_streams
        asked_usage = request.usage is not None and bool(request.usage.include)
        options = request.stream_options
        return ParsedRequest(
            model=model,
            stream=streams,
            demand=_demand(request, members, body, model=model, added=added.tools),
            usage_requested=asked_usage or (options is not None and bool(options.include_usage)),
            # `usage.include` beside `stream_options.include_usage` is an error (providers.md, 22).
            can_request_usage=streams and not asked_usage,
            user=request.user if isinstance(request.user, str) else None,
            other_models=other_models(members),
            unpriced=added.unpriced,
        )

    def meter(self, *, streamed: bool, content_type: str, strip_usage: bool) -> Meter:
        """Return a meter for one answer."""
        if is_event_stream(content_type, streamed=streamed):
            return EventMeter(ChatAnswer(), without_usage if strip_usage else None)
        return BodyMeter(ChatAnswer())

    def with_output_limit(self, body: bytes, tokens: int) -> bytes:
        """Return the body with its output limits lowered, or one set."""
        members = json_text.members(body)
        return json_text.written(json_text.lowered(members, _LIMITS, _LIMITS[0], tokens))

    def with_usage_requested(self, body: bytes) -> bytes:
        """Return the body with usage asked for in the stream."""
        members = json_text.members(body)
        options = json_text.members(members.get("stream_options", ABSENT))
        options["include_usage"] = msgspec.Raw(b"true")
        members["stream_options"] = msgspec.Raw(json_text.written(options))
        return json_text.written(members)

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
        """Return what ends a stream with an error; SDKs raise it, and stop at `[DONE]`."""
        return b"data: " + openai_errors.error_body(kind, message) + b"\n\n" + DONE


def _demand(
    request: _Request,
    members: json_text.Members,
    body: bytes,
    *,
    model: str,
    added: tuple[ToolDemand, ...],
) -> Demand:
    limits = [
        limit for limit in (request.max_completion_tokens, request.max_tokens) if limit is not None
    ]
    hidden = hidden_input(_HIDDEN, "messages", request.messages)
    hidden += () if is_absent(request.cached_content) else ("cached_content",)
    for name in ("extra_body", "google"):
        hidden += json_text.found(_HIDDEN, json_text.setting(members, name))
    # Rejected predictions are billed as output, and OpenAI does not say that the limit covers them.
    prediction = 0 if is_absent(request.prediction) else len(memoryview(request.prediction))
    return Demand(
        model=model,
        body_bytes=len(body),
        output_limit=max(limits, default=None),
        output_beside_limit=prediction + _thinking(request),
        choices=max(request.n or 1, request.best_of or 1),
        hidden_input=hidden,
        server_tools=(*_server_tools(request), *added),
        declares_tools=bool(request.tools) or not is_absent(request.functions),
        cache_write=json_text.cache_write(
            body, request.prompt_cache_options, request.prompt_cache_retention
        ),
        service_tier=request.service_tier,
        audio=not _AUDIO.isdisjoint(hidden)
        or not is_absent(request.audio)
        or "audio" in (request.modalities or ()),
    )


def _thinking(request: _Request) -> int:
    """Return the thinking that is asked for by its own number; no gateway says where it counts."""
    asked = [request.thinking_budget]
    for given in (request.reasoning, request.thinking):
        asked += [given.max_tokens, given.budget_tokens] if given else []
    return max(0, *(tokens or 0 for tokens in asked))


def _server_tools(request: _Request) -> tuple[ToolDemand, ...]:
    return tuple(
        ToolDemand(kind=tool.type)
        for tool in request.tools or ()
        if tool.type is not None and tool.type not in _CLIENT_TOOLS
    )


class _Billed(msgspec.Struct):
    cost: msgspec.Raw = ABSENT


class _VeniceCost(msgspec.Struct):
    usd: msgspec.Raw = ABSENT
    diem: msgspec.Raw = ABSENT


class _Choice(msgspec.Struct):
    finish_reason: Any = None
    delta: dict[str, Any] | None = None


class _Chunk(msgspec.Struct):
    id: Any = None
    model: Any = None
    service_tier: Any = None
    choices: msgspec.Raw = ABSENT
    usage: msgspec.Raw = ABSENT
    cost: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


_CHUNK: Final = msgspec.json.Decoder(_Chunk)
_CHOICES: Final = msgspec.json.Decoder(list[_Choice])
_BILLED: Final = msgspec.json.Decoder(_Billed)
_VENICE_COST: Final = msgspec.json.Decoder(_VeniceCost)
# A value that is not null. Possessive, or the blank before a null would be taken for the value.
_TELLING: Final = re.compile(rb'"(?:usage|finish_reason)"\s*+:\s*+[^n\s]')


class ChatAnswer(Answer):
    """What an answer in Chat Completions has said so far."""

    def __init__(self) -> None:
        super().__init__()
        self._usage_chunk_seen = False

    @property
    def usage_is_final(self) -> bool:
        """After `[DONE]`, or in the chunk without choices that exists for usage alone."""
        return self.terminal or self._usage_chunk_seen

    def tells(self, block: bytes) -> bool:
        """Until there is an id and output, everything; then usage, the finish, errors, the end."""
        return (
            not self.produced_output
            or self.generation_id is None
            or _TELLING.search(block) is not None
            or b'"error"' in block
            or b"[DONE]" in block
        )

    def note(self, data: bytes) -> None:
        """Take note of a chunk."""
        if data == b"[DONE]":
            self.terminal = True
            return
        chunk = decoded(_CHUNK, data)
        if chunk is None:
            return
        self._note(chunk)
        if not self.produced_output:
            self.identify_elsewhere(data)
        has_choices = b"{" in bytes(chunk.choices)
        choices = decoded(_CHOICES, chunk.choices) if has_choices else []
        for choice in choices or ():
            self.finish = name_of(choice.finish_reason) or self.finish
            if any(value for name, value in (choice.delta or {}).items() if name != "role"):
                self.produced_output = True
        # Choices that cannot be read are output that cannot be read.
        self.produced_output = self.produced_output or choices is None
        self._usage_chunk_seen = not has_choices and not is_absent(chunk.usage)

    def note_body(self, body: bytes) -> None:
        """Take note of a whole answer."""
        chunk = decoded(_CHUNK, body)
        if chunk is None:
            self.note_unreadable(body)
            return
        self._note(chunk)
        self.identify_elsewhere(body)
        for choice in decoded(_CHOICES, chunk.choices) or ():
            self.finish = name_of(choice.finish_reason) or self.finish
        self.produced_output = b"{" in bytes(chunk.choices)
        # A body that decodes is whole, and its usage is for all of it.
        self._usage_chunk_seen = True

    def _note(self, chunk: _Chunk) -> None:
        self.identify(chunk.id, chunk.model)
        self.service_tier = name_of(chunk.service_tier) or self.service_tier
        self.note_error(chunk.error)
        cost = decoded(_VENICE_COST, chunk.cost)
        if cost is not None:
            self.note_cost("USD", cost.usd)
            self.note_cost("DIEM", cost.diem)
        if not is_absent(chunk.usage):
            self.note_usage(chat_lines(chunk.usage))
            billed = decoded(_BILLED, chunk.usage)
            if billed is not None:
                self.note_cost("USD", billed.cost)
