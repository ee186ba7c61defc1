"""Scenarios: JSON documents that decide what the next answers are, and how they go wrong.

`POST /simulator/scenario` takes one document or a list of them; `GET` shows what is waiting;
`DELETE` forgets all of it, account settings included. Unknown fields are mistakes (400).

A document answers the inference calls that its `match` fits:
- with `times: N` it is used for the next N of them and then gone; such documents wait in line, in
  the order in which they were posted, and go before every endless one;
- without `times` it stays until a later one with the same `match` replaces it; of several
  endless ones the latest that fits is used.

A request may bring a document of its own, in the header `x-simulator-scenario`; it goes before all
others and uses none of them up, so a replay can say of each call what came of it.

Fields of the account (`quota`, `balance_usd`, `account_status`, `extra_usage`,
`management_422_every`, `rate_limit_every`, `billing_usage_gone`, `cursor_expires_after_s`,
`ledger_rows`) take effect at once, whatever `match` and `times` say, and stay until `DELETE`.
A document that has only such fields changes no answer.
"""

from collections import deque
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final, Literal

import msgspec

from proxy.simulator.paths import Flavour

Count = Annotated[int, msgspec.Meta(ge=0)]
Ordinal = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Milliseconds = Annotated[float, msgspec.Meta(ge=0)]
#: A decimal number as a string, so that no float touches money.
DecimalText = Annotated[str, msgspec.Meta(pattern=r"^[0-9]+(\.[0-9]+)?$")]
Quirk = Literal[
    # Chat: `prompt_tokens` leaves out the cached part; Messages: `message_start.usage` is all
    # zeros, `usage` has the keys of both dialects, and the last `message_delta` alone has input.
    "converted",
    # Messages: `message_delta.usage` repeats the counters of `message_start`, as zeros.
    "zeros_in_message_delta",
    # Messages: the usage of `message_delta` stands inside its `delta`.
    "usage_inside_delta",
    # generateContent: usage is zero in every chunk but the last.
    "zeros_until_last_chunk",
    # generateContent: a last chunk of its own that has usage and no candidates.
    "usage_only_chunk",
    # Chat: the `*_details` of usage are null.
    "null_details",
    # Chat on Venice, OpenRouter: the answer does not say what it cost.
    "no_cost",
    # Receipts of AGIPower come inside `{"success": true, "data": …}`.
    "wrapped_receipt",
    # Receipts of AGIPower name money as strings and use the older, snake_case names.
    "old_receipt",
]


class Match(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which calls a document answers; what is left out fits everything."""

    #: A glob over the requested model.
    model: str = "*"
    dialect: (
        Literal["chat_completions", "responses", "messages", "generate_content", "embeddings"]
        | None
    ) = None
    flavour: Flavour | None = None
    streamed: bool | None = None


class UsageDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Disjoint parts; `output` is without `reasoning`. Input and output default as usual."""

    input: Count | None = None
    cache_read: Count = 0
    cache_write_5m: Count = 0
    cache_write_1h: Count = 0
    output: Count | None = None
    reasoning: Count = 0
    web_searches: Count = 0


class IterationDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of the `usage.iterations` of Messages, billed at the price of its own model."""

    type: Literal["message", "compaction", "advisor_message", "fallback_message"] = "message"
    model: str | None = None
    input: Count = 0
    cache_read: Count = 0
    cache_write_5m: Count = 0
    cache_write_1h: Count = 0
    output: Count = 0


class ErrorDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an error says; the rest of its envelope is that of the dialect and the flavour."""

    message: str = "The simulated provider was told to fail."
    type: str | None = None
    code: str | None = None


class WindowDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One quota of a subscription, in Flows as decimal strings."""

    max_flows: DecimalText | None = None
    #: Sets what has been used; the window starts now if it has not started.
    used_flows: DecimalText | None = None


class QuotaDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The three windows of a subscription and the worth of a Flow."""

    quota_5_hour: WindowDocument | None = None
    quota_7_day: WindowDocument | None = None
    quota_monthly: WindowDocument | None = None
    base_usd_per_flow: DecimalText | None = None
    effective_usd_per_flow: DecimalText | None = None
    #: A manual window reset: both windows fall to zero and start again at the next call.
    reset: bool = False


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the next answers do; see the module for how documents take turns."""

    match: Match = Match()
    times: Ordinal | None = None

    # What is used and billed.
    usage: UsageDocument | None = None
    #: Only Messages: reported as `usage.iterations`, and billed instead of the top level.
    iterations: list[IterationDocument] = []
    #: The model that really answers (and is billed), where it is not the requested one.
    answer_model: str | None = None
    #: The bill as a multiple of the list price.
    billed_factor: DecimalText | None = None
    #: The bill itself; holds for errors too, which otherwise cost nothing.
    billed_nano_usd: Count | None = None
    #: What Venice charges; its receipts are in this unit.
    currency: Literal["USD", "DIEM", "BUNDLED_CREDITS", "EARNED_CREDITS", "VCU"] = "USD"
    finish: Literal["stop", "length"] = "stop"

    # The receipt. AGIPower answers 404, then 200 without billing, then 200 with all of it.
    #: When billing is known; default 180 s on AGIPower, 60 s on Venice, 2 s on the others.
    billed_after_s: Seconds | None = None
    #: The first look-ups that are answered with 404.
    not_found_first: Count = 0
    #: What a receipt without billing looks like.
    unbilled_receipt: Literal["absent", "null", "zero", "refused"] = "absent"
    #: No receipt ever.
    never_billed: bool = False
    #: Which of the ids an answer carries find its receipt.
    receipt_by: Literal["any", "body", "generation_header", "request_header"] = "any"
    #: Send `x-generation-id`.
    generation_header: bool = False

    # Refusals.
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] | None = None
    error: ErrorDocument = ErrorDocument()
    #: The exact body of the error, instead of the envelope.
    error_body: str | None = None
    #: HTTP 200 with an error inside and no usage.
    body_error_200: bool = False
    headers: dict[str, str] = {}
    #: The `retry-after` header, as it is.
    retry_after: str | None = None

    # Faults in transit. An event is one SSE event or one element of a JSON array; the answer
    # is billed in full all the same. Without a stream a cut comes in the middle of the body.
    cut_after_events: Count | None = None
    cut_after_bytes: Count | None = None
    #: A clean end of the body, but too early.
    end_early_after_events: Count | None = None
    #: An error event in the dialect's form, then a clean end.
    error_after_events: Count | None = None
    #: Silence with an open connection, until the client leaves.
    stall_after_events: Count | None = None
    #: Never answer at all.
    hang: bool = False

    # Pace and framing.
    #: Into how many deltas the text of a stream is cut.
    chunks: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None
    chunk_delay_ms: Milliseconds = 0
    first_byte_delay_ms: Milliseconds = 0
    #: Write the stream in pieces of so many bytes, across events and characters.
    split_bytes: Ordinal | None = None
    #: A keep-alive comment line before every so many events.
    comment_every: Ordinal | None = None
    #: Chat: cumulative usage in every chunk, as compatible endpoints of others do.
    tokens_in_every_chunk: bool = False
    compress: Literal["gzip", "deflate", "br", "zstd"] | None = None
    quirks: list[Quirk] = []

    # Background Responses: completed after this time, or after so many polls if that is given.
    background_after_s: Seconds = 2
    background_polls: Ordinal | None = None

    # The account; in force at once and until DELETE.
    quota: QuotaDocument | None = None
    balance_usd: DecimalText | None = None
    account_status: Literal["healthy", "monitored", "abusive", "suspended", "banned"] | None = None
    #: A used-up subscription is silently billed as pay-as-you-go.
    extra_usage: bool | None = None
    #: Every so many management requests are answered with 422.
    management_422_every: Ordinal | None = None
    #: Every so many inference calls are answered with 429.
    rate_limit_every: Ordinal | None = None
    #: Venice's older `/billing/usage` answers 410, as it does since September 2026.
    billing_usage_gone: bool | None = None
    cursor_expires_after_s: Seconds | None = None
    #: Foreign rows for Venice's ledger, each an object as the provider has it.
    ledger_rows: list[dict[str, Any]] = []

    def __post_init__(self) -> None:
        if self.billed_factor is not None and self.billed_nano_usd is not None:
            raise ValueError("billed_factor and billed_nano_usd exclude each other")

    def fits(self, model: str, dialect: str, flavour: Flavour, *, streamed: bool) -> bool:
        """Whether this document answers such a call."""
        match = self.match
        return (
            (match.dialect is None or match.dialect == dialect)
            and (match.flavour is None or match.flavour == flavour)
            and (match.streamed is None or match.streamed == streamed)
            and (match.model == "*" or fnmatchcase(model, match.model))
        )

    @property
    def changes_answers(self) -> bool:
        """Whether there is more in it than account settings."""
        return any(
            getattr(self, name) != getattr(PLAIN, name)
            for name in self.__struct_fields__
            if name not in ACCOUNT_FIELDS
        )


ACCOUNT_FIELDS: Final = frozenset(
    {
        "quota", "balance_usd", "account_status", "extra_usage", "management_422_every",
        "rate_limit_every", "billing_usage_gone", "cursor_expires_after_s", "ledger_rows",
    }
)  # fmt: skip
#: The scenario of a call that no document fits.
PLAIN: Final = Scenario()
_DECODE_ONE: Final = msgspec.json.Decoder(Scenario)
_DECODE_MANY: Final = msgspec.json.Decoder(list[Scenario])


class UnusableScenario(ValueError):
    """A scenario document that is not understood; the message says where and why."""


def decode_scenarios(body: bytes) -> list[Scenario]:
    """The documents in a request body, one or a list."""
    try:
        if body.lstrip()[:1] == b"[":
            return _DECODE_MANY.decode(body)
        return [_DECODE_ONE.decode(body)]
    except msgspec.MsgspecError as error:
        raise UnusableScenario(str(error)) from error


class Waiting:
    """One finite document and how often it still answers."""

    __slots__ = ("left", "scenario")

    def __init__(self, scenario: Scenario, times: int) -> None:
        self.scenario = scenario
        self.left = times


class Script:
    """The documents that wait for their calls."""

    def __init__(self) -> None:
        self._finite: deque[Waiting] = deque()
        self._endless: list[Scenario] = []

    def add(self, scenario: Scenario) -> None:
        """Queue a document, or let it replace the endless one with the same match."""
        if scenario.times is not None:
            self._finite.append(Waiting(scenario, scenario.times))
            return
        self._endless = [other for other in self._endless if other.match != scenario.match]
        self._endless.append(scenario)

    def clear(self) -> None:
        """Forget every document."""
        self._finite.clear()
        self._endless.clear()

    def take(self, model: str, dialect: str, flavour: Flavour, *, streamed: bool) -> Scenario:
        """The document for one call; a finite one is used up by it."""
        for waiting in self._finite:
            if waiting.scenario.fits(model, dialect, flavour, streamed=streamed):
                waiting.left -= 1
                if waiting.left == 0:
                    self._finite.remove(waiting)
                return waiting.scenario
        for scenario in reversed(self._endless):
            if scenario.fits(model, dialect, flavour, streamed=streamed):
                return scenario
        return PLAIN

    @property
    def waiting(self) -> list[Scenario]:
        """All documents that may still answer, with the times that are left."""
        finite = [
            msgspec.structs.replace(waiting.scenario, times=waiting.left)
            for waiting in self._finite
        ]
        return finite + self._endless
