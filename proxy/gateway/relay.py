"""Relaying one answer: every piece as it comes, metered in passing, settled before its last one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

import aiohttp
from aiohttp import web

from policies.usage import Exact
from proxy.dialects.interface import ErrorKind, Reading
from proxy.gateway.call import Passage, Quoted
from proxy.gateway.client import Client
from proxy.gateway.drain import DrainEnded, Drains
from proxy.providers.connection import MaybeSent, UpstreamTimeout
from proxy.providers.headers import answer_headers

# A Response that says so has not finished.
PENDING: Final = frozenset({"queued", "in_progress"})


#: What an event ends in.
BLANK_LINES: Final = (b"\n\n", b"\r\n\r\n", b"\r\r")


class AnswerMeter(Protocol):
    """Whatever watches an answer pass (`meter.Metering`)."""

    @property
    def compressed(self) -> bool:
        """Whether what is relayed is compressed, so that nothing can be added to it."""
        ...

    @property
    def generation_id(self) -> str | None:
        """The answer's id, as soon as it was seen."""
        ...

    @property
    def terminal(self) -> bool:
        """The dialect's end was seen."""
        ...

    def feed(self, chunk: bytes) -> bytes:
        """Take note of a piece of the answer; return what to relay."""
        ...

    def flush(self) -> bytes:
        """Return what was held back, at the end."""
        ...

    def finish(self) -> Reading:
        """Return what the answer told, whole or cut."""
        ...


MeterAnswer = Callable[[Quoted, Mapping[str, str]], AnswerMeter]


class Ends(Protocol):
    """Whoever takes note of how a call goes, and of how it ended."""

    async def seen(self, passage: Passage, generation_id: str) -> None:
        """The answer's own id has come, before its end."""
        ...

    async def answered(self, passage: Passage, reading: Reading) -> None:
        """The answer has passed, or was cut."""
        ...


class Relay:
    """One answer on its way from the provider to the client."""

    def __init__(
        self,
        passage: Passage,
        answer: aiohttp.ClientResponse,
        client: Client,
        metering: AnswerMeter,
        *,
        drains: Drains,
        ends: Ends,
    ) -> None:
        quoted = passage.ticket.quoted
        self._passage = passage
        self._answer = answer
        self._client = client
        self._drains = drains
        self._ends = ends
        self._arrival = quoted.routed.arrival
        self._strips = quoted.strip_usage
        self._metering = metering
        #: The piece that was relayed last.
        self._last = b"\n\n"

    async def run(self, headers: list[tuple[str, str]]) -> web.StreamResponse:
        """Relay to the end, the cut or the bounds of draining; return the answer, sent."""
        own = answer_headers(self._answer.raw_headers, body_changed=self._strips)
        await self._client.begin(self._answer.status, self._answer.reason, own + headers)
        try:
            if self._arrival.parsed.stream:
                await self._relay_stream()
            else:
                await self._relay_whole()
        except DrainEnded:
            self._answer.close()
            await self._settle(cut=True)
        except MaybeSent as fault:
            await self._settle(cut=True)
            await self._tell_of_cut(fault)
        return await self._client.end()

    async def _relay_stream(self) -> None:
        metering, client = self._metering, self._client
        async for piece in self._drains.pieces(self._answer, client):
            relayed = metering.feed(piece)
            if metering.generation_id is not None and not self._passage.ids_noted:
                self._add_ids(metering.generation_id)
                await self._ends.seen(self._passage, metering.generation_id)
            if metering.terminal:
                # The client may stop here, and call again: it finds the budget as this call left it.
                await self._settle(cut=False)
            await client.write(relayed)
            self._last = relayed or self._last
        if self._ended_early():
            raise MaybeSent("it ended before it was finished")
        await self._settle(cut=False)
        await client.write(metering.flush())

    def _ended_early(self) -> bool:
        """Tell whether a stream of events was closed in good order, but not at its end.

        The SDKs would take what came for the whole (protocols.md, A3). Some servers leave out the
        last line, so a reason for the finish, exact usage or an error count as an end as well.
        """
        headers = self._answer.headers
        kind = headers.get("content-type", "").lower()
        if self._metering.terminal or "content-encoding" in headers:
            return False
        reading = self._metering.finish()
        finished = reading.finish is not None and reading.status not in PENDING
        finished = finished or reading.error is not None or isinstance(reading.metered, Exact)
        return kind.startswith("text/event-stream") and not finished

    async def _relay_whole(self) -> None:
        expected = None if self._strips else self._answer.content_length
        received, held = 0, b""
        async for piece in self._drains.pieces(self._answer, self._client):
            await self._client.write(held)
            held = self._metering.feed(piece)
            received += len(piece)
            if received == expected:
                break
        await self._settle(cut=False)
        await self._client.write(held)
        await self._client.write(self._metering.flush())

    async def _settle(self, *, cut: bool) -> None:
        passage = self._passage
        if passage.ended:
            return
        passage.cut = cut
        passage.client_left = self._client.left
        reading = self._metering.finish()
        self._add_ids(*reading.generation_ids)
        await self._ends.answered(passage, reading)

    async def _tell_of_cut(self, fault: MaybeSent) -> None:
        """Make the client see that the answer is not whole; ending it politely would hide that."""
        # What is packed, or has its length announced, takes nothing more.
        unbounded = self._strips or self._answer.content_length is None
        if not self._arrival.parsed.stream or self._metering.compressed or not unbounded:
            self._client.abort()
            return
        timed_out = isinstance(fault, UpstreamTimeout)
        kind = self._answer.headers.get("content-type", "text/event-stream")
        # Half an event may have passed: what is written to its line would be a part of it. One that
        # was held back stays where it is.
        events = kind.lower().startswith("text/event-stream")
        apart = b"\n\n" if events and not self._last.endswith(BLANK_LINES) else b""
        await self._client.write(
            apart
            + self._arrival.dialect.stream_error(
                kind=ErrorKind.UPSTREAM_TIMEOUT if timed_out else ErrorKind.UPSTREAM_CUT,
                message=f"the provider broke off in the middle of its answer: {fault}",
                call_id=self._arrival.call_id,
                content_type=kind,
            )
        )

    def _add_ids(self, *ids: str) -> None:
        known = self._passage.body_ids
        known += [each for each in ids if each not in known]
