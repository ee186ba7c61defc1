"""Responses: OpenAI's format with state, tools and background work on the provider's side."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, Final

import msgspec

from policies.demand import Demand, ToolDemand
from proxy.dialects import json_text, openai_errors
from proxy.dialects.add_ons import add_ons
from proxy.dialects.answer import Answer
from proxy.dialects.counts import ABSENT, decoded, is_absent, name_of, opens_with
from proxy.dialects.hidden_input import hidden_input
from proxy.dialects.interface import ErrorKind, Meter, ParsedRequest
from proxy.dialects.metering import BodyMeter, EventMeter, is_event_stream
from proxy.dialects.openai_usage import response_lines
from proxy.dialects.other_models import other_models

# Later than every event that was relayed: nobody counts those, and clients want the number to grow.
_SEQUENCE_LAST: Final = 2**31 - 1

# Tokens that the body's bytes do not show: pictures and files, and items that the provider kept.
_HIDDEN: Final = json_text.names_pattern(
    {
        "audio_url",
        "compaction",
        "computer_call_output",
        "file_data",
        "file_id",
        "file_ids",
        "file_url",
        "image_generation_call",
        "image_url",
        "input_audio",
        "input_file",
        "input_image",
        "input_video",
        "item_reference",
        "vector_store_ids",
        "video_url",
    }
)
# Tools that the client runs. `computer` is not among them: its screenshots come back as input that
# no byte of the request shows. Unknown ones count as the provider's.
_CLIENT_TOOLS: Final = frozenset(
    {None, "apply_patch", "custom", "function", "local_shell", "namespace", "tool_search"}
)
_SEARCH: Final = re.compile(rb'"type"\s*+:\s*+"web_search_call"')
# Tools that are billed by the call, if the provider ran them.
_CALLS: Final = re.compile(
    rb'"type"\s*+:\s*+"(code_interpreter|computer|file_search|image_generation|mcp)_call"'
)
_ENDS: Final = frozenset({"cancelled", "completed", "failed", "incomplete"})


class _Tool(msgspec.Struct):
    type: str | None = None
    model: Any = None
    container: msgspec.Raw = ABSENT
    vector_store_ids: msgspec.Raw = ABSENT


class _Management(msgspec.Struct):
    type: str | None = None


class _Reasoning(msgspec.Struct):
    max_tokens: json_text.Budget = None


class _Request(msgspec.Struct):
    model: str | None = None
    input: msgspec.Raw = ABSENT
    instructions: msgspec.Raw = ABSENT
    stream: bool | None = None
    background: bool | None = None
    max_output_tokens: json_text.Limit = None
    max_tool_calls: Annotated[int, msgspec.Meta(ge=0)] | None = None
    tools: list[_Tool] | None = None
    previous_response_id: str | None = None
    conversation: msgspec.Raw = ABSENT
    prompt: msgspec.Raw = ABSENT
    context_management: list[_Management] | None = None
    reasoning: _Reasoning | None = None
    prompt_cache_options: json_text.CacheOptions | None = None
    prompt_cache_retention: str | None = None
    service_tier: str | None = None
    user: Any = None


class Responses:
    """The dialect of `/v1/responses`."""

    name: Final = "responses"

    def parse(self, body: bytes, *, path_model: str | None, path_streams: bool) -> ParsedRequest:
        """Read a request body."""
        body = json_text.plain(body)
        request, members = json_text.decode(_Request, body)
        model = json_text.model_name(path_model, request.model)
        added = add_ons(model, members)
        return ParsedRequest(
            model=model,
            stream=bool(request.stream) or path_streams,
            demand=_demand(request, body, model, added.tools),
            user=request.user if isinstance(request.user, str) else None,
            previous_response_id=request.previous_response_id,
            other_models=other_models(members),
            unpriced=added.unpriced,
        )

    def meter(self, *, streamed: bool, content_type: str, strip_usage: bool) -> Meter:
        """Return a meter for one answer; usage belongs to the format and is never stripped."""
        if is_event_stream(content_type, streamed=streamed):
            return EventMeter(ResponsesAnswer())
        return BodyMeter(ResponsesAnswer())

    def with_output_limit(self, body: bytes, tokens: int) -> bytes:
        """Return the body with its output limit lowered, or with one set."""
        members = json_text.members(body)
        name = "max_output_tokens"
        return json_text.written(json_text.lowered(members, (name,), name, tokens))

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
        """Return what ends a stream with an error: `response.failed`, which every client knows."""
        error = openai_errors.error(kind, message)
        # Codex stops at this code alone, and takes any other for something to try again.
        quota = error.type == "insufficient_quota"
        response: dict[str, object] = {
            "id": call_id,
            "object": "response",
            "status": "failed",
            "error": {"code": error.type if quota else error.code, "message": message},
            "incomplete_details": None,
            "output": [],
            "usage": None,
        }
        event = {
            "type": "response.failed",
            "sequence_number": _SEQUENCE_LAST,
            "response": response,
        }
        return b"event: response.failed\ndata: " + msgspec.json.encode(event) + b"\n\n"


def _demand(request: _Request, body: bytes, model: str, added: tuple[ToolDemand, ...]) -> Demand:
    hidden = [*hidden_input(_HIDDEN, "input", request.input)]
    stateful = {
        "conversation": not is_absent(request.conversation),
        "previous_response_id": request.previous_response_id is not None,
        "prompt": not is_absent(request.prompt),
    }
    hidden += [name for name, given in stateful.items() if given]
    hidden += _hidden_in_tools(request.tools or ())
    return Demand(
        model=model,
        body_bytes=len(body),
        output_limit=request.max_output_tokens,
        output_beside_limit=max(0, request.reasoning.max_tokens or 0) if request.reasoning else 0,
        hidden_input=tuple(hidden),
        server_tools=(*_server_tools(request), *added),
        declares_tools=bool(request.tools),
        cache_write=json_text.cache_write(
            body, request.prompt_cache_options, request.prompt_cache_retention
        ),
        service_tier=request.service_tier,
        audio="input_audio" in hidden,
        background=bool(request.background),
    )


def _hidden_in_tools(tools: Iterable[_Tool]) -> list[str]:
    """Return what tools bring along that the provider has: files, and other servers' tools.

    That is input even where `max_tool_calls` lets none of them run.
    """
    hidden = set()
    for tool in tools:
        # An object describes a new container, empty but for the files it names.
        if opens_with(tool.container, b'"') or b'"file_ids"' in bytes(tool.container):
            hidden.add("container")
        if not is_absent(tool.vector_store_ids):
            hidden.add("vector_store_ids")
        if tool.type == "mcp":
            hidden.add("mcp")
    return sorted(hidden)


def _server_tools(request: _Request) -> tuple[ToolDemand, ...]:
    tools = [
        # The limit is for all tools together; each of them may use it up.
        ToolDemand(kind=tool.type, calls_max=request.max_tool_calls)
        for tool in request.tools or ()
        if tool.type is not None and tool.type not in _CLIENT_TOOLS
    ]
    if any(item.type == "compaction" for item in request.context_management or ()):
        tools.append(ToolDemand(kind="compaction", calls_max=1))
    return tuple(tools)


class _Billed(msgspec.Struct):
    cost: msgspec.Raw = ABSENT


class _Response(msgspec.Struct):
    id: Any = None
    model: Any = None
    status: Any = None
    incomplete_details: dict[str, Any] | None = None
    service_tier: Any = None
    output: msgspec.Raw = ABSENT
    tools: msgspec.Raw = ABSENT
    usage: msgspec.Raw = ABSENT
    tool_usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


class _Event(msgspec.Struct):
    type: Any = None
    code: Any = None
    message: msgspec.Raw = ABSENT
    response: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


_EVENT: Final = msgspec.json.Decoder(_Event)
_RESPONSE: Final = msgspec.json.Decoder(_Response)
_BILLED: Final = msgspec.json.Decoder(_Billed)
_TOOLS: Final = msgspec.json.Decoder(list[_Tool])


class ResponsesAnswer(Answer):
    """What an answer in Responses has said so far."""

    @property
    def usage_is_final(self) -> bool:
        """Once the response has ended; servers that name no status send usage only then."""
        return self.terminal or self.status is None or self.status in _ENDS

    def tells(self, block: bytes) -> bool:
        """Only events that carry the response object or an error tell something."""
        if not self.produced_output and (b'.delta"' in block or b'"response.output_' in block):
            self.produced_output = True
        return b'"response"' in block or b'"error"' in block

    def note(self, data: bytes) -> None:
        """Take note of an event."""
        event = decoded(_EVENT, data)
        if event is None:
            return
        kind = event.type if isinstance(event.type, str) else ""
        response = None if is_absent(event.response) else decoded(_RESPONSE, event.response)
        if response is not None:
            self.terminal = (
                kind.removeprefix("response.") in _ENDS or name_of(response.status) in _ENDS
            )
            self._note(response)
        elif kind == "error":
            # OpenAI's documents have the message beside the type; its servers nest it as well.
            self.note_error(event.message if is_absent(event.error) else event.error, event.code)
            self.terminal = True

    def note_body(self, body: bytes) -> None:
        """Take note of a whole answer, of the POST or of a later GET."""
        response = decoded(_RESPONSE, body)
        if response is None:
            self.note_unreadable(body)
            return
        self._note(response)
        self.identify_elsewhere(body)

    def _note(self, response: _Response) -> None:
        self.identify(response.id, response.model)
        if self.generation_id and self.generation_id.startswith("resp_chatcmpl-"):
            # Venice's billing knows the answer as the chat's (providers.md, 7).
            self.also_identify(self.generation_id.removeprefix("resp_"))
        self.status = name_of(response.status) or self.status
        self.finish = name_of((response.incomplete_details or {}).get("reason")) or self.status
        self.service_tier = name_of(response.service_tier) or self.service_tier
        self.produced_output = self.produced_output or b"{" in bytes(response.output)
        self.note_error(response.error)
        for kind, number in Counter(_CALLS.findall(response.output)).items():
            self.note_tool_calls(kind.decode(), number)
        if not is_absent(response.usage):
            self.note_usage(
                response_lines(
                    response.usage,
                    response.tool_usage,
                    search_calls=len(_SEARCH.findall(response.output)),
                    picture_model=_picture_model(response.tools),
                )
            )
            billed = decoded(_BILLED, response.usage)
            if billed is not None:
                self.note_cost("USD", billed.cost)


def _picture_model(raw: msgspec.Raw) -> str:
    """Return the model that draws, as far as the answer repeats it from the request."""
    for tool in decoded(_TOOLS, raw) or ():
        if tool.type == "image_generation":
            return name_of(tool.model) or tool.type
    return "image_generation"
