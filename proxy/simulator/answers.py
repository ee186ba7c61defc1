"""One answer as every dialect needs it: ids, text, usage, and who gives it."""

from typing import Any

import msgspec

from proxy.simulator.paths import Flavour
from proxy.simulator.prices import usd
from proxy.simulator.scenario import Scenario
from proxy.simulator.usage import Usage


class Malformed(Exception):
    """A request body that the provider refuses with 400; the message is what it says."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a request asked for, whatever its dialect."""

    model: str
    streamed: bool = False
    #: The requested limit of output tokens.
    output_limit: int | None = None
    #: Answers per call, all of them billed.
    choices: int = 1
    #: Chat: the client wants a usage chunk.
    include_usage: bool = False
    background: bool = False
    #: Responses: the chain that is read again.
    previous_response_id: str | None = None
    #: Embeddings: how many vectors, how long, and whether as base64.
    inputs: int = 1
    dimensions: int | None = None
    base64: bool = False


class Iteration(msgspec.Struct, frozen=True, kw_only=True):
    """One billed hop inside a Messages call."""

    type: str
    model: str
    usage: Usage


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the four dialects render."""

    asked: Asked
    flavour: Flavour
    id: str
    model: str
    created: int
    usage: Usage
    iterations: tuple[Iteration, ...]
    billed_nano_usd: int
    chunks: int
    scenario: Scenario
    #: Vercel's and OpenRouter's own id, where it is not the body's.
    gateway_id: str = ""

    @property
    def quirks(self) -> list[str]:
        """The oddities that the scenario asks for."""
        return list(self.scenario.quirks)

    @property
    def visible(self) -> int:
        """Visible output tokens of one choice."""
        return self.usage.output // self.asked.choices


def told_cost(answer: Answer) -> dict[str, Any]:
    """What OpenRouter adds to every usage: the bill of the call."""
    if answer.flavour != Flavour.OPENROUTER or "no_cost" in answer.quirks:
        return {}
    cost = usd(answer.billed_nano_usd)
    return {"cost": cost, "cost_details": {"upstream_inference_cost": cost}, "is_byok": False}


def sse(event: str, data: bytes) -> bytes:
    """One named server-sent event."""
    return b"event: " + event.encode() + b"\ndata: " + data + b"\n\n"


def data_only(data: bytes) -> bytes:
    """One server-sent event without a name."""
    return b"data: " + data + b"\n\n"


encode = msgspec.json.Encoder(decimal_format="number").encode
