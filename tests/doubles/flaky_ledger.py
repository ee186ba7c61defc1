"""A ledger that goes away when a test says so: before an operation takes place, or after it did."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeVar

from policies.budgets import Budget
from policies.decisions import Decision, Moved, Standing
from policies.errors import BursarError, LedgerUnavailable, LedgerUntouched
from policies.journal import Entry
from policies.ledger.interface import (
    Admission,
    Ask,
    CallRecord,
    CounterRecord,
    Due,
    Ledger,
    Restored,
    Tally,
)
from policies.reservations import Reservation
from policies.units import Amounts

_T = TypeVar("_T")


class FlakyLedger:
    """A `Ledger` in front of another one."""

    def __init__(self, behind: Ledger) -> None:
        self.behind = behind
        #: Every operation that was asked for, by name.
        self.asked: list[str] = []
        #: Nothing is reached at all.
        self.away = False
        self._faults: list[tuple[str, bool, BursarError]] = []

    def fail(
        self, operation: str, *, after: bool = False, fault: BursarError | None = None
    ) -> None:
        """Let the next operation of this name fail: before it takes place, or after it did."""
        self._faults.append((operation, after, fault or LedgerUnavailable("no answer in time")))

    def now_ms(self) -> int:
        return self.behind.now_ms()

    async def reserve(
        self, call_id: str, asks: Sequence[Ask], *, data: str, admission: Admission
    ) -> Decision:
        return await self._do(
            "reserve",
            lambda: self.behind.reserve(call_id, asks, data=data, admission=admission),
        )

    async def settle(
        self, reservation: Reservation, amounts: Amounts, *, outcome: str, due: Due | None = None
    ) -> Moved:
        return await self._do(
            "settle", lambda: self.behind.settle(reservation, amounts, outcome=outcome, due=due)
        )

    async def release(self, reservation: Reservation, *, outcome: str) -> Moved:
        return await self._do("release", lambda: self.behind.release(reservation, outcome=outcome))

    async def expire(self, reservation: Reservation, *, due: Due | None = None) -> Moved:
        return await self._do("expire", lambda: self.behind.expire(reservation, due=due))

    async def receipt(
        self,
        reservation: Reservation,
        amounts: Amounts,
        *,
        outcome: str,
        queue: str = "",
        tally: Tally | None = None,
        keep: Collection[str] = (),
    ) -> Moved:
        return await self._do(
            "receipt",
            lambda: self.behind.receipt(
                reservation, amounts, outcome=outcome, queue=queue, tally=tally, keep=keep
            ),
        )

    async def give_up(
        self, reservation: Reservation, *, outcome: str, queue: str = "", tally: Tally | None = None
    ) -> Moved:
        return await self._do(
            "give_up",
            lambda: self.behind.give_up(reservation, outcome=outcome, queue=queue, tally=tally),
        )

    async def report(
        self, budget: Budget, subject: str, *, limit: int | None, closed: str, began_ms: int
    ) -> bool:
        return await self._do(
            "report",
            lambda: self.behind.report(
                budget, subject, limit=limit, closed=closed, began_ms=began_ms
            ),
        )

    async def close(self, budget: Budget, subject: str, *, reason: str, for_ms: int) -> bool:
        return await self._do(
            "close", lambda: self.behind.close(budget, subject, reason=reason, for_ms=for_ms)
        )

    async def note_generation(self, call_id: str, generation_ids: Sequence[str]) -> None:
        await self._do("note", lambda: self.behind.note_generation(call_id, generation_ids))

    async def extend(self, call_ids: Sequence[str]) -> int:
        return await self._do("extend", lambda: self.behind.extend(call_ids))

    async def overdue(self, count_max: int) -> list[str]:
        return await self._do("overdue", lambda: self.behind.overdue(count_max))

    async def find(self, call_id: str) -> CallRecord | None:
        return await self._do("find", lambda: self.behind.find(call_id))

    async def standings(self, asks: Sequence[Ask]) -> tuple[Standing, ...]:
        return await self._do("standings", lambda: self.behind.standings(asks))

    async def subjects(self, budget: Budget) -> list[str]:
        return await self._do("subjects", lambda: self.behind.subjects(budget))

    async def journal_once(
        self, topic: str, name: str, value: str, *, kind: str, data: str
    ) -> bool:
        return await self._do(
            "journal_once",
            lambda: self.behind.journal_once(topic, name, value, kind=kind, data=data),
        )

    async def restore_call(self, record: CallRecord, *, due: Due | None = None) -> bool:
        return await self._do("restore_call", lambda: self.behind.restore_call(record, due=due))

    async def restore_counter(self, record: CounterRecord) -> Restored:
        return await self._do("restore_counter", lambda: self.behind.restore_counter(record))

    async def note(self, kind: str, data: str) -> None:
        await self._do("act", lambda: self.behind.note(kind, data))

    async def journal(self, *, after: str = "-", count_max: int = 100) -> Sequence[Entry]:
        return await self._do(
            "journal", lambda: self.behind.journal(after=after, count_max=count_max)
        )

    async def _do(self, operation: str, work: Callable[[], Awaitable[_T]]) -> _T:
        self.asked.append(operation)
        if self.away:
            raise LedgerUntouched("Redis is not connected")
        found = next((fault for fault in self._faults if fault[0] == operation), None)
        if found is None:
            return await work()
        self._faults.remove(found)
        _, after, fault = found
        if after:
            await work()
        raise fault
