"""An archiver in a process of its own, which a test can kill between any two of its steps."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from policies.clock import SystemClock
from policies.ledger.deployment import deployment
from policies.ledger.keys import Keys
from proxy.archive.database import open_database
from proxy.archive.watch import ArchiveWatch
from proxy.archive.work import ArchiveWork
from proxy.archive_settings import ArchiveSettings
from proxy.tasks import Tasks
from proxy.telemetry.archive import ArchiveSeries

ROOT = Path(__file__).parents[2]
START_S = 30.0
#: Small batches, so that a kill hits one.
SETTINGS = ArchiveSettings.model_validate({"every": "1ms", "batch": 5, "checkpoint_entries": 20})


@asynccontextmanager
async def doomed_archiver(
    folder: Path, redis_url: str, organization: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run an archiver on the archive in a folder; give its process when it is at work."""
    arguments = (str(folder), redis_url, organization)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", f"from {__name__} import main; main()", *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), START_S) == b"at work\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def main() -> None:
    """Archive until killed; the child's side."""
    asyncio.run(_archive(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))


async def _archive(folder: Path, redis_url: str, organization: str) -> None:
    logging.disable()
    log = structlog.wrap_logger(
        None, processors=[_drop], wrapper_class=structlog.make_filtering_bound_logger(0)
    )
    clock, tasks = SystemClock(), Tasks()
    commands = deployment(redis_url, timeout_s=5, spawn=tasks.spawn, clock=clock)
    await commands.open()
    work = ArchiveWork(
        commands,
        Keys(organization),
        open_database(ArchiveSettings(), folder),
        organization,
        settings=SETTINGS,
        data_dir=folder,
        clock=clock,
        watch=ArchiveWatch(ArchiveSeries(), log, clock, backlog_max=1_000),
    )
    sys.stdout.write("at work\n")
    sys.stdout.flush()
    await work.run()


def _drop(*_: object) -> str:
    raise structlog.DropEvent
