"""Chat Completions as the providers speak it: one JSON body, or data-only events up to `[DONE]`."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Final

import msgspec

from proxy.simulator.answers import Answer, Asked, Malformed, data_only, encode, told_cost
from proxy.simulator.paths import Flavour
from proxy.simulator.prices import usd
from proxy.simulator.text import pieces, words
from proxy.simulator.usage import Usage

DONE: Final = b"data: [DONE]\n\n"
_CHOICES_MAX: Final = 128


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _UsageOptions(msgspec.Struct):
    include: bool | None = None


class _Routing(msgspec.Struct):
    available_models: list[str] = []


class _Request(msgspec.Struct):
    model: str
    messages: msgspec.Raw
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    usage: _UsageOptions | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    n: Annotated[int, msgspec.Meta(ge=1, le=_CHOICES_MAX)] | None = None
    model_routing_config: _Routing | None = None


_DECODER: Final = msgspec.json.Decoder(_Request)


def parse(body: bytes, flavour: Flavour) -> Asked:
    """Read a request, with the refusals that the flavour is known for."""
    try:
        request = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Malformed(str(error)) from error
    options = request.stream_options
    included = options is not None and bool(options.include_usage)
    asked_usage = request.usage is not None and bool(request.usage.include)
    _refuse_combinations(request, flavour, included=included, asked_usage=asked_usage)
    model = request.model
    if model.endswith("/auto") and request.model_routing_config:
        model = next(iter(request.model_routing_config.available_models), model)
    return Asked(
        model=model,
        streamed=bool(request.stream),
        output_limit=request.max_completion_tokens or request.max_tokens,
        choices=request.n or 1,
        include_usage=included or asked_usage,
    )


def _refuse_combinations(
    request: _Request, flavour: Flavour, *, included: bool, asked_usage: bool
) -> None:
    if (
        request.stream_options is not None
        and not request.stream
        and flavour
        in {
            Flavour.AGIPOWER,
            Flavour.OPENAI,
        }
    ):
        raise Malformed("The 'stream_options' parameter is only allowed when 'stream' is enabled.")
    if flavour != Flavour.AGIPOWER:
        return
    if included and asked_usage:
        raise Malformed("'stream_options.include_usage' and 'usage.include' exclude each other.")
    if (request.n or 1) > 1:
        raise Malformed("'n' must be 1.")


def usage_document(answer: Answer, usage: Usage) -> dict[str, Any]:
    """Usage with the cached tokens inside the prompt, reasoning inside the completion."""
    prompt = usage.input if "converted" in answer.quirks else usage.prompt
    document: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": usage.completion,
        "total_tokens": prompt + usage.completion,
    }
    if "null_details" in answer.quirks or (
        answer.flavour == Flavour.VENICE and usage.prompt == usage.input
    ):
        document |= {"prompt_tokens_details": None, "completion_tokens_details": None}
        return document
    document["prompt_tokens_details"] = _prompt_details(answer, usage)
    document["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    document |= told_cost(answer)
    return document


def _prompt_details(answer: Answer, usage: Usage) -> dict[str, int]:
    details = {"cached_tokens": usage.cache_read}
    if answer.flavour == Flavour.VENICE:
        return details | {"cache_creation_input_tokens": usage.cache_write}
    if answer.flavour != Flavour.AGIPOWER:
        return details | {"cache_write_tokens": usage.cache_write, "audio_tokens": 0}
    if "claude" in answer.model:
        details |= {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
            "cache_creation_input_tokens": usage.cache_write,
        }
    elif usage.cache_write:
        details["cache_write_tokens"] = usage.cache_write
    if usage.web_searches:
        details["web_search"] = usage.web_searches
    return details


def _extras(answer: Answer) -> dict[str, Any]:
    """What a provider adds beside the choices."""
    if answer.flavour == Flavour.VENICE and "no_cost" not in answer.quirks:
        cost = usd(answer.billed_nano_usd)
        diem = answer.scenario.currency in {"DIEM", "VCU"}
        return {"cost": {"usd": Decimal(0) if diem else cost, "diem": cost if diem else Decimal(0)}}
    if answer.flavour == Flavour.OPENAI:
        return {"service_tier": "default", "system_fingerprint": None}
    if answer.flavour == Flavour.OPENROUTER:
        return {"provider": "Simulated"}
    return {}


def body(answer: Answer) -> bytes:
    """The whole answer."""
    text = words(answer.visible)
    document = {
        "id": answer.id,
        "object": "chat.completion",
        "created": answer.created,
        "model": answer.model,
        "choices": [
            {
                "index": index,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "finish_reason": answer.scenario.finish,
                "logprobs": None,
            }
            for index in range(answer.asked.choices)
        ],
        "usage": usage_document(answer, answer.usage),
        **_extras(answer),
    }
    if answer.flavour == Flavour.VERCEL:
        document["providerMetadata"] = {"gateway": {"generationId": answer.gateway_id}}
    return encode(document)


def events(answer: Answer) -> list[bytes]:
    """The answer as a stream: role, deltas, finish, usage if it is told, `[DONE]`."""
    head = encode(
        {
            "id": answer.id,
            "object": "chat.completion.chunk",
            "created": answer.created,
            "model": answer.model,
        }
    )[:-1]
    tells_usage = answer.asked.include_usage or answer.flavour in {
        Flavour.VENICE,
        Flavour.OPENROUTER,
    }
    deltas = pieces(answer.visible, answer.chunks)
    tails = _tails(answer, len(deltas) + 2)
    stream = []
    for index in range(answer.asked.choices):
        stream += _choice(answer, head, index, deltas, tails)
    if tells_usage:
        usage = encode({"usage": usage_document(answer, answer.usage), **_extras(answer)})
        stream.append(data_only(head + b',"choices":[],' + usage[1:]))
    stream.append(DONE)
    return stream


def _choice(
    answer: Answer, head: bytes, index: int, deltas: Sequence[bytes], tails: list[bytes]
) -> list[bytes]:
    """The chunks of one choice."""
    before = b"data: " + head + b',"choices":[{"index":%d,"delta":' % index
    open_end = b',"finish_reason":null}]'
    first = b'{"role":"assistant","content":""}' + open_end
    if answer.flavour == Flavour.VERCEL:
        gateway = encode({"gateway": {"generationId": answer.gateway_id}})
        first += b',"providerMetadata":' + gateway
    stream = [before + first + tails[0]]
    for position, delta in enumerate(deltas, start=1):
        stream.append(before + b'{"content":' + delta + b"}" + open_end + tails[position])
    finish = b'{},"finish_reason":"%s"}]' % answer.scenario.finish.encode()
    stream.append(before + finish + tails[-1])
    return stream


def _tails(answer: Answer, number: int) -> list[bytes]:
    """What follows the choices of each chunk: usage so far, null, or nothing."""
    if answer.scenario.tokens_in_every_chunk:
        return [_cumulative(answer, position, number - 1) for position in range(number)]
    # The API sends `"usage": null` in the other chunks exactly when the last one has usage.
    return [b',"usage":null}\n\n' if answer.asked.include_usage else b"}\n\n"] * number


def _cumulative(answer: Answer, position: int, last: int) -> bytes:
    usage = answer.usage
    so_far = msgspec.structs.replace(
        usage,
        output=usage.output * position // last,
        reasoning=usage.reasoning * position // last,
    )
    return b',"usage":' + encode(usage_document(answer, so_far)) + b"}\n\n"
