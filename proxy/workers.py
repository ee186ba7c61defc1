"""Several workers on one machine: processes that share a port, replaced when they die.

A worker is told everything through its standard input: first what to serve, then other policies.
When that ends, whoever started it is gone, and it ends too: `kill -9` leaves no worker behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from policies.errors import BursarError
from proxy.tasks import Tasks

#: What a worker writes to its standard output when its port is open.
READY: Final = b"ready\n"
# Imports and the first connections take a second or two; price lists are waited for five.
READY_S_MAX: Final = 60.0
# A worker that dies at once dies again: the pause doubles until there is nothing to gain.
PAUSE_S_MIN: Final = 0.1
PAUSE_S_MAX: Final = 10.0
# A worker that lived for so long did not die of its start.
LIVED_S: Final = 30.0
# Beyond the time that calls in flight are given: closing connections, writing the last files.
STOP_GRACE_S: Final = 10.0
# Between the end of a process' output and its own.
LEAVE_S: Final = 1.0
_LENGTH_BYTES: Final = 4


class WorkerFailed(BursarError):
    """A worker did not start; what it wrote to standard error says why."""


class Observer(Protocol):
    """Whoever tells operators."""

    def worker_died(self, worker: int, status: int, pause_s: float) -> None:
        """A worker ended without being asked to; it is started again after a pause."""
        ...

    def worker_replaced(self, worker: int, process: int) -> None:
        """A new process serves in the place of a worker that died."""
        ...


@dataclass(slots=True)
class _Worker:
    """One place among the workers, whatever process is in it."""

    number: int
    process: Process | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    pause_s: float = PAUSE_S_MIN


class Supervisor:
    """Starts workers, and keeps as many running until it is stopped."""

    def __init__(
        self,
        command: Sequence[str],
        count: int,
        brief: Callable[[int], object],
        observer: Observer,
        *,
        now_s: Callable[[], float],
    ) -> None:
        """Start nothing yet.

        Args:
            command: starts one worker.
            count: how many.
            brief: what the worker of a number is told first; asked for at each of its starts.
            observer: is told of deaths.
            now_s: a clock that never goes back.
        """
        self._command = tuple(command)
        self._brief = brief
        self._observer = observer
        self._now_s = now_s
        self._workers = [_Worker(number) for number in range(count)]
        self._tasks = Tasks()
        self._stopping = False

    @property
    def ready(self) -> int:
        """How many workers serve now."""
        return sum(worker.ready.is_set() for worker in self._workers)

    @property
    def processes(self) -> list[int]:
        """The ids of the processes that run."""
        return [worker.process.pid for worker in self._workers if worker.process is not None]

    async def start(self) -> None:
        """Start all workers, and wait until they serve.

        Raises:
            WorkerFailed: one of them ended instead; then none is left.
        """
        starts = [self._tasks.run(self._launch(worker)) for worker in self._workers]
        try:
            await asyncio.gather(*starts)
        except BaseException:
            await self.stop(0)
            raise
        for worker in self._workers:
            self._tasks.spawn(self._keep(worker))

    async def tell(self, message: object) -> None:
        """Send every worker a message; one that dies meanwhile gets it with its next brief."""
        frame = _frame(message)
        for worker in self._workers:
            if worker.process is not None:
                await _write(worker.process, frame)

    async def stop(self, timeout_s: float) -> None:
        """Let all workers end their calls, at most for so long; then end them."""
        self._stopping = True
        self._signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._all_ended(), timeout_s + STOP_GRACE_S)
        self.kill()
        await self._all_ended()
        await self._tasks.close()

    async def _all_ended(self) -> None:
        processes = [worker.process for worker in self._workers if worker.process is not None]
        await asyncio.gather(*(process.wait() for process in processes))

    def kill(self) -> None:
        """End all workers at once."""
        self._stopping = True
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        for worker in self._workers:
            if worker.process is not None and worker.process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    worker.process.send_signal(number)

    # One worker…

    async def _launch(self, worker: _Worker) -> Process:
        """Start a process in a worker's place, and wait until it serves."""
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=PIPE,
            stdout=PIPE,
            # Ctrl-C goes to a terminal's whole group; workers end when they are told to.
            start_new_session=True,
        )
        worker.process = process
        if self._stopping:
            self.kill()
        await _write(process, _frame(self._brief(worker.number)))
        said = b""
        if process.stdout is not None:
            with contextlib.suppress(TimeoutError):
                said = await asyncio.wait_for(process.stdout.readline(), READY_S_MAX)
        if said != READY:
            status = await _ended(process)
            worker.process = None
            raise WorkerFailed(f"worker {worker.number} did not start (status {status})")
        worker.ready.set()
        return process

    async def _keep(self, worker: _Worker) -> None:
        """Replace the process in a worker's place whenever it ends, until all are stopped."""
        began_s = self._now_s()
        while worker.process is not None:
            status = await worker.process.wait()
            worker.ready.clear()
            if self._stopping:
                return
            if self._now_s() - began_s > LIVED_S:
                worker.pause_s = PAUSE_S_MIN
            await self._replace(worker, status)
            began_s = self._now_s()

    async def _replace(self, worker: _Worker, status: int) -> None:
        while not self._stopping:
            self._observer.worker_died(worker.number, status, worker.pause_s)
            await asyncio.sleep(worker.pause_s)
            worker.pause_s = min(worker.pause_s * 2, PAUSE_S_MAX)
            try:
                process = await self._launch(worker)
            except WorkerFailed:
                status = 1
                continue
            self._observer.worker_replaced(worker.number, process.pid)
            return


async def _ended(process: Process) -> int:
    """Return the status of a process that is about to end, or is made to."""
    with contextlib.suppress(TimeoutError):
        # It has closed its output; to signal it now could take its status from whoever waits.
        return await asyncio.wait_for(process.wait(), LEAVE_S)
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    return await process.wait()


# Messages: a length, then a pickle. Both ends are the same program, on the same machine…


def _frame(message: object) -> bytes:
    payload = pickle.dumps(message)
    return len(payload).to_bytes(_LENGTH_BYTES) + payload


async def _write(process: Process, frame: bytes) -> None:
    if process.stdin is None:
        return
    # A worker that has just died is replaced by whoever waits for its end.
    with contextlib.suppress(ConnectionError):
        process.stdin.write(frame)
        await process.stdin.drain()


async def read_message(reader: asyncio.StreamReader) -> Any:  # noqa: ANN401 - Whatever was sent.
    """Return what the supervisor says next; None: it is gone."""
    try:
        length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES))
        payload = await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return pickle.loads(payload)  # noqa: S301 - It comes from the process that started this one.
