"""Embeddings: vectors that mean nothing, usage that is exact."""

import base64
import struct
from functools import lru_cache
from typing import Annotated, Any, Final

import msgspec

from proxy.simulator.answers import Answer, Asked, Malformed, encode
from proxy.simulator.paths import Flavour

_DIMENSIONS_DEFAULT: Final = 256
#: The largest that a provider of text embeddings offers is 4096.
_DIMENSIONS_MAX: Final = 8_192


class _Request(msgspec.Struct):
    model: str
    input: str | list[Any]
    encoding_format: str | None = None
    dimensions: Annotated[int, msgspec.Meta(ge=1, le=_DIMENSIONS_MAX)] | None = None


_DECODER: Final = msgspec.json.Decoder(_Request)


def parse(body: bytes, _flavour: Flavour) -> Asked:
    """Read a request; a list of integers is one text in tokens."""
    try:
        request = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Malformed(str(error)) from error
    texts = request.input
    single = isinstance(texts, str) or (bool(texts) and isinstance(texts[0], int))
    return Asked(
        model=request.model,
        output_limit=0,
        inputs=1 if single else len(texts),
        dimensions=request.dimensions,
        base64=request.encoding_format == "base64",
    )


@lru_cache(maxsize=64)
def _vector(dimensions: int, *, as_base64: bool) -> msgspec.Raw:
    length = dimensions**-0.5
    values = [length if position % 2 else -length for position in range(dimensions)]
    if not as_base64:
        return msgspec.Raw(encode(values))
    packed = struct.pack(f"<{dimensions}f", *values)
    return msgspec.Raw(encode(base64.b64encode(packed).decode()))


def body(answer: Answer) -> bytes:
    """The whole answer."""
    asked = answer.asked
    vector = _vector(asked.dimensions or _DIMENSIONS_DEFAULT, as_base64=asked.base64)
    return encode(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": vector}
                for index in range(asked.inputs)
            ],
            "model": answer.model,
            "usage": {"prompt_tokens": answer.usage.prompt, "total_tokens": answer.usage.prompt},
        }
    )
