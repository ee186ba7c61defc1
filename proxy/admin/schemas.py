"""The JSON of the admin API: what is taken and what is given, the same at every door."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from policies import texts

Item = TypeVar("Item", bound=BaseModel)
Duration = Annotated[int, BeforeValidator(texts.duration_ms), Field(ge=0)]
Text = Annotated[str, Field(min_length=1, max_length=128)]
#: A number for tokens and calls, `{"nano_usd", "usd"}` for money, `{"nano", "amount"}` for credits.
Amount = int | dict[str, int | str]


class Body(BaseModel):
    """What a client sends; unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Row(BaseModel):
    """What a client gets."""

    model_config = ConfigDict(frozen=True)


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
    limit: Amount
    spent: Amount
    reserved: Amount
    remaining: Amount
    overrun: Amount
    mode: str
    window: Span


# --- Keys ---


class KeyRequest(Body):
    """A key that is wanted."""

    team: Text
    user: Text | None = None
    name: Text | None = None
    #: How long it is good for, such as `90d`; left out: for ever.
    expires: Annotated[Duration, Field(ge=1)] | None = None
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


# --- Policies ---


class TeamRow(Row):
    """A team as the policies have it."""

    name: str
    models: list[str]
    members: list[str]


class BudgetPolicyRow(Row):
    """A budget as the policies have it."""

    name: str
    team: str | None
    each: str | None
    limit: str
    mode: str


class PoliciesView(Row):
    """The policies in force."""

    organization: str
    version: str
    teams: list[TeamRow]
    budgets: list[BudgetPolicyRow]


class ReloadResult(Row):
    """What loading the policies anew has changed."""

    version: str
    changes: list[str]


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

    charges: list[ChargeRow]
    generation_ids: list[str]
    quote: dict[str, Any] | None
    outcome: dict[str, Any] | None
