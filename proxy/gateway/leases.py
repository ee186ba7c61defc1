"""Leases of calls in flight: kept alive while their worker lives, swept when it does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Final, Protocol

from policies.errors import IllegalTransition, LedgerRefused, LedgerUnavailable, UnknownCall
from policies.ledger.interface import Due, Ledger

# A lease is extended three times before it runs out: two lost answers do no harm.
EXTENSIONS_PER_LEASE: Final = 3
EXTENDED_AT_ONCE_MAX: Final = 500
SWEPT_AT_ONCE_MAX: Final = 200


class Observer(Protocol):
    """Whoever counts calls that were swept."""

    def expired(self, call_id: str) -> None:
        """A call was charged as reserved, because its worker is gone."""
        ...


#: When to look for the receipt of a call that nobody saw end; None: its provider gives none.
DueOf = Callable[[str], Due | None]


def no_receipts(provider: str) -> None:
    """Say that nobody tells what was billed."""
    del provider


class Leases:
    """The calls of this worker that are in flight."""

    def __init__(
        self, ledger: Ledger, lease_ms: int, observer: Observer, due_of: DueOf = no_receipts
    ) -> None:
        self._ledger = ledger
        self._lease_s = lease_ms / 1000
        self._observer = observer
        self._due_of = due_of
        # A call that goes on in the background is begun again before its first stretch ends.
        self._live: dict[str, int] = {}

    def __len__(self) -> int:
        """Return how many calls are in flight."""
        return len(self._live)

    def begin(self, call_id: str) -> None:
        """Keep a call's lease alive from now on."""
        self._live[call_id] = self._live.get(call_id, 0) + 1

    def end(self, call_id: str) -> None:
        """One stretch of a call has ended."""
        stretches = self._live.pop(call_id, 0) - 1
        if stretches > 0:
            self._live[call_id] = stretches

    async def run(self, sleep: Callable[[float], asyncio.Future[None]] | None = None) -> None:
        """Extend and sweep until cancelled."""
        pause = sleep or asyncio.sleep
        while True:
            await pause(self._lease_s / EXTENSIONS_PER_LEASE)
            try:
                await self.extend()
                await self.sweep()
            except LedgerUnavailable:
                continue  # The leases run on by the ledger's own clock; the next round tries again.

    async def extend(self) -> None:
        """Begin the lease of every call in flight anew."""
        live = list(self._live)
        for start in range(0, len(live), EXTENDED_AT_ONCE_MAX):
            await self._ledger.extend(live[start : start + EXTENDED_AT_ONCE_MAX])

    async def sweep(self) -> int:
        """Charge calls whose lease ran out as reserved; return how many. Any worker may do it."""
        swept = 0
        for call_id in await self._ledger.overdue(SWEPT_AT_ONCE_MAX):
            try:
                record = await self._ledger.find(call_id)
                if record is None:
                    continue
                provider = str(json.loads(record.data).get("provider") or "")
                due = self._due_of(provider)
                moved = await self._ledger.expire(record.reservation, due=due)
            except (IllegalTransition, UnknownCall):
                continue  # It ended, or another worker swept it, since we looked.
            except LedgerRefused:
                continue  # Something is wrong with this one; it must not keep back those behind it.
            if moved.changed:
                swept += 1
                self._observer.expired(call_id)
        return swept
