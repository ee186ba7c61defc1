"""Serving until a signal says to stop, whatever is served."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

import pytest
import structlog

from policies.clock import Clock, SystemClock
from policies.errors import LedgerUnavailable
from proxy.cli.configuration import Configuration
from proxy.cli.events import OperatorLog
from proxy.cli.serving import Addresses, Server, serve_until_stopped
from proxy.key_store import KeyStore
from tests.doubles.waiting import until

EVENTS = OperatorLog(structlog.wrap_logger(structlog.ReturnLogger()))
ADDRESSES = Addresses(gateway="http://gateway", admin="http://admin")


class FakeServer:
    """Serves nothing, and keeps what it is asked for."""

    key_store: KeyStore
    clock: Clock = SystemClock()

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.asked: list[str] = []
        self.while_starting: Callable[[], None] = lambda: None
        self.starts = asyncio.Event()
        self.starts.set()

    async def start(self) -> Addresses:
        self.asked.append("start")
        self.while_starting()
        await self.starts.wait()
        return ADDRESSES

    async def reload(self) -> None:
        self.asked.append("reload")

    async def stop(self) -> None:
        self.asked.append("stop")

    def kill(self) -> None:
        self.asked.append("kill")


@pytest.fixture
def server(configuration: Configuration) -> FakeServer:
    return FakeServer(configuration)


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_in_order(server: FakeServer, number: signal.Signals) -> None:
    async def started(given: Server, addresses: Addresses) -> None:
        assert given is server
        assert addresses is ADDRESSES
        server.asked.append("started")
        send(number)

    assert await serve_until_stopped(server, started, EVENTS) == 0

    assert server.asked == ["start", "started", "stop"]


async def test_sighup_loads_the_policies_anew(server: FakeServer) -> None:
    async def started(*_: object) -> None:
        return

    serving = asyncio.create_task(serve_until_stopped(server, started, EVENTS))
    await until(lambda: "start" in server.asked)
    # One that comes before the start has ended is nothing to die of.
    send(signal.SIGHUP)

    def reloaded() -> bool:
        send(signal.SIGHUP)
        return "reload" in server.asked

    await until(reloaded)
    send(signal.SIGTERM)

    assert await serving == 0


async def test_a_start_that_fails_is_cleaned_up_and_raised(server: FakeServer) -> None:
    def fail() -> None:
        raise LedgerUnavailable("away")

    server.while_starting = fail

    with pytest.raises(LedgerUnavailable):
        await serve_until_stopped(server, _never, EVENTS)

    assert server.asked == ["start", "stop"]


async def test_a_signal_ends_a_start_that_takes_too_long(server: FakeServer) -> None:
    server.starts.clear()
    server.while_starting = lambda: send(signal.SIGTERM)

    assert await serve_until_stopped(server, _never, EVENTS) == 0

    assert server.asked == ["start", "stop"]


async def test_a_second_signal_ends_everything_at_once(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ended(BaseException):
        """Stands for the end of the process."""

    statuses: list[int] = []
    monkeypatch.setattr("proxy.cli.serving.os._exit", statuses.append)

    async def started(*_: object) -> None:
        send(signal.SIGTERM)

    stopping = asyncio.Event()

    async def stop() -> None:
        server.asked.append("stop")
        send(signal.SIGTERM)
        await until(lambda: bool(statuses))
        stopping.set()

    monkeypatch.setattr(server, "stop", stop)

    await serve_until_stopped(server, started, EVENTS)

    assert stopping.is_set()
    assert server.asked == ["start", "stop", "kill"]
    assert statuses == [1]


async def _never(*_: object) -> None:
    raise AssertionError("it never started")
