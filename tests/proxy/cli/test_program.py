"""A program beside us: its status, its signals, and what cannot be run."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from proxy.cli.program import NotRunnable, in_front, run_program
from tests.doubles.waiting import until

ENVIRON = {"PATH": os.environ["PATH"]}


async def test_the_status_is_the_programs() -> None:
    assert await run_program(["sh", "-c", "exit 7"], ENVIRON) == 7
    assert await run_program(["true"], ENVIRON) == 0


async def test_a_signal_is_128_and_its_number() -> None:
    assert await run_program(["sh", "-c", "kill -9 $$"], ENVIRON) == 137


async def test_the_environment_is_the_one_that_is_given(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-c",
        f"import os; open({str(tmp_path / 'x')!r}, 'w').write(os.environ['A'])",
    ]

    assert await run_program(command, {**ENVIRON, "A": "given"}) == 0

    assert (tmp_path / "x").read_text() == "given"


async def test_a_program_that_is_not_there_is_127() -> None:
    with pytest.raises(NotRunnable, match="there is no program 'no-such-program'") as raised:
        await run_program(["no-such-program"], ENVIRON)

    assert raised.value.status == 127


async def test_a_file_that_is_no_program_is_126(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")

    with pytest.raises(NotRunnable, match="cannot be run") as raised:
        await run_program([str(tmp_path / "text")], ENVIRON)

    assert raised.value.status == 126


async def test_signals_are_passed_on(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    script = f"trap 'exit 3' USR1; touch {ready}; while :; do sleep 0.01; done"
    running = asyncio.create_task(run_program(["sh", "-c", script], ENVIRON))
    await until(ready.exists)

    os.kill(os.getpid(), signal.SIGUSR1)

    assert await asyncio.wait_for(running, 10) == 3


def test_without_a_terminal_nothing_is_in_front() -> None:
    assert in_front() is False
