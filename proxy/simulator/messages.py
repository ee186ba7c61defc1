"""Messages as the providers speak it: one JSON body, or named events up to `message_stop`."""

from typing import Annotated, Any, Final

import msgspec

from proxy.simulator.answers import Answer, Asked, Iteration, Malformed, encode, sse, told_cost
from proxy.simulator.paths import Flavour
from proxy.simulator.text import pieces, words
from proxy.simulator.usage import Usage


class _Request(msgspec.Struct):
    model: str
    #: Zero is allowed: it warms a cache.
    max_tokens: Annotated[int, msgspec.Meta(ge=0)]
    messages: msgspec.Raw
    stream: bool | None = None


_DECODER: Final = msgspec.json.Decoder(_Request)
_STOP_REASONS: Final = {"stop": "end_turn", "length": "max_tokens"}
_PING: Final = sse("ping", b'{"type":"ping"}')
_STOP: Final = sse("message_stop", b'{"type":"message_stop"}')
_BLOCK_START: Final = sse(
    "content_block_start",
    b'{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}',
)
_BLOCK_STOP: Final = sse("content_block_stop", b'{"type":"content_block_stop","index":0}')
_DELTA_BEFORE: Final = (
    b"event: content_block_delta\ndata: "
    b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":'
)


def parse(body: bytes, _flavour: Flavour) -> Asked:
    """Read a request."""
    try:
        request = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Malformed(str(error)) from error
    return Asked(
        model=request.model, streamed=bool(request.stream), output_limit=request.max_tokens
    )


def _input_side(usage: Usage) -> dict[str, Any]:
    """The input counters; `input_tokens` is without the cache."""
    return {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
    }


def _creation(usage: Usage) -> dict[str, int]:
    return {
        "ephemeral_5m_input_tokens": usage.cache_write_5m,
        "ephemeral_1h_input_tokens": usage.cache_write_1h,
    }


def _searches(usage: Usage) -> dict[str, Any]:
    if not usage.web_searches:
        return {}
    return {"server_tool_use": {"web_search_requests": usage.web_searches, "web_fetch_requests": 0}}


def _thinking(usage: Usage) -> dict[str, Any]:
    if not usage.reasoning:
        return {}
    return {"output_tokens_details": {"thinking_tokens": usage.reasoning}}


def _iteration(iteration: Iteration) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": iteration.type}
    if iteration.model:
        entry["model"] = iteration.model
    return (
        entry
        | _input_side(iteration.usage)
        | {
            "cache_creation": _creation(iteration.usage),
            "output_tokens": iteration.usage.completion,
        }
    )


def _both_dialects(usage: Usage) -> dict[str, Any]:
    """What a converted answer adds: the same counts under the keys of Chat Completions."""
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.total,
    }


def usage_document(answer: Answer) -> dict[str, Any]:
    """The usage of a whole message."""
    usage = answer.usage
    document = _input_side(usage) | {
        "cache_creation": _creation(usage),
        "output_tokens": usage.completion,
        **_thinking(usage),
        **_searches(usage),
        "service_tier": "standard",
        **told_cost(answer),
    }
    if "converted" in answer.quirks:
        document |= _both_dialects(usage)
    if answer.iterations:
        document["iterations"] = [_iteration(iteration) for iteration in answer.iterations]
    return document


def _message(
    answer: Answer, content: list[Any], stop: str | None, usage: dict[str, Any]
) -> dict[str, Any]:
    message = {
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage,
    }
    if answer.flavour == Flavour.VERCEL:
        message["providerMetadata"] = {"gateway": {"generationId": answer.gateway_id}}
    return message


def body(answer: Answer) -> bytes:
    """The whole answer."""
    content = [{"type": "text", "text": words(answer.visible)}]
    stop = _STOP_REASONS[answer.scenario.finish]
    return encode(_message(answer, content, stop, usage_document(answer)))


def _start_usage(answer: Answer) -> dict[str, Any]:
    usage = answer.usage
    if "converted" in answer.quirks:
        zeros: dict[str, Any] = dict.fromkeys(_input_side(usage), 0)
        return zeros | {"output_tokens": 0, "cache_creation": None, "service_tier": None}
    return _input_side(usage) | {
        "cache_creation": _creation(usage),
        "output_tokens": min(1, usage.completion),
        "service_tier": "standard",
    }


def _delta_usage(answer: Answer) -> dict[str, Any]:
    """Cumulative: the output always, the rest only where an oddity repeats it."""
    usage = answer.usage
    document: dict[str, Any] = {
        "output_tokens": usage.completion,
        **_thinking(usage),
        **_searches(usage),
        **told_cost(answer),
    }
    if "converted" in answer.quirks:
        document |= _input_side(usage) | _both_dialects(usage)
    if "zeros_in_message_delta" in answer.quirks:
        document |= dict.fromkeys(_input_side(usage), 0)
    if answer.iterations:
        document["iterations"] = [_iteration(iteration) for iteration in answer.iterations]
    return document


def events(answer: Answer) -> list[bytes]:
    """The answer as a stream."""
    message = _message(answer, [], None, _start_usage(answer))
    stream = [
        sse("message_start", encode({"type": "message_start", "message": message})),
        _BLOCK_START,
        _PING,
    ]
    stream += [_DELTA_BEFORE + delta + b"}}\n\n" for delta in pieces(answer.visible, answer.chunks)]
    stream.append(_BLOCK_STOP)
    delta: dict[str, Any] = {
        "stop_reason": _STOP_REASONS[answer.scenario.finish],
        "stop_sequence": None,
    }
    end: dict[str, Any] = {"type": "message_delta", "delta": delta, "usage": _delta_usage(answer)}
    if "usage_inside_delta" in answer.quirks:
        delta["usage"] = end.pop("usage")
    stream += [sse("message_delta", encode(end)), _STOP]
    return stream
