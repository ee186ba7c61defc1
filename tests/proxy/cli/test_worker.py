"""One worker, told what to do as its supervisor would."""

from __future__ import annotations

import asyncio
import pickle
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.cli.configuration import Configuration
from proxy.cli.listening import hold
from proxy.cli.several import WORKER
from proxy.cli.worker import Brief
from proxy.workers import READY
from tests.doubles.waiting import until
from tests.proxy.cli.processes import plain_environ
from tests.proxy.cli.serving_stories import answers


class Worker:
    """A worker's process, and the two ends of what is said to it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process, self.input, self.output = process, process.stdin, process.stdout

    def tell(self, message: object) -> None:
        payload = pickle.dumps(message)
        self.input.write(len(payload).to_bytes(4) + payload)


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Worker]:
    process = await asyncio.create_subprocess_exec(
        *WORKER,
        cwd=tmp_path,
        env=plain_environ(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    yield Worker(process)
    if process.returncode is None:
        process.kill()
        await process.wait()


@pytest.fixture
def brief(configuration: Configuration, redis_url: str, tmp_path: Path) -> Brief:
    with hold("127.0.0.1", 0) as held:
        port = held.getsockname()[1]
    return Brief(
        number=3,
        settings=configuration.settings,
        rulebook=configuration.rulebook,
        ledger_url=redis_url,
        port=port,
        metrics=tmp_path / "metrics",
    )


async def test_it_serves_says_so_and_ends_with_its_supervisor(worker: Worker, brief: Brief) -> None:
    worker.tell(brief)

    assert await asyncio.wait_for(worker.output.readline(), 20) == READY
    assert await answers(f"http://127.0.0.1:{brief.port}")
    await until((brief.metrics / "worker-3.metrics.json").exists)
    worker.process.send_signal(signal.SIGHUP)  # Nothing to it: its supervisor loads policies.
    worker.tell(brief.rulebook)
    worker.input.close()

    assert await asyncio.wait_for(worker.process.wait(), 20) == 0


async def test_it_ends_on_sigterm(worker: Worker, brief: Brief) -> None:
    worker.tell(brief)
    assert await asyncio.wait_for(worker.output.readline(), 20) == READY

    worker.process.send_signal(signal.SIGTERM)

    assert await asyncio.wait_for(worker.process.wait(), 20) == 0


async def test_without_a_brief_it_ends(worker: Worker) -> None:
    worker.input.close()

    assert await asyncio.wait_for(worker.process.wait(), 20) == 0


async def test_a_stranger_in_the_working_directory_is_not_imported(
    tmp_path: Path, worker: Worker, brief: Brief
) -> None:
    (tmp_path / "proxy").mkdir()
    (tmp_path / "proxy" / "__init__.py").write_text("raise SystemExit('a stranger')")

    worker.tell(replace(brief, number=4))

    assert await asyncio.wait_for(worker.output.readline(), 20) == READY
