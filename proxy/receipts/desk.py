"""The receipts of one provider: calls that are due are claimed, looked up, and brought to their end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol, assert_never

from policies.decisions import Moved
from policies.errors import AmountOutOfRange, IllegalTransition, LedgerRefused, UnknownCall
from policies.ledger.interface import CallRecord, Ledger
from policies.pricing import Price, Unpriced
from policies.reservations import State
from proxy.billing_settings import ReceiptSettings
from proxy.receipts.compare import METERING, Adjustment, Known, adjust, known, without_receipt
from proxy.receipts.history.groups import final_of
from proxy.receipts.history.shelf import NotYet, Shelf, Taken
from proxy.receipts.look_up import LookUps
from proxy.receipts.receipt import Final as FinalReceipt
from proxy.receipts.receipt import (
    Never,
    Pending,
    ReceiptAdapter,
    Result,
    SetAside,
    SlowDown,
    UnknownId,
)
from proxy.receipts.schedule import Schedule

#: Calls that are claimed and looked up at the same time, at one provider. No more are claimed than are
#: begun at once: what waited behind others would be claimed no longer when its turn comes.
AT_ONCE_MAX: Final = 8
#: What a claim holds longer than its look-up may take.
_BOOKING_MS: Final = 1_000
#: A shelf is asked as often as Redis likes.
_NO_PACE: Final = 1_000_000
_WAITING: Final = frozenset({State.SETTLED, State.EXPIRED})


class Observer(Protocol):
    """Whoever counts and logs what comes of receipts."""

    def receipt_booked(
        self, provider: str, call_id: str, adjustment: Adjustment, moved: Moved
    ) -> None:
        """A receipt is in the books."""
        ...

    def receipt_given_up(self, provider: str, call_id: str, reason: str, *, never: bool) -> None:
        """A call stays at its metered amount."""
        ...

    def receipt_set_aside(self, provider: str, call_id: str, reason: str, *, first: bool) -> None:
        """Something came that does not add up; `first`: for the first time of this call."""
        ...

    def receipt_looked_up(self, provider: str, result: str) -> None:
        """A call was looked for."""
        ...

    def receipts_slowed(self, provider: str, for_ms: int) -> None:
        """A provider wants fewer requests."""
        ...


class Prices(Protocol):
    """Whatever knows prices."""

    def lookup(self, provider: str, model: str) -> Price | None:
        """Return what a model costs at a provider; None: nobody says."""
        ...


class GhostBook(Protocol):
    """Whoever counts what no call explains."""

    async def take_back(self, provider: str, ghost_id: str) -> bool:
        """Count a ghost no more: a call explains it after all."""
        ...


@dataclass(slots=True)
class Progress:
    """What a run came to so far."""

    results: Counter[str] = field(default_factory=Counter)

    @property
    def calls(self) -> int:
        """How many calls were looked for."""
        return self.results.total()


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found of a call."""

    result: Result
    #: Where: answer, look-up or history; metering where tokens were counted again.
    source: str
    #: Ghosts that it explains.
    ghost_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One provider that tells what it billed."""

    provider: str
    adapter: ReceiptAdapter
    #: Where rows of its billing history lie, if that is read; None: calls are looked up by id.
    shelf: Shelf | None
    ledger: Ledger
    schedule: Schedule
    look_ups: LookUps
    prices: Prices
    ghosts: GhostBook
    settings: ReceiptSettings
    observer: Observer

    @property
    def claim_ms(self) -> int:
        """How long a claim holds: longer than a call takes to be looked up."""
        return 2 * self.settings.timeout_ms + _BOOKING_MS

    async def run_due(
        self, progress: Progress, told: Callable[[Progress], None] | None = None
    ) -> int:
        """Look up what is due until nothing is; return for how long the pace allows nothing, in ms."""
        per_minute = self.settings.lookups_per_minute_max if self.shelf is None else _NO_PACE
        while True:
            claimed = await self.schedule.claim(
                self.provider,
                count_max=AT_ONCE_MAX,
                claim_ms=self.claim_ms,
                per_minute=per_minute,
            )
            if not claimed.call_ids:
                return claimed.wait_ms
            ends = (self._end(call_id) for call_id in claimed.call_ids)
            # Nobody is left behind at work: a fault of one is raised when all have come to an end.
            results = await asyncio.gather(*ends, return_exceptions=True)
            progress.results.update(word for word in results if isinstance(word, str))
            if told is not None:
                told(progress)
            for fault in results:
                if isinstance(fault, BaseException):
                    raise fault

    async def _end(self, call_id: str) -> str:
        """Bring one call to its end if its receipt is there; return in one word what came of it."""
        record = await self.ledger.find(call_id)
        if record is None or record.state not in _WAITING:
            await self._drop(call_id)
            return "gone"
        call = known(record)
        try:
            async with asyncio.timeout((self.claim_ms - _BOOKING_MS) / 1000):
                found = await self._find(call_id, call)
            word = await self._conclude(record, call, found)
        except TimeoutError:
            word = await self._later(record, "the look-up took too long")
        except (IllegalTransition, UnknownCall):
            await self._drop(call_id)
            word = "gone"
        except LedgerRefused as fault:
            # Something is wrong with this call alone: it must not keep back those behind it.
            word = await self._aside(record, SetAside(f"Redis refused it: {fault}"))
        self.observer.receipt_looked_up(self.provider, word)
        return word

    async def _drop(self, call_id: str) -> None:
        await self.schedule.drop(self.provider, call_id)
        await self.schedule.not_aside(self.provider, call_id)

    async def _find(self, call_id: str, call: Known) -> _Found:
        told = self.adapter.at_once(call.outcome)
        if told is not None:
            return _Found(told, "answer")
        if self.adapter.never is not None and call.exact:
            return _Found(Never(self.adapter.never), "never")
        if not call.generation_ids:
            return _Found(Never("no id of it was seen"), "look-up")
        if self.shelf is not None:
            return await self._on_shelf(call_id, call, self.shelf)
        if self.adapter.never is not None and not self.adapter.targets(call.generation_ids[0]):
            return _Found(Never(self.adapter.never), "never")
        first = True

        async def spend() -> None:
            nonlocal first
            if not first:
                await self.schedule.spend(self.provider, 1)
            first = False

        result = await self.look_ups.look_up(self.adapter, call.generation_ids, spend)
        return _Found(result, "look-up")

    async def _on_shelf(self, call_id: str, call: Known, shelf: Shelf) -> _Found:
        now_ms = self.ledger.now_ms()
        settle_ms = self.settings.rows_settle_ms
        found = await shelf.take(call_id, call.generation_ids, settle_ms, now_ms)
        match found:
            case Taken():
                return _Found(final_of(found.group), "history", found.ghost_ids)
            case NotYet():
                return _Found(Pending("more rows may come"), "history")
            case None:
                return _Found(UnknownId(), "history")

    async def _conclude(self, record: CallRecord, call: Known, found: _Found) -> str:
        result = found.result
        match result:
            case FinalReceipt():
                return await self._book(record, call, result, found)
            case Never():
                return await self._never(record, call, result)
            case Pending(reason):
                return await self._later(record, reason)
            case UnknownId():
                return await self._later(record, "the provider does not know its ids")
            case SetAside():
                return await self._aside(record, result)
            case SlowDown():
                for_ms = await self.schedule.slow_down(self.provider, result.wait_ms)
                self.observer.receipts_slowed(self.provider, for_ms)
                if self._left_ms(record) <= 0:
                    return await self._later(record, "the provider wants fewer requests")
                await self.schedule.defer(self.provider, record.reservation.call_id, for_ms)
                return "slow_down"
            case unreachable:
                assert_never(unreachable)

    async def _book(
        self, record: CallRecord, call: Known, receipt: FinalReceipt, found: _Found
    ) -> str:
        factor = self.settings.absurd_factor
        adjustment = adjust(record, call, receipt, source=found.source, absurd_factor=factor)
        if isinstance(adjustment, SetAside):
            return await self._aside(record, adjustment)
        call_id = record.reservation.call_id
        # Before the receipt: with it the call leaves the queue, and nobody would come back for these.
        for ghost_id in found.ghost_ids:
            await self.ghosts.take_back(self.provider, ghost_id)
        await self.schedule.not_aside(self.provider, call_id)
        moved = await self.ledger.receipt(
            record.reservation,
            adjustment.amounts,
            outcome=adjustment.outcome,
            queue=self.provider,
            tally=adjustment.tally,
            keep=adjustment.keep,
        )
        if moved.changed:
            self.observer.receipt_booked(self.provider, call_id, adjustment, moved)
        if self.shelf is not None and found.source == "history":
            await self.shelf.mark_booked(call_id, receipt.generation_id)
        if found.source == "look-up":
            await self.schedule.went_well(self.provider)
        return "booked"

    async def _never(self, record: CallRecord, call: Known, never: Never) -> str:
        """Leave a call at its metered amount; where its answer was cut, meter it again first."""
        price = self.prices.lookup(call.provider, call.model)
        if never.usage is not None and not call.exact and price is not None:
            try:
                amounts = price.amounts(never.usage, call.service_tier)
            except AmountOutOfRange as fault:
                return await self._aside(record, SetAside(str(fault)))
            if not isinstance(amounts, Unpriced):
                metered = FinalReceipt(
                    nano_usd=amounts.nano_usd, credits=amounts.credits, usage=never.usage
                )
                return await self._book(record, call, metered, _Found(never, METERING))
        if record.state is State.EXPIRED:
            # A worker that was only cut off may still tell how it ended.
            return await self._later(record, never.reason)
        return await self._give_up(record, never.reason, never=True)

    def _left_ms(self, record: CallRecord) -> int:
        """Return for how long a receipt is still waited for."""
        return record.ended_ms + self.settings.give_up_after_ms - self.ledger.now_ms()

    async def _later(self, record: CallRecord, reason: str) -> str:
        """Look again after as long as has passed, within bounds; give up after a day."""
        settings = self.settings
        passed_ms = self.ledger.now_ms() - record.ended_ms
        left_ms = self._left_ms(record)
        if left_ms <= 0:
            return await self._give_up(record, reason, never=False)
        longest_ms = settings.retry_after_max_ms
        if self.shelf is not None:
            # The shelf is at hand: there is no reason to look later than the next scan.
            longest_ms = min(longest_ms, max(settings.scan_every_ms, settings.retry_after_ms))
        pause_ms = max(passed_ms - settings.first_after_ms, settings.retry_after_ms)
        pause_ms = min(pause_ms, longest_ms, left_ms)
        await self.schedule.defer(self.provider, record.reservation.call_id, pause_ms)
        return "pending"

    async def _aside(self, record: CallRecord, aside: SetAside) -> str:
        call_id = record.reservation.call_id
        first = await self.schedule.set_aside(self.provider, call_id, aside.reason)
        self.observer.receipt_set_aside(self.provider, call_id, aside.reason, first=first)
        word = await self._later(record, f"set aside: {aside.reason}")
        return "set_aside" if word == "pending" else word

    async def _give_up(self, record: CallRecord, reason: str, *, never: bool) -> str:
        call_id = record.reservation.call_id
        outcome, tally = without_receipt(record, known(record), reason, never=never)
        await self.schedule.not_aside(self.provider, call_id)
        moved = await self.ledger.give_up(
            record.reservation, outcome=outcome, queue=self.provider, tally=tally
        )
        if moved.changed:
            self.observer.receipt_given_up(self.provider, call_id, reason, never=never)
        return "never" if never else "given_up"
