"""The JSON of the admin API: what is taken and what is given, the same at every door."""

from __future__ import annotations

from typing import Annotated, Any, Final, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from policies import texts
from policies.money import decimal_text

Item = TypeVar("Item", bound=BaseModel)
#: A hundred years: further ahead, no calendar is sure to have a date.
DURATION_MS_MAX: Final = 36_525 * 86_400_000


def _duration(least_ms: int) -> Any:  # noqa: ANN401 - What `Annotated` takes.
    """Return how durations are read and described: texts such as `90d`, or whole milliseconds."""
    text = {"type": "string", "pattern": r"^\s*[0-9]{1,10}\s*(ms|s|m|h|d|w)\s*$"}
    number = {"type": "integer", "minimum": least_ms, "maximum": DURATION_MS_MAX}
    return (
        Field(ge=least_ms, le=DURATION_MS_MAX),
        BeforeValidator(texts.duration_ms),
        WithJsonSchema({"anyOf": [text, number], "examples": ["90d"]}),
    )


Duration = Annotated[int, *_duration(0)]
#: One that is not nothing.
Lifetime = Annotated[int, *_duration(1)]
Text = Annotated[str, Field(min_length=1, max_length=128)]
#: A number for tokens and calls, `{"nano_usd", "usd"}` for money, `{"nano", "amount"}` for credits.
Amount = int | dict[str, int | str]


class Body(BaseModel):
    """What a client sends; unknown fields are mistakes."""

    # Strict: `true` is no number, and `1` is no text.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Row(BaseModel):
    """What a client gets; whatever has a default is there too."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


class Page(Row, Generic[Item]):
    """A list, or the first part of one."""

    items: list[Item]
    #: Asks for what comes next; null when there is no more.
    cursor: str | None = None


class Fault(Row):
    """One mistake in a file or in a request."""

    file: str | None = None
    line: int | None = None
    field: str = ""
    message: str


class Failure(Row):
    """Why a request was not done."""

    code: str
    message: str
    mistakes: list[Fault] = []


class FailureBody(Row):
    """The body of every answer that is an error."""

    error: Failure


class Money(Row):
    """An amount of money in two spellings."""

    nano_usd: int
    usd: str

    @classmethod
    def of(cls, nano_usd: int) -> Self:
        """Return nano-dollars in both."""
        return cls(nano_usd=nano_usd, usd=decimal_text(nano_usd))


# --- Budgets ---


class Span(Row):
    """A window."""

    id: str
    start: str | None
    end: str | None


class BudgetRow(Row):
    """How a budget stands, for one subject where it keeps a counter for each."""

    name: str
    subject: str | None
    unit: str
    #: With what is granted.
    limit: Amount
    #: How much of the limit is granted for a while.
    granted: Amount
    spent: Amount
    reserved: Amount
    remaining: Amount
    overrun: Amount
    mode: str
    window: Span


class GrantRow(Row):
    """A temporary raise of a budget's limit."""

    id: str
    budget: str
    #: Whose counter it is for, where the budget keeps one for each of something; null: all of them.
    subject: str | None
    unit: str
    amount: Amount
    state: Literal["active", "expired", "ended"]
    made_at: str
    expires_at: str
    #: When it was ended before its time, and by whom.
    ended_at: str | None
    ended_by: str | None
    reason: str
    #: Who made it.
    actor: str


class GrantedBudgetRow(BudgetRow):
    """How a budget stands, with what is granted to it now."""

    grants: list[GrantRow]


class GrantRequest(Body):
    """A raise that is wanted."""

    #: In the budget's unit, such as `50 USD`.
    amount: Text
    #: How long it counts, such as `3d`; at most 366 days.
    for_: Text = Field(alias="for")
    #: Why; a line of text.
    reason: Annotated[str, Field(min_length=1, max_length=texts.TEXT_CHARS_MAX)]
    #: Whose counter, where the budget keeps one for each of something.
    subject: Annotated[str, Field(min_length=1, max_length=texts.TEXT_CHARS_MAX)] | None = None
    #: That it is for each of them; one of the two must be said.
    all_subjects: bool = False


# --- Keys ---


class KeyRequest(Body):
    """A key that is wanted."""

    team: Text
    user: Text | None = None
    name: Text | None = None
    #: How long it is good for, such as `90d`; left out: for ever.
    expires: Lifetime | None = None
    tags: dict[Text, Text] = Field(default_factory=dict, max_length=16)


class RotationRequest(Body):
    """A new secret for a key."""

    #: How long the old secret goes on working.
    grace: Duration = 0


class KeyRow(Row):
    """A key, without its secret."""

    id: str
    state: Literal["active", "expired", "revoked"]
    team: str
    user: str | None
    name: str | None
    tags: dict[str, str]
    #: The beginning of the secret, to tell it from others.
    prefix: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None


class CreatedKey(KeyRow):
    """A key with its secret, which nobody can tell again."""

    key: str


# --- Calls ---


class ChargeRow(Row):
    """What a call is charged to one budget."""

    budget: str
    subject: str | None
    unit: str
    held: Amount
    bound: Amount
    charged: Amount | None


class CallRow(Row):
    """A call, in short."""

    id: str
    state: str
    at: str
    team: str | None
    user: str | None
    key_id: str | None
    provider: str | None
    model: str | None
    dialect: str | None
    streamed: bool | None
    generation_id: str | None
    #: Disjoint parts, in tokens.
    usage: dict[str, int]
    quoted: Money | None
    settled: Money | None
    receipted: Money | None
    #: The provider's, over HTTP.
    status: int | None


class CallView(CallRow):
    """The whole life of a call."""

    #: When it was settled, released or expired.
    ended_at: str | None
    #: Nobody called: the provider billed it, and no call of ours explains it. `row`, `late`, `totals`.
    ghost: str | None
    charges: list[ChargeRow]
    generation_ids: list[str]
    quote: dict[str, Any] | None
    outcome: dict[str, Any] | None
    #: What the receipt said, or why there is none.
    receipt: dict[str, Any] | None


# --- Receipts ---


class DriftRow(Row):
    """What one model was metered at and billed with, at one provider on one UTC day."""

    day: str
    model: str
    #: Calls with a receipt, and all that these billed.
    receipted: int
    receipted_amount: Money
    #: Calls without one: it did not come in time, or it never comes.
    given_up: int
    never: int
    #: Of 100 calls that have their end, those without a receipt.
    without_receipt_percent: float
    #: Calls that were metered exactly and have a receipt; what follows is theirs.
    compared: int
    metered: Money
    billed: Money
    difference: Money
    #: In hundredths of what was metered; null: nothing was.
    difference_percent: float | None


class GhostRow(Row):
    """Money that a provider billed and that no call of ours explains."""

    id: str
    #: As which the ledger has it: `GET calls/{call_id}`.
    call_id: str
    kind: Literal["row", "late", "totals"]
    at: str
    amount: Money
    #: The provider's own credits, by their names.
    credits: dict[str, Amount]
    calls: int
    detail: dict[str, str]


class GhostSpend(Row):
    """All that no call explains."""

    calls: int
    amount: Money
    #: The latest of it.
    items: list[GhostRow]


class AsideRow(Row):
    """A call of which something came that does not add up."""

    call_id: str
    reason: str


class ExtraUsageRow(Row):
    """What a subscription was billed for in money on one day, beside its quotas."""

    day: str
    model: str
    amount: Money
    calls: int


class ReceiptsRow(Row):
    """How the receipts of one provider stand."""

    provider: str
    #: Why its calls have no receipts of their own; null: they have.
    never: str | None
    #: Calls that wait for a receipt, and of them those that can be looked for now.
    waiting: int
    due: int
    #: The provider wants no requests until then.
    slowed_until: str | None
    #: How many days, today included, the rest tells of.
    days: int
    receipted: int
    #: Calls without a receipt: it did not come in time, or none ever comes for such a key.
    given_up: int
    never_comes: int
    set_aside: list[AsideRow]
    ghost_spend: GhostSpend
    #: The latest day first.
    drift: list[DriftRow]
    #: The latest day first; of the account that the provider's management key belongs to.
    extra_usage: list[ExtraUsageRow]


class ReceiptRun(Row):
    """What looking for all receipts that were due came to."""

    #: Calls, by what came of them: booked, pending, given_up, never, set_aside, slow_down, gone.
    results: dict[str, int]
    #: False: the time was over before everything was looked for; what is due stays due.
    finished: bool


# --- Wallets ---


class QuotaRow(Row):
    """One quota or balance, as its provider reported it, and what came after."""

    name: str
    unit: str
    limit: Amount | None
    remaining: Amount | None
    resets_at: str | None
    #: Why no call passes; null: calls do.
    closed: str | None
    reported_at: str | None
    stale: bool
    #: Calls of ours since that report; of a quota whose use is not reported, since its cycle began.
    spent: Amount
    #: Calls of ours that are in flight.
    reserved: Amount


class WalletRow(Row):
    """The account at one provider."""

    provider: str
    #: Why it is not asked; null: it is.
    never: str | None
    #: As the provider names it; null: it does not.
    account_status: str | None
    #: Why no call passes whatever it costs; null: calls do.
    closed: str | None
    polled_at: str | None
    next_poll_at: str | None
    #: Requests that told nothing the last time, and why.
    faults: dict[str, str]
    quotas: list[QuotaRow]
