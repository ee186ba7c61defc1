"""generateContent: Google's format, at Vertex and at the Gemini API."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

import msgspec

from policies.demand import Demand, ToolDemand
from proxy.dialects import json_text
from proxy.dialects.add_ons import add_ons
from proxy.dialects.answer import Answer
from proxy.dialects.counts import ABSENT, decoded, is_absent, name_of
from proxy.dialects.gemini_usage import METADATA, Metadata
from proxy.dialects.hidden_input import hidden_input
from proxy.dialects.interface import ErrorKind, MalformedRequest, Meter, ParsedRequest
from proxy.dialects.json_text import Budget, Choices, Limit
from proxy.dialects.metering import ArrayMeter, BodyMeter, EventMeter, is_event_stream
from proxy.dialects.other_models import other_models

# Every field may be written in camelCase or in snake_case.
_FIELDS: Final = {
    "cached_content": "cachedContent",
    "candidate_count": "candidateCount",
    "contents": "contents",
    "generation_config": "generationConfig",
    "max_output_tokens": "maxOutputTokens",
    "response_modalities": "responseModalities",
    "service_tier": "serviceTier",
    "system_instruction": "systemInstruction",
    "thinking_budget": "thinkingBudget",
    "thinking_config": "thinkingConfig",
    "thinking_level": "thinkingLevel",
    "tools": "tools",
}
# Tokens that the body's bytes do not show: media in base64, files by address.
_HIDDEN: Final = json_text.names_pattern({"fileData", "file_data", "inlineData", "inline_data"})
# A media type: an unescaped quote begins it, and its slash may be escaped.
_AUDIO: Final = re.compile(rb'"(?<!\\")[aA][uU][dD][iI][oO]\\?/')
#: Tools that the client runs; whatever else is declared, Google runs and bills.
_CLIENT_TOOLS: Final = frozenset({"computer_use", "function_declarations"})
_CAPITAL: Final = re.compile(r"(?<=[a-z0-9])([A-Z])")
# Spaces and all: a body may be pretty-printed.
_FINISHES: Final = re.compile(rb'"(?:finishReason|blockReason)"\s*+:\s*+"')


class _ThinkingConfig(msgspec.Struct, rename="camel"):
    thinking_budget: Budget = None
    snake_thinking_budget: Budget = msgspec.field(name="thinking_budget", default=None)
    thinking_level: Any = None
    snake_thinking_level: Any = msgspec.field(name="thinking_level", default=None)


class _GenerationConfig(msgspec.Struct, rename="camel"):
    max_output_tokens: Limit = None
    snake_max_output_tokens: Limit = msgspec.field(name="max_output_tokens", default=None)
    candidate_count: Choices = None
    snake_candidate_count: Choices = msgspec.field(name="candidate_count", default=None)
    thinking_config: _ThinkingConfig | None = None
    snake_thinking_config: _ThinkingConfig | None = msgspec.field(
        name="thinking_config", default=None
    )
    response_modalities: list[str] | None = None
    snake_response_modalities: list[str] | None = msgspec.field(
        name="response_modalities", default=None
    )


class _Request(msgspec.Struct, rename="camel"):
    contents: msgspec.Raw = ABSENT
    system_instruction: msgspec.Raw = ABSENT
    snake_system_instruction: msgspec.Raw = msgspec.field(name="system_instruction", default=ABSENT)
    generation_config: _GenerationConfig | None = None
    snake_generation_config: _GenerationConfig | None = msgspec.field(
        name="generation_config", default=None
    )
    tools: list[dict[str, msgspec.Raw]] | None = None
    cached_content: str | None = None
    snake_cached_content: str | None = msgspec.field(name="cached_content", default=None)
    service_tier: str | None = None
    snake_service_tier: str | None = msgspec.field(name="service_tier", default=None)


class GenerateContent:
    """The dialect of `:generateContent` and `:streamGenerateContent`."""

    name: Final = "generate_content"

    def parse(self, body: bytes, *, path_model: str | None, path_streams: bool) -> ParsedRequest:
        """Read a request body; the model and whether the answer is a stream stand in the path."""
        body = json_text.plain(body)
        request, members = json_text.decode(_Request, body)
        if path_model is None:
            raise MalformedRequest(
                "The path names no model. Set project and location, or an API key, in the client, "
                "so that it sends to '.../models/{model}:generateContent'.",
                "model",
            )
        model = json_text.model_name(path_model, None)
        config = _either(request, "generation_config") or _GenerationConfig()
        thinking = _either(config, "thinking_config") or _ThinkingConfig()
        budget = _either(thinking, "thinking_budget")
        # A level asks for thinking whatever the budget says.
        limited = budget is not None and budget >= 0 and not _either(thinking, "thinking_level")
        added = add_ons(model, members)
        demand = _demand(request, config, budget, body, model)
        return ParsedRequest(
            model=model,
            stream=path_streams,
            demand=replace(demand, server_tools=(*demand.server_tools, *added.tools)),
            # Google has not said whether the output limit covers thoughts (protocols.md, B). A
            # stated budget is added to it; one that the model chooses has no number to add.
            notes=() if limited else ("thinkingBudget",),
            other_models=other_models(members),
            unpriced=added.unpriced,
        )

    def meter(self, *, streamed: bool, content_type: str, strip_usage: bool) -> Meter:
        """Return a meter for one answer; usage belongs to the format and is never stripped."""
        if is_event_stream(content_type, streamed=streamed):
            return EventMeter(GeneratedAnswer())
        if streamed:
            return ArrayMeter(GeneratedAnswer())
        return BodyMeter(GeneratedAnswer())

    def with_output_limit(self, body: bytes, tokens: int) -> bytes:
        """Return the body with its output limit lowered, or with one set."""
        members = json_text.members(body)
        place, config = _in_force(members, "generationConfig", "generation_config")
        limits = json_text.members(config)
        name, _ = _in_force(limits, "maxOutputTokens", "max_output_tokens")
        limits = json_text.lowered(limits, (name,), name, tokens)
        members[place] = msgspec.Raw(json_text.written(limits))
        return json_text.written(members)

    def with_usage_requested(self, body: bytes) -> bytes:
        """Return the body as it is: usage comes unasked."""
        return body

    def error_body(
        self, *, status: int, kind: ErrorKind, message: str, call_id: str, param: str | None = None
    ) -> bytes:
        """Return the JSON body of an error answer."""
        return _error_body(status, kind, message, call_id)

    def stream_error(
        self,
        *,
        kind: ErrorKind,
        message: str,
        call_id: str,
        content_type: str = "text/event-stream",
    ) -> bytes:
        """Return what ends a stream with an error: an event, or the array's last element."""
        body = _error_body(_STREAM_STATUS.get(kind, 502), kind, message, call_id)
        if is_event_stream(content_type, streamed=False):
            return b"data: " + body + b"\r\n\r\n"
        # Only where an element was complete is the array whole again; a cut one cannot be mended.
        return b"\n,\r\n" + body + b"\n]"


_STATUS_WORDS: Final = {
    ErrorKind.BUDGET_EXCEEDED: "RESOURCE_EXHAUSTED",
    ErrorKind.WALLET_EXHAUSTED: "RESOURCE_EXHAUSTED",
    ErrorKind.UNPRICED: "FAILED_PRECONDITION",
    ErrorKind.UNAUTHENTICATED: "UNAUTHENTICATED",
    ErrorKind.MODEL_NOT_ALLOWED: "PERMISSION_DENIED",
    ErrorKind.NOT_ALLOWED: "PERMISSION_DENIED",
    ErrorKind.MALFORMED: "INVALID_ARGUMENT",
    ErrorKind.BODY_TOO_LARGE: "INVALID_ARGUMENT",
    ErrorKind.NOT_FOUND: "NOT_FOUND",
    ErrorKind.METHOD_NOT_ALLOWED: "INVALID_ARGUMENT",
    ErrorKind.UPGRADE_REQUIRED: "FAILED_PRECONDITION",
    ErrorKind.OVERLOADED: "UNAVAILABLE",
    ErrorKind.LEDGER_UNAVAILABLE: "UNAVAILABLE",
    ErrorKind.UPSTREAM_UNREACHABLE: "UNAVAILABLE",
    ErrorKind.UPSTREAM_TIMEOUT: "DEADLINE_EXCEEDED",
    ErrorKind.UPSTREAM_CUT: "UNAVAILABLE",
    ErrorKind.INTERNAL: "INTERNAL",
}
# SDKs raise the code inside of the event, the stream's status being 200.
_STREAM_STATUS: Final = {
    ErrorKind.BUDGET_EXCEEDED: 402,
    ErrorKind.WALLET_EXHAUSTED: 402,
    ErrorKind.LEDGER_UNAVAILABLE: 503,
    ErrorKind.UPSTREAM_TIMEOUT: 504,
    ErrorKind.INTERNAL: 500,
}


def _error_body(status: int, kind: ErrorKind, message: str, call_id: str) -> bytes:
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": kind.value.upper(),
        "domain": "bursar",
        "metadata": {"call_id": call_id},
    }
    error = {
        "code": status,
        "message": message,
        "status": _STATUS_WORDS[kind],
        "details": [info],
    }
    return msgspec.json.encode({"error": error})


def _either(holder: msgspec.Struct, name: str) -> Any:  # noqa: ANN401 - The field's own type.
    """Return a field in whichever spelling it is given.

    Raises:
        MalformedRequest: it is given in both, and servers disagree on which one counts.
    """
    camel, snake = getattr(holder, name), getattr(holder, f"snake_{name}")
    if camel is not None and snake is not None:
        raise MalformedRequest(
            f"'{_FIELDS[name]}' and '{name}' are the same field. Give it once.", _FIELDS[name]
        )
    return snake if camel is None else camel


def _in_force(members: json_text.Members, camel: str, snake: str) -> tuple[str, msgspec.Raw]:
    """Return the spelling that says something, and what it says; take the other one out.

    A null beside it could count for more with a server that reads the other spelling first.
    """
    given, other = (camel, snake) if is_absent(members.get(snake, ABSENT)) else (snake, camel)
    members.pop(other, None)
    return given, members.get(given, ABSENT)


def _demand(
    request: _Request, config: _GenerationConfig, budget: int | None, body: bytes, model: str
) -> Demand:
    # A system instruction may hold media as well.
    parts = (request.contents, request.system_instruction, request.snake_system_instruction)
    hidden = hidden_input(_HIDDEN, "contents", *parts)
    cached = _either(request, "cached_content")
    modalities = _either(config, "response_modalities") or ()
    tools = [_snake(kind) for tool in request.tools or () for kind in tool]
    return Demand(
        model=model,
        body_bytes=len(body),
        output_limit=_either(config, "max_output_tokens"),
        output_beside_limit=max(budget or 0, 0),
        choices=_either(config, "candidate_count") or 1,
        hidden_input=(*hidden, *(("cachedContent",) if cached else ())),
        server_tools=tuple(ToolDemand(kind=kind) for kind in tools if kind not in _CLIENT_TOOLS),
        declares_tools=bool(tools),
        service_tier=_either(request, "service_tier"),
        # What is too crowded to be looked through is priced as if it were media anyway.
        audio=(hidden != ("contents",) and any(map(_AUDIO.search, parts)))
        or "AUDIO" in map(str.upper, modalities),
    )


def _snake(name: str) -> str:
    return _CAPITAL.sub(r"_\1", name).lower()


class _Web(msgspec.Struct, rename="camel"):
    web_search_queries: list[Any] | None = None


class _Addresses(msgspec.Struct, rename="camel"):
    url_metadata: list[Any] | None = None


class _Candidate(msgspec.Struct, rename="camel"):
    index: Any = None
    finish_reason: Any = None
    url_context_metadata: _Addresses | None = None
    grounding_metadata: _Web | None = None


class _Feedback(msgspec.Struct, rename="camel"):
    block_reason: Any = None


class _Chunk(msgspec.Struct, rename="camel"):
    candidates: msgspec.Raw = ABSENT
    usage_metadata: msgspec.Raw = ABSENT
    prompt_feedback: msgspec.Raw = ABSENT
    model_version: Any = None
    response_id: Any = None
    error: msgspec.Raw = ABSENT


_CHUNK: Final = msgspec.json.Decoder(_Chunk)
_CHUNKS: Final = msgspec.json.Decoder(list[_Chunk])
_FEEDBACK: Final = msgspec.json.Decoder(_Feedback)
_CANDIDATES: Final = msgspec.json.Decoder(list[_Candidate])


class GeneratedAnswer(Answer):
    """What an answer in generateContent has said so far."""

    def __init__(self) -> None:
        super().__init__()
        self._metadata = Metadata()
        self._web_searches = 0
        self._usage_at_end = False
        #: Candidates by their index: each has an end of its own.
        self._seen: set[int] = set()
        self._finished: set[int] = set()
        self._code_runs = 0

    @property
    def usage_is_final(self) -> bool:
        """When it came with the last candidate's finish, or after it.

        Even then a chunk may follow that counts more: only the connection's end is the end.
        """
        return self._usage_at_end

    def tells(self, block: bytes) -> bool:
        """Chunks with usage, a finish, an error or tools, several candidates', and the first id."""
        if not self.produced_output and b'"parts"' in block:
            self.produced_output = True
        return (
            b'"usageMetadata"' in block
            or self.generation_id is None
            or b'"error"' in block
            or b'"groundingMetadata"' in block
            or b'"index"' in block
            or b'"executableCode"' in block
            or b'"urlContextMetadata"' in block
            or _FINISHES.search(block) is not None
        )

    def note(self, data: bytes) -> None:
        """Take note of a chunk."""
        chunk = decoded(_CHUNK, data)
        if chunk is not None:
            self._note(chunk)
            self.identify_elsewhere(data)

    def note_body(self, body: bytes) -> None:
        """Take note of a whole answer; some servers wrap an error, or all chunks, in an array."""
        whole = decoded(_CHUNK, body)
        chunks = decoded(_CHUNKS, body) if whole is None else [whole]
        if chunks is None:
            self.note_unreadable(body)
            return
        self.produced_output = b'"parts"' in body
        for chunk in chunks:
            self._note(chunk)
        self.identify_elsewhere(body)
        self._usage_at_end = True

    def _note(self, chunk: _Chunk) -> None:
        self.identify(chunk.response_id, chunk.model_version)
        feedback = decoded(_FEEDBACK, chunk.prompt_feedback)
        # A prompt that is blocked has no candidates.
        self.finish = (feedback and name_of(feedback.block_reason)) or self.finish
        self._note_candidates(chunk.candidates)
        if not is_absent(chunk.error):
            self.note_error(chunk.error)
            self.terminal = True
        if not is_absent(chunk.usage_metadata):
            self._count(chunk.usage_metadata)

    def _note_candidates(self, raw: msgspec.Raw) -> None:
        if is_absent(raw):
            return
        # Output after the last usage has not been counted, unless usage comes with it.
        self._usage_at_end = False
        searches = addresses = 0
        for candidate in decoded(_CANDIDATES, raw) or ():
            index = candidate.index if isinstance(candidate.index, int) else 0
            self._seen.add(index)
            finish = name_of(candidate.finish_reason)
            if finish is not None:
                self.finish = finish
                self._finished.add(index)
            addresses += len((candidate.url_context_metadata or _Addresses()).url_metadata or ())
            grounding = candidate.grounding_metadata or _Web()
            searches += len(grounding.web_search_queries or ())
        self._web_searches = max(self._web_searches, searches)
        self._code_runs += bytes(raw).count(b'"executableCode"')
        self.note_tool_calls("code_execution", self._code_runs)
        self.note_tool_calls("url_context", addresses)

    def _count(self, raw: msgspec.Raw) -> None:
        metadata = decoded(METADATA, raw)
        if metadata is None:
            self.note_usage(None)
            return
        self._metadata = self._metadata.then(metadata)
        self.service_tier = name_of(self._metadata.traffic_type)
        self.note_usage(self._metadata.lines(self._web_searches))
        self._usage_at_end = self.finish is not None and self._seen <= self._finished
