"""What is done about receipts beside the calls: on any replica, each thing by one of them at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from policies.errors import LedgerUnavailable
from policies.ledger.interface import Due
from proxy.billing_settings import ReceiptSettings
from proxy.receipts.compare import day_name
from proxy.receipts.desk import Desk, Progress
from proxy.receipts.drift import AS_IT_IS, DAY_MS, DriftBook, ModelDay
from proxy.receipts.ghosts import Ghost, Ghosts
from proxy.receipts.history_work import HistoryWork
from proxy.receipts.schedule import Schedule, Waiting

DRIFT_EVERY_MS: Final = 60_000
FACTORS_EVERY_S: Final = 10.0
#: What a status looks back on.
STATUS_DAYS: Final = 7
GHOSTS_SHOWN_MAX: Final = 100

ExtraUsage = Callable[[str], Awaitable[Mapping[str, tuple[int, int]]]]
Sleep = Callable[[float], Awaitable[None]]


class Totals(Protocol):
    """Whatever compares an account's totals with our calls."""

    async def run_due(self) -> None:
        """Compare, if nobody did for long enough. Raises `LedgerUnavailable`."""
        ...


class Observer(Protocol):
    """Whoever wants to know how receipts stand."""

    def drifted(self, row: ModelDay) -> None:
        """A price list was off by too much, over one day."""
        ...

    def waiting(self, provider: str, waiting: Waiting) -> None:
        """So many calls wait for their receipt."""
        ...

    def receipts_failed(self, fault: Exception) -> None:
        """Something failed for a reason of ours; it is tried again."""
        ...

    def receipts_never_come(self, provider: str, reason: str) -> None:
        """A provider, as it is configured, bills no call by itself."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How the receipts of one provider stand."""

    provider: str
    waiting: Waiting
    #: Why calls of this provider have no receipts of their own; None: they have.
    never: str | None
    #: The last days, the latest first.
    days: Sequence[ModelDay]
    ghosts: Sequence[Ghost]
    ghost_nano_usd: int
    ghost_calls: int
    #: Calls of which something came that does not add up, with the reason.
    set_aside: Mapping[str, str]
    #: What a subscription was billed for besides its quotas: day, model, nano-dollars and calls.
    extra_usage: Sequence[tuple[str, str, int, int]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the work on receipts is made of."""

    #: By provider; one without a desk tells nobody what it billed.
    desks: Mapping[str, Desk]
    #: Of those whose billing history is read.
    histories: Mapping[str, HistoryWork]
    #: Of the accounts that tell what they come to.
    totals: Sequence[Totals]
    #: By account: what a subscription was billed for besides on a day, by model, with its calls.
    extra_usage: Mapping[str, ExtraUsage]
    ghosts: Ghosts
    schedule: Schedule
    drift: DriftBook


class ReceiptWork:
    """All receipts of one organisation."""

    def __init__(
        self,
        parts: Parts,
        *,
        settings: ReceiptSettings,
        observer: Observer,
        now_ms: Callable[[], int],
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Take what it is made of.

        Args:
            parts: who does what.
            settings: the section `receipts` of the configuration.
            observer: is told how it stands.
            now_ms: the time, by Redis' clock.
            sleep: waits.
        """
        self._desks = parts.desks
        self._histories = parts.histories
        self._totals = parts.totals
        self._extra = parts.extra_usage
        self._ghosts = parts.ghosts
        self._schedule = parts.schedule
        self._drift = parts.drift
        self._settings = settings
        self._observer = observer
        self._now_ms = now_ms
        self._sleep = sleep
        self._factors: dict[str, Mapping[str, int]] = {}

    # For the gateway…

    def due(self, provider: str, *, exact: bool = False, cost_told: bool = False) -> Due | None:
        """Return when to look for the receipt of a call; None: its provider gives none.

        Args:
            provider: who answered the call.
            exact: the answer told what was used.
            cost_told: it told what was billed, too.
        """
        desk = self._desks.get(provider)
        if desk is None:
            return None
        at_once = cost_told or (exact and desk.adapter.never is not None)
        return Due(queue=provider, after_ms=0 if at_once else self._settings.first_after_ms)

    def factor(self, provider: str, model: str) -> int:
        """Return what a quote is multiplied by because the price list is too low, in thousandths."""
        return self._factors.get(provider, {}).get(model, AS_IT_IS)

    # Beside the calls…

    def loops(self) -> list[Coroutine[Any, Any, None]]:
        """Return what is to run until cancelled, each by itself, so that none waits for another."""
        for desk in self._desks.values():
            if desk.adapter.never is not None:
                self._observer.receipts_never_come(desk.provider, desk.adapter.never)
        poll_s = self._settings.poll_every_ms / 1000
        loops = [self._forever(poll_s, self._desk_round(desk)) for desk in self._desks.values()]
        loops += [self._forever(poll_s, history.run_due) for history in self._histories.values()]
        loops += [self._forever(poll_s, totals.run_due) for totals in self._totals]
        if self._desks:
            loops.append(self._forever(poll_s, self.check_drift))
        if self._desks and self._settings.correct_quotes:
            loops.append(self._forever(FACTORS_EVERY_S, self.refresh_factors))
        return loops

    async def _forever(self, pause_s: float, work: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                await work()
            except LedgerUnavailable:
                pass  # What is due stays due.
            except Exception as fault:  # noqa: BLE001 - a fault of ours must not end all receipts.
                self._observer.receipts_failed(fault)
            await self._sleep(pause_s)

    def _desk_round(self, desk: Desk) -> Callable[[], Awaitable[object]]:
        async def run() -> None:
            await desk.run_due(Progress())
            self._observer.waiting(desk.provider, await self._schedule.waiting(desk.provider))

        return run

    async def check_drift(self) -> None:
        """Raise alerts for price lists that are off, if nobody looked for a minute."""
        if not await self._schedule.claim_work("drift", DRIFT_EVERY_MS):
            return
        limits = {
            "share_max_percent": self._settings.drift_max,
            "calls_min": self._settings.drift_calls_min,
        }
        for provider in self._desks:
            for row in await self._drift.alerts(provider, **limits):
                self._observer.drifted(row)
            if self._settings.correct_quotes:
                await self._drift.refresh_factors(provider, **limits)

    async def refresh_factors(self) -> None:
        """Read by how much quotes are raised."""
        for provider in self._desks:
            self._factors[provider] = await self._drift.factors(provider)

    # For operators…

    async def run_due(self, told: Callable[[str, Progress], None] | None = None) -> dict[str, int]:
        """Do what is due now, at every provider; return in words how many calls came to what.

        Args:
            told: is told of the progress at a provider.
        """
        progress = Progress()
        for history in self._histories.values():
            await history.run_due()
        for provider, desk in self._desks.items():

            def tell(so_far: Progress, provider: str = provider) -> None:
                if told is not None:
                    told(provider, so_far)

            await desk.run_due(progress, tell)
        for totals in self._totals:
            await totals.run_due()
        return dict(progress.results)

    async def status(self) -> list[Status]:
        """Return how receipts stand, by provider."""
        return [await self._status(provider) for provider in self._desks]

    async def _status(self, provider: str) -> Status:
        since_ms = self._now_ms() - STATUS_DAYS * 86_400_000
        calls, nano_usd = await self._ghosts.total(provider, since_ms)
        return Status(
            provider=provider,
            waiting=await self._schedule.waiting(provider),
            never=self._desks[provider].adapter.never,
            days=await self._drift.days(provider, STATUS_DAYS),
            ghosts=await self._ghosts.list(provider, since_ms, GHOSTS_SHOWN_MAX),
            ghost_nano_usd=nano_usd,
            ghost_calls=calls,
            set_aside=await self._schedule.asides(provider),
            extra_usage=await self._extra_usage(provider),
        )

    async def _extra_usage(self, provider: str) -> list[tuple[str, str, int, int]]:
        ask = self._extra.get(provider)
        found = []
        for back in range(STATUS_DAYS) if ask is not None else ():
            day = day_name(self._now_ms() - back * DAY_MS).removeprefix("sums:")
            models = await ask(day) if ask is not None else {}
            found += [(day, model, nano, calls) for model, (nano, calls) in sorted(models.items())]
        return found
