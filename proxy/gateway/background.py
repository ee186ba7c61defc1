"""Answers that come later: Responses sent with `background: true`, polled until their usage is known.

The POST answers at once, without usage; the client fetches the rest by id, or never. So the proxy
asks for it too, holding the reservation meanwhile (protocols.md, A2). When the worker dies, the
reservation runs out and stands, with the answer's id beside it for the receipt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from proxy.dialects.endpoints import Endpoint, Operation
from proxy.dialects.interface import Reading
from proxy.gateway.call import Passage
from proxy.gateway.leases import Leases
from proxy.providers.connection import MaybeSent, NeverSent, Upstream, read_whole
from proxy.providers.interface import Target
from proxy.tasks import Tasks

# Vendors' own SDK helpers poll every two seconds; a discounted answer may take eight hours.
FIRST_WAIT_S: Final = 1.0
WAIT_S_MAX: Final = 30.0
WAIT_FACTOR: Final = 1.5
GIVE_UP_S: Final = 9 * 3600.0
POLLED_MAX: Final = 1_000
ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
TERMINAL: Final = frozenset({"completed", "incomplete", "failed", "cancelled"})
# A provider that keeps no answers (`store: false`) says so each time; one that is behind, a few times.
REFUSALS_MAX: Final = 5
# Error statuses that stay; 408 and 429 come and go.
_REFUSALS: Final = frozenset(range(400, 500)) - {408, 429}

#: Told when a call's answer has come after all, or will not come.
Ended = Callable[[Passage, Reading], Awaitable[None]]
Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Refused:
    """The provider will not say, however often it is asked."""

    status: int


class Background:
    """Polls what was only queued."""

    def __init__(
        self,
        *,
        upstream: Upstream,
        leases: Leases,
        tasks: Tasks,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._upstream = upstream
        self._leases = leases
        self._tasks = tasks
        self._sleep = sleep
        self.polled = 0

    def take(self, passage: Passage, reading: Reading, ended: Ended) -> bool:
        """Take over a call whose answer comes later; False: it has to be settled as it is."""
        target = _lookup(passage, reading)
        if target is None or self.polled >= POLLED_MAX:
            return False
        self.polled += 1
        self._leases.begin(passage.ticket.reservation.call_id)
        self._tasks.spawn(self._poll(passage, reading, target, ended))
        return True

    async def _poll(self, passage: Passage, reading: Reading, target: Target, ended: Ended) -> None:
        call_id = passage.ticket.reservation.call_id
        waited, wait_s, refusals = 0.0, FIRST_WAIT_S, 0
        try:
            while reading.status not in TERMINAL and waited < GIVE_UP_S:
                await self._sleep(wait_s)
                waited += wait_s
                wait_s = min(wait_s * WAIT_FACTOR, WAIT_S_MAX)
                found = await self._ask(passage, target)
                refusals = refusals + 1 if isinstance(found, _Refused) else 0
                if refusals >= REFUSALS_MAX:
                    break
                reading = found if isinstance(found, Reading) else reading
            passage.cut = reading.status not in TERMINAL
            await ended(passage, reading)
        finally:
            self.polled -= 1
            self._leases.end(call_id)

    async def _ask(self, passage: Passage, target: Target) -> Reading | _Refused | None:
        """Return what is known of the answer now; None: the provider did not say."""
        dialect = passage.ticket.quoted.routed.arrival.dialect
        try:
            answer = await self._upstream.send(target, list(target.headers), None)
            try:
                body = await read_whole(answer, ANSWER_BYTES_MAX)
            finally:
                answer.release()
        except (NeverSent, MaybeSent):
            return None
        if answer.status in _REFUSALS:
            return _Refused(answer.status)
        meter = dialect.meter(streamed=False, content_type="application/json", strip_usage=False)
        meter.feed(body)
        found = meter.finish()
        return found if found.status is not None else None


def _lookup(passage: Passage, reading: Reading) -> Target | None:
    routed = passage.ticket.quoted.routed
    if not reading.generation_ids:
        return None
    endpoint = Endpoint(
        operation=Operation.RESPONSE_GET,
        dialect="responses",
        provider=routed.provider.name,
        model=None,
        streams=False,
        version=routed.arrival.endpoint.version,
        publisher=None,
        response_id=reading.generation_ids[0],
        metered=False,
        query="",
        key_from_query=None,
    )
    return routed.provider.target(endpoint)
