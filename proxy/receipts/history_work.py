"""Reading a provider's billing history again and again, and counting what no call explains."""

from __future__ import annotations

from typing import Final, Protocol

from policies.ledger.interface import Ledger
from proxy.billing_settings import ReceiptSettings
from proxy.receipts.ghosts import Ghost, Ghosts
from proxy.receipts.history.groups import final_of
from proxy.receipts.history.pages import Refused, Unreadable
from proxy.receipts.history.scan import Scan, Scanned, ScanResult
from proxy.receipts.history.shelf import Ghost as UnclaimedRows
from proxy.receipts.history.shelf import Shelf
from proxy.receipts.receipt import SetAside, SlowDown
from proxy.receipts.schedule import Schedule

GHOSTS_AT_ONCE_MAX: Final = 100


class Observer(Protocol):
    """Whoever counts and logs what comes of a history."""

    def history_read(self, provider: str, scanned: Scanned) -> None:
        """A history was read."""
        ...

    def history_failed(self, provider: str, reason: str) -> None:
        """A history could not be read."""
        ...

    def receipts_slowed(self, provider: str, for_ms: int) -> None:
        """A provider wants fewer requests."""
        ...

    def ghost_found(self, ghost: Ghost) -> None:
        """Money was billed that no call explains."""
        ...

    def ghost_set_aside(self, provider: str, ghost_id: str, reason: str) -> None:
        """Rows that no call explains do not add up either."""
        ...


class HistoryWork:
    """The billing history of one provider. One replica reads it at a time; two do no harm."""

    def __init__(
        self,
        provider: str,
        scan: Scan,
        shelf: Shelf,
        *,
        ledger: Ledger,
        schedule: Schedule,
        ghosts: Ghosts,
        settings: ReceiptSettings,
        observer: Observer,
    ) -> None:
        self._provider = provider
        self._scan = scan
        #: What waits for calls.
        self.shelf: Final = shelf
        self._ledger = ledger
        self._schedule = schedule
        self._ghosts = ghosts
        self._settings = settings
        self._observer = observer

    async def run_due(self) -> bool:
        """Read the history if nobody did for long enough; return whether it was read.

        Raises:
            LedgerUnavailable: what was not put on the shelf is read again.
        """
        # The claim is the interval: a reader that dies is followed by another one after it.
        if not await self._schedule.claim_work(
            f"history:{self._provider}", self._settings.scan_every_ms
        ):
            return False
        waiting = await self._schedule.waiting(self._provider)
        if waiting.slow_until_ms:
            return False
        await self._take(await self._scan.run_once(self._ledger.now_ms()))
        await self.count_ghosts()
        return True

    async def count_ghosts(self) -> int:
        """Count what nobody claimed in time on the budget `unattributed`; return how many."""
        found = await self.shelf.unclaimed(
            self._settings.ghost_after_ms, GHOSTS_AT_ONCE_MAX, self._ledger.now_ms()
        )
        for rows in found:
            await self._count(rows)
        return len(found)

    async def _take(self, result: ScanResult) -> None:
        match result:
            case Scanned():
                self._observer.history_read(self._provider, result)
                if isinstance(result.stopped, SlowDown):
                    await self._slow_down(result.stopped)
                else:
                    await self._schedule.went_well(self._provider)
            case SlowDown():
                await self._slow_down(result)
            case Refused(reason) | Unreadable(reason):
                self._observer.history_failed(self._provider, reason)

    async def _slow_down(self, slow: SlowDown) -> None:
        for_ms = await self._schedule.slow_down(self._provider, slow.wait_ms)
        self._observer.receipts_slowed(self._provider, for_ms)

    async def _count(self, rows: UnclaimedRows) -> None:
        billed = final_of(rows.group)
        if isinstance(billed, SetAside):
            self._observer.ghost_set_aside(self._provider, rows.id, billed.reason)
        else:
            ghost = Ghost(
                provider=self._provider,
                id=rows.id,
                kind="late" if rows.kind == "late" else "row",
                at_ms=rows.group.last_ms,
                nano_usd=billed.nano_usd,
                credits=billed.credits,
                calls=0 if rows.kind == "late" else 1,
                detail={
                    "request": rows.group.request_id,
                    "call": rows.call_id,
                    "items": ", ".join(rows.group.skus),
                },
            )
            if await self._ghosts.book(ghost):
                self._observer.ghost_found(ghost)
        await self.shelf.mark_ghost(rows)
