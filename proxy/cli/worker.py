"""One of several workers: a gateway on a shared port, told what to do by its supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from policies.clock import SystemClock
from policies.errors import LedgerUnavailable
from policies.rulebook import Rulebook
from proxy.app import Application
from proxy.cli.events import OperatorLog
from proxy.cli.ledger_access import run_loop
from proxy.gateway.watch import Watch
from proxy.settings import Settings
from proxy.tasks import Tasks
from proxy.telemetry.logs import make_log, take_over_logging
from proxy.telemetry.metrics import Metrics
from proxy.telemetry.traces import otlp_traces
from proxy.workers import READY, read_message

METRICS_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """What a worker is told first."""

    number: int
    settings: Settings
    rulebook: Rulebook
    ledger_url: str
    port: int
    metrics: Path


def main() -> None:
    """Work until the supervisor says to stop, or is gone."""
    # The supervisor loads policies for all; by default this signal would end the process.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    run_loop(_work())


async def _work() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
    )
    brief = await read_message(reader)
    if isinstance(brief, Brief):
        await _serve(brief, reader)


async def _serve(brief: Brief, reader: asyncio.StreamReader) -> None:
    log = make_log(sys.stderr, level=brief.settings.log.level, form=brief.settings.log.format)
    log = log.bind(worker=brief.number)
    take_over_logging(log)
    events, clock = OperatorLog(log), SystemClock()
    metrics = Metrics(clock, folder=brief.metrics, worker=f"worker-{brief.number}")
    traces = brief.settings.traces
    spans = otlp_traces(traces.endpoint, traces.headers, traces.sample)
    application = Application(
        brief.settings,
        brief.rulebook,
        ledger_url=brief.ledger_url,
        clock=clock,
        watch=Watch(metrics, log, traces=spans, clock=clock),
    )
    await application.start()
    await application.listen(brief.settings.gateway.host, brief.port, shared=True)
    stopping, tasks = asyncio.Event(), Tasks(events.failed)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    tasks.spawn(_obey(reader, application, stopping, events))
    tasks.spawn(_save(metrics))
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    await stopping.wait()
    await application.stop()
    await tasks.close()
    await asyncio.to_thread(spans.close)
    with contextlib.suppress(OSError):
        metrics.save()


async def _obey(
    reader: asyncio.StreamReader,
    application: Application,
    stopping: asyncio.Event,
    events: OperatorLog,
) -> None:
    """Put each rulebook in force that the supervisor sends; stop when it is gone."""
    while isinstance(rulebook := await read_message(reader), Rulebook):
        try:
            await application.use_rulebook(rulebook)
        except LedgerUnavailable as fault:
            events.policies_not_journalled(str(fault))
    stopping.set()


async def _save(metrics: Metrics) -> None:
    """Write the numbers for whoever answers Prometheus; a full disk costs numbers, not calls."""
    while True:
        with contextlib.suppress(OSError):
            metrics.save()
        await asyncio.sleep(METRICS_EVERY_S)
