"""Forwarding: the call goes out to its provider, and what comes back goes to the client.

All of it runs in one task that the application owns. The client's connection is only where pieces
are written to: when it breaks, the answer is drained within bounds and settled all the same, so that
nothing depends on whether a server cancels the handlers of clients that left.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

import aiohttp
from aiohttp import web

from policies.ledger.keys import REPORTED
from proxy.dialects.interface import ErrorKind
from proxy.gateway.call import REDIRECTS, Passage, Refusal, Ticket, redirected
from proxy.gateway.client import Client
from proxy.gateway.drain import Drains
from proxy.gateway.relay import Ends as RelayEnds
from proxy.gateway.relay import MeterAnswer, Relay
from proxy.gateway.upstream_errors import ERROR_STATUS_MIN, pass_on_error, read_error
from proxy.providers.connection import MaybeSent, NeverSent, Upstream, UpstreamTimeout
from proxy.providers.headers import request_headers

# What of an error is journalled, and looked at for its reason; all of it is passed on.
ERROR_BYTES_NOTED: Final = 2_048


class Ends(RelayEnds, Protocol):
    """Whoever sees to it that a call ends in the ledger."""

    async def unsent(self, passage: Passage, reason: str) -> None:
        """The call never reached the provider."""
        ...

    async def unanswered(self, passage: Passage, reason: str) -> None:
        """The call may have reached the provider, which did not answer."""
        ...

    async def refused(self, passage: Passage, status: int, error: str) -> None:
        """The provider answered with an error status."""
        ...


class Observer(Protocol):
    """Whoever counts what happens on the way."""

    def client_left(self) -> None:
        """A client went away before it had everything."""
        ...

    def upstream_answered(self, provider: str, status: int) -> None:
        """A provider answered."""
        ...

    def upstream_refused(self, provider: str, status: int, label: str | None) -> None:
        """A provider answered with an error status."""
        ...


class Wallets(Protocol):
    """Whoever gates on what providers report of our account."""

    async def upstream_refused(self, provider: str, label: str) -> None:
        """A provider refused a call because something of ours has run out."""
        ...

    async def passing(
        self,
        provider: str,
        headers: Mapping[str, str],
        spent_at_admission: Mapping[str, int],
        admitted_at_ms: int,
    ) -> None:
        """An answer's headers may tell of the account."""
        ...


class NoWallets:
    """Nobody gates on it."""

    async def upstream_refused(self, provider: str, label: str) -> None:
        """Nothing follows from it."""

    async def passing(
        self,
        provider: str,
        headers: Mapping[str, str],
        spent_at_admission: Mapping[str, int],
        admitted_at_ms: int,
    ) -> None:
        """Nothing follows from it."""


class Forwarder:
    """Forwards admitted calls, and tells how each of them ended."""

    def __init__(
        self,
        *,
        upstream: Upstream,
        meter_answer: MeterAnswer,
        ends: Ends,
        drains: Drains,
        observer: Observer,
        wallets: Wallets | None = None,
    ) -> None:
        self._wallets: Wallets = wallets or NoWallets()
        self._upstream = upstream
        self._meter_answer = meter_answer
        self._ends = ends
        self._drains = drains
        self._observer = observer

    async def forward(
        self, ticket: Ticket, request: web.BaseRequest, headers: list[tuple[str, str]]
    ) -> web.StreamResponse | Refusal:
        """Carry a call to its provider and its answer back; return that, or why there is none.

        Args:
            ticket: the admitted call.
            request: whose connection the answer is written to.
            headers: added to the answer.
        """
        passage = Passage(ticket=ticket)
        try:
            return await self._forward(passage, request, headers)
        finally:
            if not passage.ended:
                # A fault of ours, or the end of the process: the call may have cost money.
                passage.cut = True
                await self._ends.unanswered(passage, "the proxy broke off")

    async def _forward(
        self, passage: Passage, request: web.BaseRequest, headers: list[tuple[str, str]]
    ) -> web.StreamResponse | Refusal:
        quoted = passage.ticket.quoted
        provider, target = quoted.routed.provider, quoted.routed.target
        try:
            answer = await self._upstream.send(
                target,
                request_headers(request.raw_headers, target, body_changed=quoted.body_changed),
                quoted.body,
            )
        except NeverSent as fault:
            await self._ends.unsent(passage, str(fault))
            return _no_answer(provider.name, fault)
        except MaybeSent as fault:
            await self._ends.unanswered(passage, str(fault))
            return _no_answer(provider.name, fault)
        passage.status = answer.status
        self._observer.upstream_answered(provider.name, answer.status)
        passage.headers = answer.headers
        client = Client(request)
        try:
            if answer.status in REDIRECTS:
                await self._ends.refused(passage, answer.status, "a redirect is not followed")
                return redirected(provider.name, answer.status)
            if answer.status >= ERROR_STATUS_MIN:
                return await self._pass_on_error(passage, answer, client, headers)
            metering = self._meter_answer(quoted, answer.headers)
            relay = Relay(passage, answer, client, metering, drains=self._drains, ends=self._ends)
            sent = await relay.run(headers)
            await self._wallets.passing(
                provider.name,
                answer.headers,
                {s.budget: s.spent for s in passage.ticket.standings if s.window == REPORTED},
                passage.ticket.reservation.at_ms,
            )
            return sent
        finally:
            answer.release()
            if client.left:
                self._observer.client_left()

    async def _pass_on_error(
        self,
        passage: Passage,
        answer: aiohttp.ClientResponse,
        client: Client,
        headers: list[tuple[str, str]],
    ) -> web.StreamResponse:
        """Pass on the provider's refusal in full; it is unbilled, unless its status leaves that open."""
        provider = passage.ticket.quoted.routed.provider
        body, passage.cut = await read_error(answer, passage.ticket.quoted.routed.target)
        noted = body[:ERROR_BYTES_NOTED]
        label = provider.is_quota_refusal(answer.status, noted)
        self._observer.upstream_refused(provider.name, answer.status, label)
        if label is not None:
            await self._wallets.upstream_refused(provider.name, label)
        await self._ends.refused(passage, answer.status, noted.decode("utf-8", "replace"))
        return await pass_on_error(answer, body, client, headers)


def _no_answer(provider: str, fault: NeverSent | MaybeSent) -> Refusal:
    if isinstance(fault, NeverSent):
        status, kind, what = 502, ErrorKind.UPSTREAM_UNREACHABLE, "cannot be reached"
    elif isinstance(fault, UpstreamTimeout):
        status, kind, what = 504, ErrorKind.UPSTREAM_TIMEOUT, "did not answer in time"
    else:
        status, kind, what = 502, ErrorKind.UPSTREAM_CUT, "broke off before it answered"
    return Refusal(status=status, kind=kind, message=f"provider '{provider}' {what}: {fault}")
