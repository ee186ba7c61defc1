"""What is counted, under which names, and the page that Prometheus reads.

Labels are words of the code and names of the configuration: never a model, a key or anything else
that a client could make up.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from policies.clock import Clock
from proxy.telemetry.alerts import AlertSeries
from proxy.telemetry.archive import ArchiveSeries
from proxy.telemetry.billing import Billing
from proxy.telemetry.budgets import BudgetSeries
from proxy.telemetry.series import OTHER, Counter, Gauge, Histogram, Series, Snapshot
from proxy.telemetry.worker_files import WorkerFiles

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
#: After this a worker that wrote nothing is taken for dead. Workers write every second.
GONE_AFTER_MS: Final = 15_000

_CALL_SECONDS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_ADDED_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1)
_NO_REASON: Final = "none"
_CLASSES: Final = (OTHER, "1xx", "2xx", "3xx", "4xx", "5xx", OTHER)


class _Calls:
    """What happens to calls."""

    def __init__(self) -> None:
        self.admitted = Counter(
            "bursar_calls_admitted", "Calls that passed the gate.", ("dialect", "provider")
        )
        self.refused = Counter(
            "bursar_calls_refused", "Calls that did not pass.", ("dialect", "reason")
        )
        self.ended = Counter(
            "bursar_calls_ended",
            "Ends of calls that are in the ledger, and how well their usage was known.",
            ("provider", "state", "usage"),
        )
        self.on_allowance = Counter(
            "bursar_calls_admitted_on_allowance",
            "Calls admitted without the ledger, on a worker's own allowance.",
        )
        self.expired = Counter(
            "bursar_calls_expired", "Calls charged as reserved, because their worker was gone."
        )
        self.clients_left = Counter(
            "bursar_clients_left", "Clients that went away before they had everything."
        )
        self.seconds = Histogram(
            "bursar_call_seconds",
            "From a call's arrival to the end of its answer.",
            _CALL_SECONDS,
            ("dialect",),
        )
        self.ledger_seconds = Histogram(
            "bursar_ledger_seconds",
            "What it takes to ask the ledger for a reservation.",
            _ADDED_SECONDS,
        )
        self.added_seconds = Histogram(
            "bursar_added_seconds",
            "From a call's arrival until it is sent to its provider.",
            _ADDED_SECONDS,
            ("dialect",),
        )


class _Money:
    """What could go wrong with money."""

    def __init__(self) -> None:
        self.overrun = Counter(
            "bursar_overrun_nano_usd", "What calls cost above what was reserved for them."
        )
        self.put_off = Counter(
            "bursar_settlements_put_off", "Ends of calls that had to wait for the ledger."
        )
        self.late = Counter(
            "bursar_settlements_late", "Ends of calls that were booked after they had waited."
        )
        self.unbooked = Gauge(
            "bursar_settlements_waiting", "Ends of calls that wait for the ledger now."
        )
        self.ledger_unavailable = Counter(
            "bursar_ledger_unavailable", "Times that the ledger could not be reached."
        )


class _Surroundings:
    """Providers, clients and this process."""

    def __init__(self) -> None:
        self.answers = Counter(
            "bursar_upstream_answers", "Answers of providers.", ("provider", "status")
        )
        self.refusals = Counter(
            "bursar_upstream_refusals",
            "Errors of providers, and what had run out where that was the reason.",
            ("provider", "status", "reason"),
        )
        self.authentication = Counter(
            "bursar_authentication_failures", "Requests without a good key.", ("reason",)
        )
        self.failures = Counter("bursar_failures", "Faults of the proxy itself.")
        self.drains = Gauge(
            "bursar_drains_running", "Answers that are read on after their client went away."
        )


class Metrics:
    """The numbers of one worker, and the page with those of all."""

    def __init__(self, clock: Clock, *, folder: Path | None = None, worker: str = "0") -> None:
        """Take up the numbers that a worker of this name left.

        Args:
            clock: to tell whether another worker still runs.
            folder: where the workers of one machine write their numbers; None: there is only one.
            worker: a name that no other worker has at the same time.
        """
        self._clock = clock
        self._files = WorkerFiles(folder, worker) if folder is not None else None
        self._calls = _Calls()
        self._money = _Money()
        self._around = _Surroundings()
        #: About receipts and wallets.
        self.billing = Billing()
        self.alerts = AlertSeries()
        self.archive = ArchiveSeries()
        self.budgets = BudgetSeries()
        self._series: dict[str, Series] = {
            series.name: series
            for group in (
                *(self._calls, self._money, self._around),
                *(self.billing, self.alerts, self.archive, self.budgets),
            )
            for series in vars(group).values()
        }
        before = self._files.read_own() if self._files is not None else None
        if before is not None:
            _add(self._series, before, alive=False)

    # Calls…

    def admitted(self, dialect: str, provider: str) -> None:
        """A call passed the gate."""
        self._calls.admitted.add(dialect, provider)

    def admitted_on_allowance(self) -> None:
        """A call passed without the ledger."""
        self._calls.on_allowance.add()

    def refused(self, dialect: str, reason: str) -> None:
        """A call did not pass."""
        self._calls.refused.add(dialect, reason)

    def ended(self, provider: str, state: str, usage: str) -> None:
        """A call's end is in the ledger; `usage` says how well it was known."""
        self._calls.ended.add(provider, state, usage)

    def expired(self) -> None:
        """A call was charged as reserved."""
        self._calls.expired.add()

    def client_left(self) -> None:
        """A client went away before it had everything."""
        self._calls.clients_left.add()

    def took(self, dialect: str, seconds: float) -> None:
        """A call's answer has ended."""
        self._calls.seconds.observe(seconds, dialect)

    def asked_ledger(self, seconds: float) -> None:
        """The ledger has answered whether a call may pass."""
        self._calls.ledger_seconds.observe(seconds)

    def added(self, dialect: str, seconds: float) -> None:
        """A call was sent on, so long after it came."""
        self._calls.added_seconds.observe(seconds, dialect)

    # Money…

    def overrun(self, nano_usd: int) -> None:
        """A call cost so much more than was reserved."""
        self._money.overrun.add_amount(nano_usd)

    def put_off(self) -> None:
        """A call's end waits for the ledger."""
        self._money.put_off.add()

    def replayed(self, count: int) -> None:
        """So many ends that waited are in the ledger."""
        self._money.late.add_amount(count)

    def unbooked(self, count: int) -> None:
        """So many ends wait now."""
        self._money.unbooked.set(count)

    def ledger_unavailable(self) -> None:
        """The ledger could not be reached."""
        self._money.ledger_unavailable.add()

    # What is around…

    def upstream_answered(self, provider: str, status: int) -> None:
        """A provider answered."""
        self._around.answers.add(provider, _class_of(status))

    def upstream_refused(self, provider: str, status: int, label: str | None) -> None:
        """A provider answered with an error; `label` names what has run out, if that is it."""
        self._around.refusals.add(provider, _class_of(status), label or _NO_REASON)

    def authentication_failed(self, reason: str) -> None:
        """A request came without a good key."""
        self._around.authentication.add(reason)

    def failed(self) -> None:
        """Something failed for a reason of ours."""
        self._around.failures.add()

    def drains_running(self, count: int) -> None:
        """So many answers are read on without a client."""
        self._around.drains.set(count)

    # The page…

    def save(self) -> None:
        """Write this worker's numbers for the others; to be called every second or so.

        Raises:
            OSError: the folder cannot be written.
        """
        if self._files is not None:
            rows = {name: series.rows() for name, series in self._series.items()}
            self._files.write(Snapshot(at_ms=self._clock.now_ms(), rows=rows))

    def render(self) -> bytes:
        """Return the page, with the numbers of all workers."""
        totals: dict[str, Series] = {name: one.empty() for name, one in self._series.items()}
        now_ms = self._clock.now_ms()
        workers = Gauge("bursar_workers", "Workers that run.")
        running = 1
        own = {name: series.rows() for name, series in self._series.items()}
        _add(totals, Snapshot(at_ms=now_ms, rows=own), alive=True)
        for snapshot in self._files.read_others() if self._files is not None else ():
            alive = now_ms - snapshot.at_ms < GONE_AFTER_MS
            running += alive
            _add(totals, snapshot, alive=alive)
        workers.set(running)
        registry = CollectorRegistry()
        registry.register(_Page([workers, *totals.values()]))
        return generate_latest(registry)


def _class_of(status: int) -> str:
    return _CLASSES[min(status // 100, len(_CLASSES) - 1)]


def _add(series: dict[str, Series], snapshot: Snapshot, *, alive: bool) -> None:
    """Add a worker's numbers; of one that is gone those alone that outlive it."""
    for name, rows in snapshot.rows.items():
        one = series.get(name)
        if one is not None and (alive or one.outlives_worker):
            one.take(rows)


class _Page(Collector):
    """Hands numbers over to prometheus-client."""

    def __init__(self, series: list[Series]) -> None:
        self._series = series

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        for one in self._series:
            yield from one.families()
