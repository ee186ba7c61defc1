"""A proxy that serves until it is told to stop: SIGTERM drains, SIGHUP loads the policies anew."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from policies.clock import Clock
from proxy.cli.configuration import Configuration
from proxy.cli.events import OperatorLog
from proxy.key_store import KeyStore
from proxy.tasks import Tasks

ENDED_AT_ONCE: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where a proxy listens, by the ports that it really has."""

    gateway: str
    admin: str


class Server(Protocol):
    """A proxy, in one process or in several."""

    @property
    def configuration(self) -> Configuration:
        """What it was started with."""
        ...

    @property
    def key_store(self) -> KeyStore:
        """The keys of its callers."""
        ...

    @property
    def clock(self) -> Clock:
        """What keys are judged by."""
        ...

    async def start(self) -> Addresses:
        """Open the ports; calls are taken from now on."""
        ...

    async def reload(self) -> object:
        """Load the policies anew."""
        ...

    async def stop(self) -> None:
        """Take no new calls, let those in flight end, then let go of everything."""
        ...

    def kill(self) -> None:
        """End other processes at once; this one is about to."""
        ...


async def serve_until_stopped(
    server: Server,
    started: Callable[[Server, Addresses], Awaitable[None]],
    events: OperatorLog,
) -> int:
    """Serve until a signal says to stop; return the exit status.

    Args:
        server: what is to serve.
        started: called once when it does.
        events: is told of the end.
    """
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    # Whoever waits for the start is told of its failure; a failed reload is told to nobody else.
    own, tasks = Tasks(), Tasks(events.failed)

    def stop() -> None:
        if stopping.is_set():
            # Asked twice: reservations in flight run out, and are charged as reserved.
            server.kill()
            sys.stdout.flush()
            os._exit(ENDED_AT_ONCE)
        stopping.set()

    async def reload() -> None:
        await server.reload()

    async def start() -> None:
        await started(server, await server.start())
        loop.add_signal_handler(signal.SIGHUP, lambda: tasks.spawn(reload()))

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    # A SIGHUP that comes too early has nothing to reload; by default it would end the process.
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
    starting, stopped = own.run(start()), own.run(stopping.wait())
    try:
        await asyncio.wait([starting, stopped], return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
            await stopped
            events.stopping()
        return 0
    finally:
        starting.cancel()
        await asyncio.wait([starting])
        await server.stop()
        await tasks.close()
        await own.close()
