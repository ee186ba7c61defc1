"""Workers: started, told, replaced when they die, and none left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.workers import Supervisor, WorkerFailed, read_message
from tests.doubles.waiting import until
from tests.proxy.cli.processes import alive

# A worker as far as its supervisor is concerned: it writes down what it is told.
WORKER = """
import asyncio, signal, sys
sys.path.append({root!r})
from proxy.workers import READY, read_message

async def main():
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    number, folder, behaviour = await read_message(reader)
    if behaviour == "broken":
        sys.exit(3)
    stopping = asyncio.Event()
    stop = (lambda: None) if behaviour == "stubborn" else stopping.set
    loop.add_signal_handler(signal.SIGTERM, stop)
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()

    async def listen():
        while (message := await read_message(reader)) is not None:
            with open(folder + "/" + str(number), "a") as file:
                file.write(str(message) + "\\n")
        stopping.set()

    listening = asyncio.create_task(listen())
    await stopping.wait()
    listening.cancel()

asyncio.run(main())
"""
ROOT = str(Path(__file__).parents[2])
COMMAND = [sys.executable, "-c", WORKER.format(root=ROOT)]


class Told:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.died: list[tuple[int, int, float]] = []
        self.replaced: list[int] = []

    def worker_died(self, worker: int, status: int, pause_s: float) -> None:
        self.died.append((worker, status, pause_s))

    def worker_replaced(self, worker: int, process: int) -> None:
        self.replaced.append(worker)


class Team:
    """A supervisor with its workers."""

    def __init__(self, folder: Path, count: int = 2) -> None:
        self.folder = folder
        self.behaviour = "good"
        self.told = Told()
        self.supervisor = Supervisor(
            COMMAND,
            count,
            lambda number: (number, str(folder), self.behaviour),
            self.told,
            now_s=time.monotonic,
        )


@pytest.fixture
async def team(tmp_path: Path) -> AsyncIterator[Team]:
    made = Team(tmp_path)
    yield made
    processes = made.supervisor.processes
    await made.supervisor.stop(0)
    await until(lambda: not any(alive(process) for process in processes))


async def test_all_workers_serve_after_the_start(team: Team) -> None:
    await team.supervisor.start()

    assert team.supervisor.ready == 2
    assert len(set(team.supervisor.processes)) == 2


async def test_every_worker_hears_a_message(team: Team) -> None:
    await team.supervisor.start()

    await team.supervisor.tell("reload")

    heard = [team.folder / "0", team.folder / "1"]
    await until(lambda: all(one.exists() and one.read_text() == "reload\n" for one in heard))


async def test_a_worker_that_dies_is_replaced(team: Team) -> None:
    await team.supervisor.start()
    first, second = team.supervisor.processes

    os.kill(first, signal.SIGKILL)

    await until(lambda: team.told.replaced == [0])
    assert team.told.died == [(0, -signal.SIGKILL, 0.1)]
    assert team.supervisor.ready == 2
    assert second in team.supervisor.processes
    assert first not in team.supervisor.processes


async def test_a_worker_that_dies_at_each_start_is_tried_ever_more_slowly(team: Team) -> None:
    await team.supervisor.start()
    team.behaviour = "broken"

    os.kill(team.supervisor.processes[0], signal.SIGKILL)
    await until(lambda: len(team.told.died) >= 3)
    team.behaviour = "good"

    await until(lambda: team.told.replaced == [0])
    assert [pause_s for _, _, pause_s in team.told.died[:3]] == [0.1, 0.2, 0.4]


async def test_a_worker_that_does_not_start_ends_the_start(team: Team) -> None:
    team.behaviour = "broken"

    with pytest.raises(WorkerFailed, match=r"worker \d did not start \(status 3\)"):
        await team.supervisor.start()

    assert team.supervisor.ready == 0


async def test_a_worker_that_does_not_stop_is_ended(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.workers.STOP_GRACE_S", 0.1)
    team.behaviour = "stubborn"
    await team.supervisor.start()
    processes = team.supervisor.processes

    await team.supervisor.stop(0.1)

    await until(lambda: not any(alive(process) for process in processes))
    assert team.told.died == []


async def test_workers_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    code = (
        f"import asyncio, sys; sys.path[:0] = [{ROOT!r}]\n"
        "from pathlib import Path\n"
        "from tests.proxy.test_workers import Team\n"
        "async def main():\n"
        f"    team = Team(Path({str(tmp_path)!r}))\n"
        "    await team.supervisor.start()\n"
        "    print(*team.supervisor.processes, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    processes = [int(word) for word in (await parent.stdout.readline()).split()]
    assert len(processes) == 2

    parent.kill()
    await parent.wait()

    await until(lambda: not any(alive(process) for process in processes))


async def test_a_message_that_is_cut_short_is_no_message() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(b"\x00\x00\x00\x09half")
    reader.feed_eof()

    assert await read_message(reader) is None
