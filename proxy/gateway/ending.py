"""How calls end: what is known of an answer goes to the settlement, and that into the books."""

from __future__ import annotations

from typing import Final

from policies.errors import LedgerUnavailable
from policies.ledger.interface import Ledger
from proxy.dialects.interface import Reading
from proxy.gateway.background import Background
from proxy.gateway.books import Books
from proxy.gateway.call import Passage, Ticket
from proxy.gateway.owners import ResponseOwners
from proxy.gateway.settle import Conclusion, Settler

# A Response that is worked on after its POST was answered.
PENDING: Final = frozenset({"queued", "in_progress"})


class Endings:
    """Sees to it that every call that was admitted ends in the ledger, once."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        settler: Settler,
        books: Books,
        background: Background,
        owners: ResponseOwners,
    ) -> None:
        self._ledger = ledger
        self._settler = settler
        self._books = books
        self._background = background
        self._owners = owners

    async def unused(self, ticket: Ticket, reason: str) -> None:
        """A call was admitted and then not sent after all."""
        await self.unsent(Passage(ticket=ticket), reason)

    async def unsent(self, passage: Passage, reason: str) -> None:
        """The call never reached the provider."""
        await self._end(passage, self._settler.unsent(passage, reason))

    async def unanswered(self, passage: Passage, reason: str) -> None:
        """The call may have reached the provider, which did not answer."""
        await self._end(passage, self._settler.unanswered(passage, reason))

    async def refused(self, passage: Passage, status: int, error: str) -> None:
        """The provider answered with an error status."""
        await self._end(passage, self._settler.refused(passage, status, error))

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
        # A stream that was cut says `in_progress` as well, and nobody may ever finish that one.
        is_queued = passage.ticket.quoted.routed.arrival.parsed.demand.background
        is_queued = is_queued and reading.status in PENDING
        if is_queued and self._background.take(passage, reading, self.came_later):
            passage.ended = True
            await self.seen(passage, reading.generation_ids[0])
            return
        await self._end(passage, self._settler.answered(passage, reading))

    async def came_later(self, passage: Passage, reading: Reading) -> None:
        """Book what an answer came to that was queued first."""
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
