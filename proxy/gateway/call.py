"""What the stations hand to each other: a call as far as it has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from policies.budgets import Caller
from policies.decisions import Standing
from policies.ledger.interface import Ask
from policies.ledger.keys import REPORTED
from policies.quotes import Quote
from policies.reservations import Reservation
from policies.rulebook import Rules
from proxy.dialects.endpoints import Endpoint
from proxy.dialects.interface import Dialect, ErrorKind, ParsedRequest
from proxy.providers.interface import Provider, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A call that is not admitted: what the caller is told, in no dialect yet."""

    status: int
    kind: ErrorKind
    #: Names what is wrong and what to do.
    message: str
    param: str | None = None
    #: Why a key is not good, in one word, for whoever counts it.
    reason: str | None = None
    #: The budget without room, where that is the reason.
    standing: Standing | None = None
    #: Seconds after which trying again makes sense; None: it does not.
    retry_after_s: int | None = None
    headers: tuple[tuple[str, str], ...] = ()


#: Statuses of a provider that send a client elsewhere.
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


def redirected(provider: str, status: int) -> Refusal:
    """Return what a caller is told instead of a redirect.

    An SDK would follow it: past every budget, to a host that would be sent the key for this one.
    """
    return Refusal(
        status=502,
        kind=ErrorKind.UPSTREAM_UNREACHABLE,
        message=f"provider '{provider}' answered with a redirect ({status}), which is not passed on: "
        "correct its base_url",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A request for inference, read and understood."""

    call_id: str
    at_ms: int
    endpoint: Endpoint
    dialect: Dialect
    caller: Caller
    #: As it came, compressed or not.
    body: bytes
    #: Decompressed; the same object when it was not compressed.
    plain_body: bytes
    parsed: ParsedRequest
    #: W3C trace context that the request came with; empty: none.
    traceparent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """A call whose provider and rules are known."""

    arrival: Arrival
    provider: Provider
    target: Target
    #: The name by which the model is priced, however the caller spelled it.
    model: str
    rules: Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoted:
    """A call of which is known what it may cost at most."""

    routed: Routed
    #: None: the price is not known, and policy said what to reserve instead.
    quote: Quote | None
    asks: tuple[Ask, ...]
    #: JSON text for the journal.
    data: str
    #: What is sent: the client's own bytes unless policy changed them.
    body: bytes
    body_changed: bool
    #: Usage was asked for on the client's behalf; its chunk is taken out of the answer again.
    strip_usage: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """The only way to `forward`: a call whose quote is held."""

    quoted: Quoted
    reservation: Reservation
    standings: tuple[Standing, ...] = ()
    #: Budgets in mode `warn` or `shadow` that would have refused.
    would_refuse: tuple[str, ...] = ()
    #: The ledger was away: admitted on the worker's own allowance, to be booked when it is back.
    on_allowance: bool = False
    #: The ledger was away, and the call was refused; whether it is held all the same is in doubt.
    in_doubt: bool = False

    @property
    def tightest(self) -> Standing | None:
        """The budget with the least left, as a share of its limit; shadow budgets are not spoken of.

        Nor are a provider's own quotas: they are the operator's business until one of them refuses.
        """
        spoken_of = (
            standing
            for standing in self.standings
            if standing.mode != "shadow" and standing.window != REPORTED
        )
        return min(spoken_of, key=lambda s: s.remaining / s.limit if s.limit else 0.0, default=None)


@dataclass(slots=True)
class Passage:
    """What became of a call on its way through; filled while it passes, read at its end."""

    ticket: Ticket
    #: The provider's HTTP status; None: there was no answer.
    status: int | None = None
    #: The provider's headers.
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Ids of the call that its answer's body told, in order.
    body_ids: list[str] = field(default_factory=list)
    client_left: bool = False
    cut: bool = False
    #: Its end was concluded; it is concluded once.
    ended: bool = False
    ids_noted: bool = False

    @property
    def generation_ids(self) -> tuple[str, ...]:
        """Ids under which the provider's billing may know the call, likeliest first."""
        return self.ticket.quoted.routed.provider.generation_ids(self.headers, self.body_ids)
