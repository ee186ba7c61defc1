"""What runs once on each machine beside the calls: the archive, alerts, and the numbers of budgets."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from structlog.typing import FilteringBoundLogger

from policies.decisions import Standing
from policies.errors import LedgerUnavailable
from policies.grants import Grants
from proxy.admin.budgets import all_standings
from proxy.admin.services import Services
from proxy.alerts.delivery import Delivery, Receiver
from proxy.alerts.outbox import Outbox
from proxy.alerts.watch import AlertWatch
from proxy.alerts.work import AlertWork
from proxy.archive.database import ArchiveUnavailable
from proxy.archive.queue import JournalQueue
from proxy.archive.schema import upgrade
from proxy.archive.watch import ArchiveWatch
from proxy.archive.work import ArchiveWork
from proxy.cli.alert_sources import AlertSources
from proxy.cli.ledger_access import LedgerAccess
from proxy.cli.operator import operator
from proxy.cli.settings_entry import KIND as SETTINGS_LOADED
from proxy.cli.settings_entry import settings_entry
from proxy.providers.connection import Upstream
from proxy.receipts.schedule import Schedule
from proxy.settings import Settings
from proxy.tasks import Tasks
from proxy.telemetry.metrics import Metrics

#: An archive that is away at the start is tried again: calls do not wait for it.
OPEN_EVERY_S: Final = 2.0
#: At the end, entries of the last calls get so long to reach the archive; what does not stays in Redis.
FLUSH_S: Final = 5.0
#: Webhooks answer at once, or count as away.
WEBHOOK_TIMEOUT_S: Final = 10.0


class Upkeep:
    """Starts and ends it."""

    def __init__(
        self,
        settings: Settings,
        services: Services,
        access: LedgerAccess,
        metrics: Metrics,
        log: FilteringBoundLogger,
    ) -> None:
        """Take what there is already."""
        self._settings = settings
        self._services = services
        self._access = access
        self._metrics = metrics
        ledger = access.ledger
        organization = services.rulebook().organization
        self._archive_watch = ArchiveWatch(
            metrics.archive, log, access.clock, backlog_max=settings.archive.backlog_max
        )
        self._archive = ArchiveWork(
            access.commands,
            ledger.keys,
            services.database,
            organization,
            settings=settings.archive,
            data_dir=settings.data_dir,
            clock=access.clock,
            watch=self._archive_watch,
        )
        self._queue = JournalQueue(access.commands, ledger.keys)
        self._upstream = Upstream(
            connect_timeout_s=WEBHOOK_TIMEOUT_S, idle_timeout_s=WEBHOOK_TIMEOUT_S
        )
        self._alerts = self._build_alerts(organization, log)
        self._tasks = Tasks(lambda fault: log.error("upkeep_failed", exc_info=fault))
        self._is_open = False

    def _build_alerts(self, organization: str, log: FilteringBoundLogger) -> AlertWork:
        settings, services, access = self._settings, self._services, self._access
        ledger = access.ledger
        watch = AlertWatch(self._metrics.alerts, log)
        outbox = Outbox(access.commands, ledger.keys, ledger.now_ms)
        delivery = Delivery(
            outbox,
            [
                Receiver(url=each.url, format=each.format, secret=each.secret)
                for each in settings.alerts.webhooks
            ],
            self._upstream,
            organization=organization,
            now_ms=ledger.now_ms,
            give_up_after_ms=settings.alerts.give_up_after_ms,
            note=ledger.note,
            observer=watch,
        )
        sources = AlertSources(
            settings=settings,
            ledger=ledger,
            schedule=Schedule(access.commands, ledger.keys, ledger.now_ms),
            rulebook=services.rulebook,
            standings=self._standings,
            refusals=self._refusals,
            wallets=services.wallets.list,
            receipts=services.receipts.status,
            backlog=self._backlog,
        )
        return AlertWork(
            sources.by_name(),
            outbox,
            delivery,
            commands=access.commands,
            keys=ledger.keys,
            every_ms=settings.alerts.every_ms,
            observer=watch,
        )

    async def start(self) -> None:
        """Begin; what is away is tried again."""
        await self._upstream.open()
        self._tasks.spawn(self._keep_archive())
        self._tasks.spawn(self._keep_numbers())
        self._tasks.spawn(self._alerts.run())

    async def stop(self) -> None:
        """Bring what the journal has to the archive, if that is there, and end."""
        await self._tasks.close()
        if self._is_open:
            try:
                await self._archive.flush(timeout_s=FLUSH_S)
            except (TimeoutError, LedgerUnavailable, ArchiveUnavailable) as fault:
                self._archive_watch.failed("archive", fault)
            await self._archive.close()
        await self._upstream.close()
        self._services.database.close()

    # What runs…

    async def _keep_archive(self) -> None:
        while not self._is_open:
            try:
                await asyncio.to_thread(upgrade, self._services.database)
                self._is_open = True
            except ArchiveUnavailable as fault:
                self._archive_watch.failed("archive", fault)
                await asyncio.sleep(OPEN_EVERY_S)
        await self._archive.run()

    async def _keep_numbers(self) -> None:
        """Tell Prometheus how budgets stand, and how long the journal is, whoever archives it."""
        noted = False
        while True:
            try:
                if not noted:
                    await self._note_settings()
                    noted = True
                standings = await self._standings()
                self._metrics.budgets.see(standings, self._access.clock.now_ms())
                waiting = await self._queue.waiting()
                self._archive_watch.waiting(waiting.entries, waiting.length, None)
            except LedgerUnavailable:
                # The numbers stay as they were; that the ledger is away has a number of its own.
                pass
            await asyncio.sleep(self._settings.alerts.every_ms / 1000)

    async def _note_settings(self) -> None:
        """Journal under which configuration calls are decided from now on, unless it is known."""
        version, data = settings_entry(self._settings, operator())
        await self._access.ledger.journal_once(
            "settings", "version", version, kind=SETTINGS_LOADED, data=data
        )

    # What it is made from…

    async def _standings(self) -> Sequence[Standing]:
        services = self._services
        grants = Grants(await services.grants.list())
        return await all_standings(services.rulebook(), services.ledger, grants=grants)

    async def _refusals(self, counters: Sequence[str], since_ms: int) -> Mapping[str, int]:
        found = await self._services.archive.burn_downs(counters)
        return {
            counter: calls
            for counter, hours in found.items()
            if (calls := sum(hour.refused for hour in hours if hour.hour_ms >= since_ms))
        }

    async def _backlog(self) -> int:
        return (await self._queue.waiting()).entries
