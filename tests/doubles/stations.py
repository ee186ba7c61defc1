"""The stations of a call's way, wired as the application does it, on an in-memory ledger."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from policies.learning import Learning
from policies.ledger.keys import Keys
from policies.ledger.memory import LEASE_MS, MemoryLedger
from policies.rulebook import Rulebook, Team
from proxy.dialects.registry import DIALECTS
from proxy.gateway.admit import Gate
from proxy.gateway.allowance import Allowance
from proxy.gateway.background import Background
from proxy.gateway.books import Books
from proxy.gateway.drain import DrainLimits, Drains
from proxy.gateway.ending import Endings
from proxy.gateway.forward import Forwarder
from proxy.gateway.free import FreeRequests
from proxy.gateway.inference import Stations
from proxy.gateway.intake import Intake
from proxy.gateway.leases import Leases
from proxy.gateway.meter import meter_answer
from proxy.gateway.owners import ResponseOwners
from proxy.gateway.quote import Quoter
from proxy.gateway.refuse import Refuser
from proxy.gateway.route import Router
from proxy.gateway.server import DataPlane
from proxy.gateway.settle import Settler
from proxy.gateway.watch import Watch
from proxy.gateway.write_ahead import WriteAhead
from proxy.keys import Invalid, KeyRecord, KeyRing, Valid
from proxy.tasks import Tasks
from proxy.telemetry.metrics import Metrics
from tests.doubles.calls import MONTH, FakePrices, price
from tests.doubles.fake_clock import FakeClock
from tests.doubles.fake_commands import FakeCommands
from tests.doubles.fake_provider import FakeProvider
from tests.doubles.fake_upstream import FakeUpstream
from tests.doubles.flaky_ledger import FlakyLedger

SECRET = "bsr_good"


class FakeKeyRing(KeyRing):
    """Knows one key, until a test says otherwise."""

    def __init__(self, commands: FakeCommands, clock: FakeClock) -> None:
        super().__init__(commands, Keys("acme"), clock)
        self.version = 0
        self.judgement: Valid | Invalid = Valid(
            KeyRecord(id="key_1", team="red", created_at_ms=0, prefix="bsr_g")
        )
        #: What it will be when the keys are read anew.
        self.next: Valid | Invalid | Exception = self.judgement
        self.refreshed = 0

    async def find_fresh(self, secret: str) -> Valid | Invalid:
        return self.judgement if secret == SECRET else Invalid("unknown")

    async def refresh(self) -> None:
        self.refreshed += 1
        if isinstance(self.next, Exception):
            raise self.next
        self.judgement = self.next


@dataclass
class Logs:
    """A log that is kept."""

    events: list[dict[str, Any]]

    @property
    def names(self) -> list[str]:
        return [str(event["event"]) for event in self.events]


def keeping_log() -> tuple[Any, Logs]:
    """Return a log, and where its events are kept."""
    logs = Logs([])

    def keep(_: Any, level: str, event: Any) -> Any:
        logs.events.append({**event, "level": level})
        raise structlog.DropEvent

    return structlog.wrap_logger(None, processors=[keep], wrapper_class=structlog.BoundLogger), logs


class Rig:
    """A data plane, and everything behind it."""

    def __init__(
        self,
        clock: FakeClock,
        folder: Path,
        upstream: FakeUpstream,
        *,
        rulebook: Rulebook | None = None,
        calls_max: int = 100,
    ) -> None:
        self.clock = clock
        self.rulebook = rulebook or Rulebook(
            teams={"red": Team(name="red")}, budgets={"month": MONTH}
        )
        self.upstream = upstream
        self.behind = MemoryLedger(clock)
        self.ledger = FlakyLedger(self.behind)
        self.commands = FakeCommands()
        self.keys = FakeKeyRing(self.commands, clock)
        self.metrics = Metrics(clock)
        log, self.logs = keeping_log()
        self.watch = Watch(self.metrics, log)
        self.calls = Tasks(self.watch.task_failed)
        self.leases = Leases(self.ledger, LEASE_MS, self.watch)
        self.write_ahead = WriteAhead(folder)
        self.owners = ResponseOwners(self.commands, "acme")
        self.router = Router({"fake": FakeProvider()}, [])
        self.stations = self._stations()
        self.plane = DataPlane(
            stations=self.stations,
            free=FreeRequests(
                upstream=upstream, router=self.router, owners=self.owners, body_bytes_max=10_000
            ),
            refuser=Refuser({}),
            dialects=DIALECTS,
            providers=frozenset({"fake"}),
            calls=self.calls,
            calls_max=calls_max,
            clock=clock,
        )

    def _stations(self) -> Stations:
        learning, prices, allowance = Learning(), FakePrices(price()), Allowance()
        quoter = Quoter(prices, learning)
        endings = Endings(
            ledger=self.ledger,
            settler=Settler(prices, learning),
            books=Books(self.ledger, self.write_ahead, allowance, self.watch),
            background=Background(upstream=self.upstream, leases=self.leases, tasks=self.calls),
            owners=self.owners,
        )
        return Stations(
            keys=self.keys,
            router=self.router,
            quoter=quoter,
            gate=Gate(self.ledger, allowance, quoter.with_quote, endings.unused, self.clock),
            forwarder=Forwarder(
                upstream=self.upstream,
                meter_answer=meter_answer,
                ends=endings,
                drains=Drains(DrainLimits(calls_max=9, bytes_max=10_000, time_s=9)),
                observer=self.watch,
            ),
            endings=endings,
            leases=self.leases,
            owners=self.owners,
            intake=Intake(),
            ledger=self.ledger,
            clock=self.clock,
            watch=self.watch,
            body_bytes_max=10_000,
            rulebook=lambda: self.rulebook,
        )

    async def close(self) -> None:
        await self.calls.close()
        self.write_ahead.close()
