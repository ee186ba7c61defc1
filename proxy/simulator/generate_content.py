"""generateContent as the providers speak it: an object, SSE with CRLF, or an array in pieces."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec

from proxy.simulator.answers import Answer, Asked, Malformed, encode
from proxy.simulator.paths import Flavour
from proxy.simulator.text import pieces, words
from proxy.simulator.usage import Usage


class _Config(msgspec.Struct, rename="camel"):
    max_output_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    candidate_count: Annotated[int, msgspec.Meta(ge=1, le=8)] | None = None


class _Request(msgspec.Struct, rename="camel"):
    contents: msgspec.Raw
    generation_config: _Config | None = None


_DECODER: Final = msgspec.json.Decoder(_Request)
_FINISH: Final = {"stop": "STOP", "length": "MAX_TOKENS"}
ARRAY_END: Final = b"\n]"


def parse(body: bytes, model: str, *, streamed: bool) -> Asked:
    """Read a request; model and streaming come from the path."""
    try:
        request = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Malformed(str(error)) from error
    config = request.generation_config or _Config()
    return Asked(
        model=model,
        streamed=streamed,
        output_limit=config.max_output_tokens,
        choices=config.candidate_count or 1,
    )


def usage_document(usage: Usage) -> dict[str, Any]:
    """Thoughts stand beside the candidates, cached tokens within the prompt."""
    document: dict[str, Any] = {
        "promptTokenCount": usage.prompt,
        "candidatesTokenCount": usage.output,
        "totalTokenCount": usage.total,
        "trafficType": "ON_DEMAND",
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": usage.prompt}],
        "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": usage.output}],
    }
    if usage.cache_read:
        document["cachedContentTokenCount"] = usage.cache_read
    if usage.reasoning:
        document["thoughtsTokenCount"] = usage.reasoning
    return document


def _frame(answer: Answer) -> dict[str, Any]:
    created = datetime.fromtimestamp(answer.created, UTC).isoformat().replace("+00:00", "Z")
    return {"modelVersion": answer.model, "createTime": created, "responseId": answer.id}


def _candidate(
    answer: Answer, index: int, part: str | msgspec.Raw, *, ends: bool
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": part}]}}
    candidate["index"] = index
    if ends:
        candidate["finishReason"] = _FINISH[answer.scenario.finish]
        if searches := answer.usage.web_searches:
            queries = [f"query {number}" for number in range(searches)]
            candidate["groundingMetadata"] = {"webSearchQueries": queries}
    return candidate


def body(answer: Answer) -> bytes:
    """The whole answer."""
    text = words(answer.visible)
    candidates = [
        _candidate(answer, index, text, ends=True) for index in range(answer.asked.choices)
    ]
    usage = usage_document(answer.usage)
    return encode({"candidates": candidates, "usageMetadata": usage, **_frame(answer)})


def _parts(answer: Answer) -> list[bytes]:
    """The JSON objects of a stream, usage cumulative in each of them."""
    frame = _frame(answer)
    deltas = pieces(answer.visible, answer.chunks)
    last = len(deltas) - 1
    separate = "usage_only_chunk" in answer.quirks
    parts = []
    for position, delta in enumerate(deltas):
        ends = position == last
        candidates = [
            _candidate(answer, index, msgspec.Raw(delta), ends=ends)
            for index in range(answer.asked.choices)
        ]
        usage = _usage_at(answer, position + 1, len(deltas), complete=ends and not separate)
        parts.append(encode({"candidates": candidates, "usageMetadata": usage, **frame}))
    if separate:
        parts.append(encode({"usageMetadata": usage_document(answer.usage), **frame}))
    return parts


def _usage_at(answer: Answer, position: int, number: int, *, complete: bool) -> dict[str, Any]:
    usage = answer.usage
    if complete:
        return usage_document(usage)
    if "zeros_until_last_chunk" in answer.quirks:
        return usage_document(Usage())
    if position == 1:
        # As the first chunk is seen in the wild: the prompt alone, no count of candidates.
        return {
            "promptTokenCount": usage.prompt,
            "totalTokenCount": usage.prompt,
            "trafficType": "ON_DEMAND",
        }
    so_far = msgspec.structs.replace(usage, output=usage.output * position // number)
    return usage_document(so_far)


def events(answer: Answer) -> list[bytes]:
    """The answer as server-sent events, without names or an end marker."""
    return [b"data: " + part + b"\r\n\r\n" for part in _parts(answer)]


def array(answer: Answer) -> list[bytes]:
    """The answer as one JSON array, an element at a time; the end comes with the last."""
    parts = _parts(answer)
    elements = [b"[" + parts[0], *(b"\n,\r\n" + part for part in parts[1:])]
    elements[-1] += ARRAY_END
    return elements


def model_name(answer_model: str, flavour: Flavour) -> str:
    """How `modelVersion` names a model: with its owner on AGIPower, bare elsewhere."""
    return answer_model if flavour == Flavour.AGIPOWER else answer_model.rpartition("/")[2]
