"""The history of one provider with all that reads it: rows are put on its shelf by hand."""

from __future__ import annotations

from decimal import Decimal

from policies.budgets import Budget
from policies.ledger.connection import Connection
from policies.ledger.interface import Ask
from policies.ledger.redis_ledger import RedisLedger
from policies.money import EXACT_MAX
from policies.units import USD
from policies.windows import Lifetime
from proxy.billing_settings import ReceiptSettings
from proxy.providers.connection import Upstream
from proxy.receipts.ghosts import Ghost, Ghosts
from proxy.receipts.history.groups import Group
from proxy.receipts.history.pages import HistoryReader
from proxy.receipts.history.rows import Row
from proxy.receipts.history.scan import Scan, Scanned, ScanResult
from proxy.receipts.history.shelf import Shelf
from proxy.receipts.history_work import HistoryWork
from proxy.receipts.schedule import Schedule
from tests.doubles.fake_clock import NOON_MS, FakeClock
from tests.doubles.flaky_ledger import FlakyLedger
from tests.proxy.receipts.history.fake_history import Configured

HOUR_MS = 3_600_000
READ = Scanned(endpoint="usage", place_ms=NOON_MS, new_rows=3)
OWN = Budget(name="unattributed", unit=USD, limit=EXACT_MAX, window=Lifetime(), mode="shadow")


class ScriptedScan(Scan):
    """Reads nothing, and says what a test told it to."""

    def __init__(self, shelf: Shelf) -> None:
        reader = HistoryReader(Upstream(1, 1), Configured(), timeout_ms=1, settle_ms=1)
        super().__init__(reader, shelf, overlap_ms=HOUR_MS)
        self.results: list[ScanResult] = []
        self.began: list[int] = []

    async def run_once(self, now_ms: int) -> ScanResult:
        self.began.append(now_ms)
        return self.results.pop(0) if self.results else READ


class Witness:
    """Keeps what is said."""

    def __init__(self) -> None:
        self.events: list[tuple[object, ...]] = []
        self.ghosts: list[Ghost] = []

    def history_read(self, provider: str, scanned: Scanned) -> None:
        self.events.append(("read", scanned.new_rows))

    def history_failed(self, provider: str, reason: str) -> None:
        self.events.append(("failed", reason))

    def receipts_slowed(self, provider: str, for_ms: int) -> None:
        self.events.append(("slowed", for_ms))

    def ghost_found(self, ghost: Ghost) -> None:
        self.ghosts.append(ghost)

    def ghost_set_aside(self, provider: str, ghost_id: str, reason: str) -> None:
        self.events.append(("set_aside", reason))


class History:
    """The history of one provider, and another replica that reads it too."""

    def __init__(
        self,
        connection: Connection,
        ledger: RedisLedger,
        clock: FakeClock,
        budget: Budget = OWN,
        **settings: int,
    ) -> None:
        self.clock, self.ledger, self.budget = clock, FlakyLedger(ledger), budget
        self.shelf = Shelf(connection, ledger.keys, "p")
        self.scan = ScriptedScan(self.shelf)
        self.watch = Witness()
        self.schedule = Schedule(connection, ledger.keys, ledger.now_ms)
        self.ghosts = Ghosts(self.ledger, connection, ledger.keys, lambda: budget)
        self.settings = ReceiptSettings.model_validate(settings)
        self.work, self.other = self.made(), self.made()

    def made(self) -> HistoryWork:
        return HistoryWork(
            "p",
            self.scan,
            self.shelf,
            ledger=self.ledger,
            schedule=self.schedule,
            ghosts=self.ghosts,
            settings=self.settings,
            observer=self.watch,
        )

    async def put(self, *billed: str, request_id: str = "r-1", currency: str = "DIEM") -> None:
        """Put rows on the shelf that have lain there for as long as ghosts need."""
        rows = tuple(
            Row(
                at_ms=NOON_MS - HOUR_MS + number,
                billed=Decimal(amount),
                currency=currency,
                sku="zai-org-glm-llm-output-mtoken",
                request_id=request_id,
            )
            for number, amount in enumerate(billed)
        )
        await self.shelf.put([Group(request_id, rows)], self.clock.now_ms())
        self.clock.advance(self.settings.ghost_after_ms)

    async def spent(self) -> int:
        ask = Ask(budget=self.budget, subject="", held=0, bound=0)
        (standing,) = await self.ledger.standings([ask])
        assert standing.reserved == 0
        return standing.spent
