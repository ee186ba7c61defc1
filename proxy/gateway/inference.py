"""The way of one call, in order; each station takes what the former returned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from policies.clock import Clock
from policies.errors import LedgerUnavailable
from policies.ledger.interface import Ledger
from policies.rulebook import Rulebook
from policies.units import policy_text
from proxy.dialects.endpoints import Endpoint
from proxy.dialects.interface import Dialect
from proxy.gateway.admit import Gate
from proxy.gateway.authenticate import authenticate
from proxy.gateway.call import Arrival, Quoted, Refusal, Ticket
from proxy.gateway.ending import Endings
from proxy.gateway.forward import Forwarder
from proxy.gateway.intake import Intake
from proxy.gateway.leases import Leases
from proxy.gateway.owners import ResponseOwners
from proxy.gateway.parse import decompressed, parse, read_body
from proxy.gateway.quote import Quoter
from proxy.gateway.refuse import CALL_ID_HEADER
from proxy.gateway.route import Router
from proxy.gateway.watch import Watch
from proxy.keys import KeyRing

BUDGET_HEADER: Final = "x-bursar-budget"
#: Budgets in mode `warn` that are over their limit; those in mode `shadow` are never spoken of.
WARNED_HEADER: Final = "x-bursar-warning"
REMAINING_HEADER: Final = "x-bursar-budget-remaining"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stations:
    """What the stations work with."""

    keys: KeyRing
    router: Router
    quoter: Quoter
    gate: Gate
    forwarder: Forwarder
    endings: Endings
    leases: Leases
    owners: ResponseOwners
    intake: Intake
    ledger: Ledger
    clock: Clock
    watch: Watch
    body_bytes_max: int
    #: The rulebook in force; it changes when the policies are loaded anew.
    rulebook: Callable[[], Rulebook]


class Inference:
    """Takes calls through the stations."""

    def __init__(self, stations: Stations) -> None:
        self._s = stations

    async def handle(
        self, request: web.BaseRequest, endpoint: Endpoint, dialect: Dialect, call_id: str
    ) -> web.StreamResponse | Refusal:
        """Take one call from its request to its settlement; return the answer, sent, or the refusal."""
        began_ms = self._s.clock.now_ms()
        arrival = await self._arrive(request, endpoint, dialect, call_id)
        if isinstance(arrival, Refusal):
            return arrival
        quoted = await self._price(arrival)
        if isinstance(quoted, Refusal):
            return quoted
        ticket = await self._admit(request, quoted)
        if isinstance(ticket, Refusal):
            return ticket
        self._s.watch.admitted(ticket, (self._s.clock.now_ms() - began_ms) / 1000)
        self._s.leases.begin(call_id)
        try:
            return await self._s.forwarder.forward(ticket, request, _headers(ticket, call_id))
        finally:
            self._s.leases.end(call_id)

    async def _arrive(
        self, request: web.BaseRequest, endpoint: Endpoint, dialect: Dialect, call_id: str
    ) -> Arrival | Refusal:
        """Pass `authenticate` and `parse`."""
        s = self._s
        caller = await authenticate(request.headers, endpoint, s.keys, s.rulebook())
        if isinstance(caller, Refusal):
            return caller
        with s.intake.share(caller.key_id) as share:
            body = await read_body(request, s.body_bytes_max, share)
        if isinstance(body, Refusal):
            return body
        encoding = request.headers.get("content-encoding", "")
        plain = decompressed(body, encoding, s.body_bytes_max) if encoding else body
        if isinstance(plain, Refusal):
            return plain
        parsed = parse(plain, endpoint, dialect, request.headers)
        if isinstance(parsed, Refusal):
            return parsed
        return Arrival(
            call_id=call_id,
            at_ms=s.clock.now_ms(),
            endpoint=endpoint,
            dialect=dialect,
            caller=caller,
            body=body,
            plain_body=plain,
            parsed=parsed,
            traceparent=request.headers.get("traceparent", ""),
        )

    async def _price(self, arrival: Arrival) -> Quoted | Refusal:
        """Pass `route` and `quote`."""
        routed = self._s.router.route(arrival, self._s.rulebook())
        if isinstance(routed, Refusal):
            return routed
        previous = arrival.parsed.previous_response_id
        if previous is not None:
            owned = await self._s.owners.check(previous, arrival.caller.team, routed.provider.name)
            if isinstance(owned, Refusal):
                return owned
        return self._s.quoter.quote(routed)

    async def _admit(self, request: web.BaseRequest, quoted: Quoted) -> Ticket | Refusal:
        """Pass `admit`, and look at the key again when the ledger says that keys have changed."""
        s = self._s
        began_s = s.clock.monotonic_s()
        admitted = await s.gate.admit(quoted)
        s.watch.asked_ledger(s.clock.monotonic_s() - began_s)
        if isinstance(admitted, Refusal):
            return admitted
        ticket, keys_version = admitted
        if ticket.on_allowance or keys_version == s.keys.version:
            return ticket
        try:
            await s.keys.refresh()
            again = await authenticate(
                request.headers, quoted.routed.arrival.endpoint, s.keys, s.rulebook()
            )
        except LedgerUnavailable:
            await s.endings.unused(ticket, "the ledger did not say whether the key still holds")
            raise
        if not isinstance(again, Refusal):
            return ticket
        await s.endings.unused(ticket, "the key was revoked meanwhile")
        return again


def _headers(ticket: Ticket, call_id: str) -> list[tuple[str, str]]:
    headers = [(CALL_ID_HEADER, call_id)]
    tightest = ticket.tightest
    if tightest is not None:
        headers.append((BUDGET_HEADER, tightest.budget))
        headers.append((REMAINING_HEADER, policy_text(tightest.unit, tightest.remaining)))
    warned = [
        ask.budget.name
        for ask in ticket.quoted.asks
        if ask.budget.mode == "warn" and ask.budget.name in ticket.would_refuse
    ]
    if warned:
        headers.append((WARNED_HEADER, ", ".join(warned)))
    return headers
