"""What can be asked: each operation is declared once, for the routes and for the OpenAPI document.

Where the two would differ there is nothing to write: the query is read by the model that the document
shows, a body by another than the declared model is a fault, and tests hold each answer against the
document.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, Protocol

from aiohttp import web
from pydantic import BaseModel

from proxy.admin.queries import NoQuery, Query
from proxy.admin.schemas import Body

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Refusal(NamedTuple):
    """A way in which an operation is not done."""

    status: int
    code: str


INVALID: Final = Refusal(400, "invalid")
NO_TOKEN: Final = Refusal(401, "no_token")
UNKNOWN_TOKEN: Final = Refusal(401, "unknown_token")
EXPIRED_TOKEN: Final = Refusal(401, "expired_token")
NO_TOKENS: Final = Refusal(403, "no_tokens")
READ_ONLY: Final = Refusal(403, "read_only")
OTHER_TEAMS: Final = Refusal(403, "other_teams")
NOT_FOUND: Final = Refusal(404, "not_found")
BUSY: Final = Refusal(409, "busy")
NOT_USABLE: Final = Refusal(409, "not_usable")
CHANGED: Final = Refusal(412, "changed")
TOO_LARGE: Final = Refusal(413, "refused")
POLICY_MISTAKES: Final = Refusal(422, "policy_mistakes")
TOO_MANY_ATTEMPTS: Final = Refusal(429, "too_many_attempts")
LEDGER_UNAVAILABLE: Final = Refusal(503, "ledger_unavailable")
ARCHIVE_UNAVAILABLE: Final = Refusal(503, "archive_unavailable")


class Header(NamedTuple):
    """A header that a request may have."""

    name: str
    says: str


IF_MATCH: Final = Header(
    "If-Match", "The `ETag` of what is to be changed: if it was changed since, nothing is done."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One thing that can be asked."""

    method: Literal["GET", "POST", "DELETE"]
    path: str
    #: Its name in the document, and in clients that are made from it.
    name: str
    says: str
    handler: Handler
    #: A model of JSON, or the media types of what is streamed.
    answer: type[BaseModel] | tuple[str, ...]
    status: int = 200
    #: None: whatever stands in the address is ignored, as machines that ask for health expect.
    query: type[Query] | None = NoQuery
    body: type[Body] | None = None
    headers: Sequence[Header] = ()
    #: Its answer has an `ETag`.
    tagged: bool = False
    #: Beside those that are the same for all.
    refuses: Sequence[Refusal] = ()
    #: It needs no token.
    open: bool = False
    #: What it tells is about all teams together.
    for_all_teams: bool = False
    #: Other answers than errors, by status.
    others: Mapping[int, type[BaseModel]] = field(default_factory=dict)

    @property
    def refusals(self) -> list[Refusal]:
        """Every way in which it is not done."""
        if self.open:
            return list(self.refuses)
        common = [INVALID, NO_TOKEN, UNKNOWN_TOKEN, EXPIRED_TOKEN, NO_TOKENS]
        if self.method != "GET":
            common.append(READ_ONLY)
        if self.for_all_teams:
            common.append(OTHER_TEAMS)
        if self.body is not None:
            common.append(TOO_LARGE)
        return [*common, *self.refuses, TOO_MANY_ATTEMPTS, LEDGER_UNAVAILABLE, ARCHIVE_UNAVAILABLE]


class Part(Protocol):
    """Whatever has operations."""

    def operations(self) -> Sequence[Operation]:
        """Return what can be asked of it."""
        ...
