"""How receipts stand, in the words of the admin plane: the same rows at every door."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol

from policies.clock import rfc3339
from proxy.admin.schemas import (
    AsideRow,
    DriftRow,
    ExtraUsageRow,
    GhostRow,
    GhostSpend,
    Money,
    ReceiptsRow,
)
from proxy.receipts.desk import Progress
from proxy.receipts.drift import ModelDay
from proxy.receipts.ghosts import Ghost
from proxy.receipts.work import STATUS_DAYS, Status
from proxy.standing_rows import amount_json


class Work(Protocol):
    """Whatever does the work on receipts (`receipts.work`)."""

    async def status(self) -> list[Status]:
        """Return how receipts stand, by provider."""
        ...

    async def run_due(self, told: Callable[[str, Progress], None] | None = None) -> dict[str, int]:
        """Do what is due now."""
        ...


class ReceiptRows:
    """What is told of receipts, and asked of them. Everything raises `LedgerUnavailable`."""

    def __init__(self, work: Work, prepare: Callable[[], Awaitable[object]] | None = None) -> None:
        """Take who does the work, and what must be done before each run of it."""
        self._work = work
        self._prepare = prepare

    async def status(self) -> list[ReceiptsRow]:
        """Return how receipts stand, by provider."""
        return [receipts_row(status) for status in await self._work.status()]

    async def run_due(self, told: Callable[[Mapping[str, int]], None]) -> Mapping[str, int]:
        """Look for what is due now, and tell now and then how many calls came to what."""
        return await self.run(lambda _, progress: told(dict(progress.results)))

    async def run(self, told: Callable[[str, Progress], None]) -> Mapping[str, int]:
        """Look for what is due now; `told` is told of the progress at a provider."""
        if self._prepare is not None:
            await self._prepare()
        return await self._work.run_due(told)


def receipts_row(status: Status) -> ReceiptsRow:
    """Return how the receipts of one provider stand."""
    slow_until_ms = status.waiting.slow_until_ms
    return ReceiptsRow(
        provider=status.provider,
        never=status.never,
        waiting=status.waiting.calls,
        due=status.waiting.due,
        slowed_until=rfc3339(slow_until_ms) if slow_until_ms else None,
        days=STATUS_DAYS,
        receipted=sum(day.receipted for day in status.days),
        given_up=sum(day.unreceipted for day in status.days),
        never_comes=sum(day.never for day in status.days),
        set_aside=[AsideRow(call_id=i, reason=r) for i, r in sorted(status.set_aside.items())],
        ghost_spend=GhostSpend(
            calls=status.ghost_calls,
            amount=Money.of(status.ghost_nano_usd),
            items=_ghost_rows(status.ghosts),
        ),
        drift=[drift_row(day) for day in status.days],
        extra_usage=[
            ExtraUsageRow(day=day, model=model, amount=Money.of(nano_usd), calls=calls)
            for day, model, nano_usd, calls in status.extra_usage
        ],
    )


def drift_row(day: ModelDay) -> DriftRow:
    """Return one model's day."""
    without = day.unreceipted + day.never
    ended = day.receipted + without
    return DriftRow(
        day=day.day,
        model=day.model,
        receipted=day.receipted,
        receipted_amount=Money.of(day.billed),
        given_up=day.unreceipted,
        never=day.never,
        without_receipt_percent=round(without * 100 / ended, 1) if ended else 0.0,
        compared=day.compared,
        metered=Money.of(day.compared_metered),
        billed=Money.of(day.compared_billed),
        difference=Money.of(day.difference),
        difference_percent=None if day.per_mille is None else day.per_mille / 10,
    )


def _ghost_rows(ghosts: Iterable[Ghost]) -> list[GhostRow]:
    return [
        GhostRow(
            id=ghost.id,
            call_id=ghost.call_id,
            kind=ghost.kind,
            at=rfc3339(ghost.at_ms),
            amount=Money.of(ghost.nano_usd),
            credits={unit: amount_json(unit, amount) for unit, amount in ghost.credits.items()},
            calls=ghost.calls,
            detail=dict(ghost.detail),
        )
        for ghost in ghosts
    ]
