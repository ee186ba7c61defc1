"""Forwarding: the call goes out to its provider, and what comes back goes to the client.

All of it runs in one task that the application owns. The client's connection is only where pieces
are written to: when it breaks, the answer is drained within bounds and settled all the same, so that
nothing depends on whether a server cancels the handlers of clients that left.
"""

from __future__ import annotations

from typing import Final

import aiohttp
from aiohttp import web

from policies.errors import LedgerUnavailable
from policies.ledger.interface import Ledger
from proxy.dialects.interface import ErrorKind, Reading
from proxy.gateway.background import Background
from proxy.gateway.books import Books
from proxy.gateway.call import Passage, Refusal, Ticket
from proxy.gateway.client import Client
from proxy.gateway.drain import Drains
from proxy.gateway.owners import ResponseOwners
from proxy.gateway.relay import Relay
from proxy.gateway.settle import Conclusion, Settler
from proxy.providers.connection import MaybeSent, NeverSent, Upstream, UpstreamTimeout, translate
from proxy.providers.headers import answer_headers, request_headers
from proxy.gateway.watch import Watch

# What of an error is journalled, and looked at for its reason; all of it is passed on.
ERROR_BYTES_NOTED: Final = 2_048
# Errors are short; an endless one is cut here and counts as read.
ERROR_BYTES_MAX: Final = 8 * 1024 * 1024
ERROR_STATUS_MIN: Final = 400
# A Response that is worked on after its POST was answered.
PENDING: Final = frozenset({"queued", "in_progress"})


class Forwarder:
    """Forwards admitted calls, and sees to it that each of them ends in the ledger."""

    def __init__(
        self,
        *,
        upstream: Upstream,
        ledger: Ledger,
        settler: Settler,
        books: Books,
        background: Background,
        owners: ResponseOwners,
        drains: Drains,
        watch: Watch,
    ) -> None:
        self._upstream = upstream
        self._ledger = ledger
        self._settler = settler
        self._books = books
        self._background = background
        self._owners = owners
        self._drains = drains
        self._watch = watch

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
                await self._end(passage, self._settler.unanswered(passage, "the proxy broke off"))

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
            await self._end(passage, self._settler.unsent(passage, str(fault)))
            return _no_answer(provider.name, fault)
        except MaybeSent as fault:
            await self._end(passage, self._settler.unanswered(passage, str(fault)))
            return _no_answer(provider.name, fault)
        passage.status = answer.status
        passage.headers = answer.headers
        client = Client(request)
        try:
            if answer.status >= ERROR_STATUS_MIN:
                return await self._pass_on_error(passage, answer, client, headers)
            relay = Relay(passage, answer, client, drains=self._drains, ends=self)
            return await relay.run(headers)
        finally:
            answer.release()
            if client.left:
                self._watch.client_left()

    async def seen(self, passage: Passage, generation_id: str) -> None:
        """Note under which ids the provider may know a call, for its receipt should this worker die."""
        passage.ids_noted = True
        await self._remember_owner(passage, generation_id)
        if passage.ticket.on_allowance:
            return
        try:
            await self._ledger.note_generation(
                passage.ticket.reservation.call_id, passage.generation_ids
            )
        except LedgerUnavailable:
            return  # The settlement names them too.

    async def answered(self, passage: Passage, reading: Reading) -> None:
        """Book what an answer came to; one that was only queued is booked when it is there."""
        if not passage.ids_noted and reading.generation_ids:
            await self._remember_owner(passage, reading.generation_ids[0])
        if reading.status in PENDING and self._background.take(passage, reading):
            passage.ended = True
            await self.seen(passage, reading.generation_ids[0])
            return
        await self._end(passage, self._settler.answered(passage, reading))

    async def _end(self, passage: Passage, conclusion: Conclusion) -> None:
        passage.ended = True
        await self._books.book(passage.ticket, conclusion)

    async def _remember_owner(self, passage: Passage, response_id: str) -> None:
        routed = passage.ticket.quoted.routed
        if routed.arrival.dialect.name == "responses":
            await self._owners.remember(
                response_id, routed.arrival.caller.team, routed.provider.name
            )

    async def _pass_on_error(
        self,
        passage: Passage,
        answer: aiohttp.ClientResponse,
        client: Client,
        headers: list[tuple[str, str]],
    ) -> web.StreamResponse:
        """Pass on the provider's refusal in full; it is unbilled, unless its status leaves that open."""
        provider = passage.ticket.quoted.routed.provider
        body = bytearray()
        try:
            with translate():
                while len(body) < ERROR_BYTES_MAX and (piece := await answer.content.readany()):
                    body += piece
        except MaybeSent:
            passage.cut = True
        noted = bytes(body[:ERROR_BYTES_NOTED])
        label = provider.is_quota_refusal(answer.status, noted)
        self._watch.upstream_refused(provider.name, answer.status, label)
        conclusion = self._settler.refused(passage, answer.status, noted.decode("utf-8", "replace"))
        await self._end(passage, conclusion)
        own = [h for h in answer_headers(answer.raw_headers) if h[0].lower() != "content-length"]
        await client.begin(
            answer.status, answer.reason, [*own, *headers, ("content-length", str(len(body)))]
        )
        await client.write(bytes(body))
        return await client.end()


def _no_answer(provider: str, fault: NeverSent | MaybeSent) -> Refusal:
    if isinstance(fault, NeverSent):
        status, kind, what = 502, ErrorKind.UPSTREAM_UNREACHABLE, "cannot be reached"
    elif isinstance(fault, UpstreamTimeout):
        status, kind, what = 504, ErrorKind.UPSTREAM_TIMEOUT, "did not answer in time"
    else:
        status, kind, what = 502, ErrorKind.UPSTREAM_CUT, "broke off before it answered"
    return Refusal(status=status, kind=kind, message=f"provider '{provider}' {what}: {fault}")
