"""A program that runs beside us: it has the terminal, and the signals that we get."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from policies.errors import BursarError

#: As shells report them.
NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126
KILLED: Final = 128
_PASSED_ON: Final = (
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGINT,
    signal.SIGQUIT,
)
#: What a terminal sends to every process in front of it, the program included.
_FROM_TERMINAL: Final = frozenset({signal.SIGINT, signal.SIGQUIT})


class NotRunnable(BursarError):
    """The program could not be started."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


async def run_program(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a program to its end; return its status, 128 and more for a signal.

    Raises:
        NotRunnable: it could not be started.
    """
    try:
        process = await asyncio.create_subprocess_exec(*command, env=dict(environ))
    except FileNotFoundError as error:
        raise NotRunnable(f"there is no program '{command[0]}'", NOT_FOUND) from error
    except OSError as error:
        said = error.strerror or str(error)
        raise NotRunnable(f"'{command[0]}' cannot be run: {said}", NOT_EXECUTABLE) from error

    def pass_on(number: signal.Signals) -> None:
        # Ctrl-C has reached the program already; twice would be one time too many.
        if process.returncode is None and not (number in _FROM_TERMINAL and in_front()):
            process.send_signal(number)

    loop = asyncio.get_running_loop()
    for number in _PASSED_ON:
        loop.add_signal_handler(number, pass_on, number)
    try:
        status = await process.wait()
    finally:
        for number in _PASSED_ON:
            loop.remove_signal_handler(number)
    return KILLED - status if status < 0 else status


def in_front() -> bool:
    """Tell whether a terminal sends us its signals."""
    for stream in (sys.stdin, sys.stderr, sys.stdout):
        try:
            return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
        except (OSError, ValueError):
            continue
    return False
