"""A worker in a process of its own, which a test can kill or freeze: one that vanishes in mid call."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from policies.clock import SystemClock
from policies.documents import load
from proxy.app import Application
from proxy.gateway.watch import Watch
from proxy.settings import load_settings
from proxy.telemetry.metrics import Metrics

ROOT = Path(__file__).parents[2]
START_S = 30.0


class DoomedWorker:
    """The parent's side of it."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self._process = process
        self.url = url

    async def kill(self) -> None:
        """End it at once; nothing in it gets to say goodbye."""
        self._process.kill()
        await self._process.wait()

    def freeze(self) -> None:
        """Stop it from running, as a machine does that has no time for it."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def doomed_worker(folder: Path, redis_url: str) -> AsyncIterator[DoomedWorker]:
    """Run a worker with the `bursar.yaml` of a folder.

    Args:
        folder: its configuration, and its `data_dir`.
        redis_url: its ledger.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", f"from {__name__} import main; main()", str(folder), redis_url),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        port = int(await asyncio.wait_for(process.stdout.readline(), START_S))
        yield DoomedWorker(process, f"http://127.0.0.1:{port}")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def main() -> None:
    """Serve until killed; the child's side."""
    asyncio.run(_serve(Path(sys.argv[1]), sys.argv[2]))


async def _serve(folder: Path, redis_url: str) -> None:
    logging.disable()
    log = structlog.wrap_logger(
        None, processors=[_drop], wrapper_class=structlog.make_filtering_bound_logger(0)
    )
    app = Application(
        load_settings(folder / "bursar.yaml", {}),
        load([folder / "policies.yaml"]),
        ledger_url=redis_url,
        clock=SystemClock(),
        watch=Watch(Metrics(SystemClock()), log),
    )
    await app.start()
    port = await app.listen("127.0.0.1", 0)
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def _drop(*_: object) -> str:
    raise structlog.DropEvent
