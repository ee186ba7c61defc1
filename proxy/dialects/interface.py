"""What every dialect offers: reading a request, metering its answer, speaking its errors.

Nothing here does I/O. The gateway hands in bytes and gets bytes and values back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

from policies.demand import Demand
from policies.usage import Metered, ReportedCost

DialectName = Literal["chat_completions", "responses", "messages", "generate_content", "embeddings"]


class MalformedRequest(Exception):
    """The request cannot be understood, so what it may cost cannot be known; it is not forwarded.

    Attributes:
        message: what is wrong and what to do about it, for the one who sent the request.
        param: the field that is wrong, if it is one field.
    """

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class ErrorKind(StrEnum):
    """Why a call got an error from the proxy; each dialect has its words for it."""

    BUDGET_EXCEEDED = "budget_exceeded"
    WALLET_EXHAUSTED = "wallet_exhausted"
    UNPRICED = "unpriced"
    UNAUTHENTICATED = "unauthenticated"
    MODEL_NOT_ALLOWED = "model_not_allowed"
    #: What is asked is against the policy in another way (a header that the team may not send).
    NOT_ALLOWED = "not_allowed"
    MALFORMED = "malformed"
    BODY_TOO_LARGE = "body_too_large"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    UPGRADE_REQUIRED = "upgrade_required"
    #: Too much is going on in this proxy; the same call may pass in a moment.
    OVERLOADED = "overloaded"
    LEDGER_UNAVAILABLE = "ledger_unavailable"
    UPSTREAM_UNREACHABLE = "upstream_unreachable"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    UPSTREAM_CUT = "upstream_cut"
    #: A fault in the proxy itself.
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedRequest:
    """A request, as far as money and routing are concerned."""

    model: str
    #: The answer is asked for piece by piece.
    stream: bool
    demand: Demand
    #: The client itself asked for the usage chunk of a Chat stream; True in every other dialect.
    usage_requested: bool = True
    #: Usage can be asked for on the client's behalf (`Dialect.with_usage_requested`).
    can_request_usage: bool = False
    #: The end user that the request names. Never used for attribution: a client can write anything.
    user: str | None = None
    #: The Responses answer that this one goes on from; its tokens are billed again as input.
    previous_response_id: str | None = None
    #: Names of fields that loosen the bound in a way `Demand` has no place for: `thinkingBudget`
    #: means that thinking has no stated limit, where it may lie outside of the output limit.
    notes: tuple[str, ...] = ()
    #: Names of fields by which another model than `model` may answer or be billed.
    other_models: tuple[str, ...] = ()
    #: Why no price can bound this request; None: one can.
    unpriced: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What an answer, whole or cut, told about itself."""

    metered: Metered
    #: The model that the answer names; it can differ from the one asked for.
    model: str | None = None
    #: The tier or speed that was granted, in the provider's word.
    service_tier: str | None = None
    #: Ids in the body by which the provider's billing may know this call, the likeliest first.
    generation_ids: tuple[str, ...] = ()
    finish: str | None = None
    #: The message of an error inside the answer.
    error: str | None = None
    #: The code or type inside of that error, as text.
    error_code: str | None = None
    #: Something passed that the provider may bill as output.
    produced_output: bool = False
    cost: ReportedCost | None = None
    #: Billable calls of tools that the provider ran, besides searches, by kind.
    tool_calls: tuple[tuple[str, int], ...] = ()
    #: Responses only: queued, in_progress, completed, incomplete, failed, cancelled.
    status: str | None = None


class Meter(Protocol):
    """Watches one answer pass."""

    @property
    def generation_id(self) -> str | None:
        """The answer's id, as soon as it was seen."""
        ...

    @property
    def terminal(self) -> bool:
        """The dialect's end was seen: usage is as known as it will be.

        Never true for a body that is not a stream: only its end shows that it is whole.
        """
        ...

    def feed(self, chunk: bytes) -> bytes:
        """Take note of a decompressed chunk; return the bytes to relay.

        They are the same object unless the meter strips the usage that the client did not ask for.
        """
        ...

    def flush(self) -> bytes:
        """Return the bytes that are still held back, once the answer has ended or was cut."""
        ...

    def finish(self) -> Reading:
        """Return what is known at the end or at a cut. Calling it again returns the same."""
        ...


class Dialect(Protocol):
    """One wire format."""

    @property
    def name(self) -> DialectName:
        """The dialect's name."""
        ...

    def parse(self, body: bytes, *, path_model: str | None, path_streams: bool) -> ParsedRequest:
        """Read a decompressed request body.

        Args:
            body: the body.
            path_model: the model that the path names, percent-decoded; it outranks the body's.
            path_streams: the path says that the answer is a stream.

        Raises:
            MalformedRequest: what it asks for cannot be known.
        """
        ...

    def meter(self, *, streamed: bool, content_type: str, strip_usage: bool) -> Meter:
        """Return a meter for one answer.

        Args:
            streamed: the request asked for a stream.
            content_type: the answer's; it outranks `streamed`.
            strip_usage: take out again what `with_usage_requested` brought in.
        """
        ...

    def with_output_limit(self, body: bytes, tokens: int) -> bytes:
        """Return the body with every output limit lowered to so many tokens, or with one set."""
        ...

    def with_usage_requested(self, body: bytes) -> bytes:
        """Return the body with usage asked for in the stream (Chat); as it is in other dialects."""
        ...

    def error_body(
        self, *, status: int, kind: ErrorKind, message: str, call_id: str, param: str | None = None
    ) -> bytes:
        """Return the JSON body of an error answer."""
        ...

    def stream_error(
        self,
        *,
        kind: ErrorKind,
        message: str,
        call_id: str,
        content_type: str = "text/event-stream",
    ) -> bytes:
        """Return what ends a stream with an error after some of it was relayed.

        Args:
            kind: why.
            message: the same in a sentence.
            call_id: the call's id.
            content_type: the stream's; generateContent also streams as a JSON array.
        """
        ...
