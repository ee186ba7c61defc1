"""Responses as the providers speak it: one object, or named events up to the terminal one."""

from typing import Annotated, Any, Final

import msgspec

from proxy.simulator.answers import Answer, Asked, Malformed, encode, sse, told_cost
from proxy.simulator.paths import Flavour
from proxy.simulator.text import pieces, words
from proxy.simulator.usage import Usage


class _Request(msgspec.Struct):
    model: str
    input: msgspec.Raw = msgspec.Raw(b"null")
    stream: bool | None = None
    max_output_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    background: bool | None = None
    previous_response_id: str | None = None


_DECODER: Final = msgspec.json.Decoder(_Request)
_TERMINAL: Final = {"completed": "response.completed", "incomplete": "response.incomplete"}


def parse(body: bytes, flavour: Flavour) -> Asked:
    """Read a request."""
    try:
        request = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Malformed(str(error)) from error
    return Asked(
        model=request.model,
        streamed=bool(request.stream),
        output_limit=request.max_output_tokens,
        # Venice keeps nothing, so nothing can go on in the background there.
        background=bool(request.background) and flavour != Flavour.VENICE,
        previous_response_id=request.previous_response_id,
    )


def usage_document(answer: Answer, usage: Usage) -> dict[str, Any]:
    """Usage with all details as subsets of input and output."""
    details: dict[str, Any] = {"cached_tokens": usage.cache_read}
    if answer.flavour in {Flavour.OPENAI, Flavour.AGIPOWER}:
        details["cache_write_tokens"] = usage.cache_write
    if answer.flavour == Flavour.OPENAI:
        details["cache_write_tokens_details"] = {
            "ttl_30m_tokens": usage.cache_write,
            "ttl_12h_tokens": 0,
        }
    if answer.flavour == Flavour.AGIPOWER and usage.web_searches:
        details["web_search"] = usage.web_searches
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": details,
        "output_tokens": usage.completion,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
        **told_cost(answer),
    }


def document(answer: Answer, status: str) -> dict[str, Any]:
    """The response object in one of its states; usage is there in the terminal ones alone."""
    ended = status in _TERMINAL
    incomplete = {"reason": "max_output_tokens"} if status == "incomplete" else None
    response = {
        "id": answer.id,
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "background": answer.asked.background,
        "error": None,
        "incomplete_details": incomplete,
        "instructions": None,
        "metadata": {},
        "model": answer.model,
        "output": [_message(answer, words(answer.visible), status)] if ended else [],
        "parallel_tool_calls": True,
        "previous_response_id": answer.asked.previous_response_id,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "service_tier": "default",
        "usage": usage_document(answer, answer.usage) if ended else None,
    }
    if ended and answer.usage.web_searches and answer.flavour == Flavour.OPENAI:
        response["tool_usage"] = {"web_search": {"num_requests": answer.usage.web_searches}}
    if ended and answer.flavour == Flavour.VERCEL:
        response["providerMetadata"] = {"gateway": {"generationId": answer.gateway_id}}
    return response


def _message(answer: Answer, text: str, status: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}] if text else []
    return {
        "type": "message",
        "id": _message_id(answer),
        "status": status,
        "role": "assistant",
        "content": content,
    }


def _message_id(answer: Answer) -> str:
    return f"msg_{answer.id[-32:]}"


def final_status(answer: Answer) -> str:
    """How the response ends."""
    return "incomplete" if answer.scenario.finish == "length" else "completed"


def body(answer: Answer) -> bytes:
    """The whole answer."""
    return encode(document(answer, final_status(answer)))


class _Numbered:
    """Events with their sequence numbers."""

    def __init__(self) -> None:
        self.events: list[bytes] = []

    def add(self, name: str, **fields: object) -> None:
        data = encode({"type": name, "sequence_number": len(self.events), **fields})
        self.events.append(sse(name, data))

    def add_delta(self, head: bytes, text: bytes) -> None:
        """The one event that is frequent, put together from bytes."""
        number = b'{"type":"response.output_text.delta","sequence_number":%d,' % len(self.events)
        self.events.append(
            b"event: response.output_text.delta\ndata: " + number + head + text + b"}\n\n"
        )


def events(answer: Answer) -> list[bytes]:
    """The answer as a stream."""
    stream = _Numbered()
    first = "queued" if answer.asked.background else "in_progress"
    stream.add("response.created", response=document(answer, first))
    stream.add(f"response.{first}", response=document(answer, first))
    place = {"item_id": _message_id(answer), "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": []}
    stream.add(
        "response.output_item.added", output_index=0, item=_message(answer, "", "in_progress")
    )
    stream.add("response.content_part.added", **place, part=part)
    head = encode({**place, "logprobs": []})[1:-1] + b',"delta":'
    for delta in pieces(answer.visible, answer.chunks):
        stream.add_delta(head, delta)
    text = words(answer.visible)
    stream.add("response.output_text.done", **place, text=text, logprobs=[])
    stream.add("response.content_part.done", **place, part={**part, "text": text})
    status = final_status(answer)
    stream.add("response.output_item.done", output_index=0, item=_message(answer, text, status))
    stream.add(_TERMINAL[status], response=document(answer, status))
    if answer.flavour == Flavour.VENICE:
        stream.events.append(b"data: [DONE]\n\n")
    return stream.events
