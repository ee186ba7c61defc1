"""What a request asks for, as far as money is concerned: what a dialect reads and a quote is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolDemand:
    """A tool that the provider runs itself and bills for: its results come back as input."""

    #: As the request names it, such as `web_search`.
    kind: str
    #: How often the request lets it run; None when it does not say.
    calls_max: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one request asks for.

    Bytes are those of the decompressed body: for a byte-level BPE a text of n UTF-8 bytes has at
    most n tokens, and JSON escapes never shorten (prices-and-tokens.md).
    """

    model: str
    body_bytes: int
    #: Tokens of output per choice that the request allows; None when it does not say; 0: no output.
    output_limit: int | None
    #: Output tokens that may come on top of the limit (a thinking budget outside of it).
    output_beside_limit: int = 0
    choices: int = 1
    #: Names of the request's fields whose tokens its bytes do not show: images, file ids,
    #: `previous_response_id`, `cachedContent` and so on. Each may fill the context window.
    hidden_input: tuple[str, ...] = ()
    #: Tools that the provider runs; each round bills the input again.
    server_tools: tuple[ToolDemand, ...] = ()
    #: The request declares tools of any kind: providers put a prompt of their own in front.
    declares_tools: bool = False
    #: The longest cache life that the request may write to.
    cache_write: Literal["default", "1h"] = "default"
    #: The tier or speed that the request asks for, in the provider's word; None for the default.
    service_tier: str | None = None
    #: The body's contents may be audio, which is priced apart.
    audio: bool = False
    #: The answer comes later and is fetched by its id.
    background: bool = False
