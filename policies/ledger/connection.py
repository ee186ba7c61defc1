"""One connection to Redis on which the commands of one event-loop turn leave in one write.

This is why the hot path does not use redis-py: at 32 calls in flight a script costs it 106 µs of
Python, and 9 µs here (measurements.md). Everything else about Redis is left to redis-py.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Protocol, cast

import hiredis

from policies.clock import Clock
from policies.errors import BursarError, LedgerRefused, LedgerUnavailable, LedgerUntouched
from policies.ledger.address import Address

Reply = Any
Spawn = Callable[[Coroutine[Any, Any, None]], object]

# Replies that say "not now" rather than "wrong": the server loads, has no memory, or is a replica.
NOT_NOW: Final = (
    "LOADING",
    "OOM",
    "READONLY",
    "MASTERDOWN",
    "MISCONF",
    "BUSY",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "NOREPLICAS",
    "NOPERM",
)
CHECKS_PER_TIMEOUT: Final = 4
RECONNECT_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0)
# Above this many commands in flight the server has stopped, whatever the time-out says.
IN_FLIGHT_MAX: Final = 100_000


class Commands(Protocol):
    """Whatever can send a command to Redis."""

    def execute(self, *command: bytes | str | int) -> Awaitable[Reply]:
        """Send one command; the answer is awaited. Raises `LedgerUnavailable`."""
        ...


class _Stream(asyncio.Protocol):
    """One established connection: pipelined commands, answered in order."""

    def __init__(self, on_lost: Callable[[], None]) -> None:
        self._on_lost = on_lost
        self._reader = hiredis.Reader()
        self._pending: deque[tuple[asyncio.Future[Reply], float]] = deque()
        self._outgoing: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            self._answer()
        except (hiredis.ProtocolError, IndexError):
            # Not Redis, or an answer that nobody asked for: from here on none can be told apart.
            self.abort()

    def _answer(self) -> None:
        while (reply := self._reader.gets()) is not False:
            future, _ = self._pending.popleft()
            if future.done():  # The caller went away; the answer belongs to nobody.
                continue
            if isinstance(reply, hiredis.ReplyError):
                future.set_exception(_fault(reply))
            else:
                future.set_result(reply)

    def connection_lost(self, error: Exception | None) -> None:
        del error
        self._transport = None
        self._on_lost()
        while self._pending:
            future, _ = self._pending.popleft()
            if not future.done():
                future.set_exception(LedgerUnavailable("the connection to Redis broke"))

    def send(self, command: tuple[bytes | str | int, ...]) -> asyncio.Future[Reply]:
        if self._transport is None or len(self._pending) >= IN_FLIGHT_MAX:
            raise LedgerUntouched("Redis is not connected")
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(hiredis.pack_command(command))  # type: ignore[arg-type]  # Its stub wants one element.
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._pending.append((future, self._loop.time()))
        return future

    @property
    def alive(self) -> bool:
        """Whether the connection is still there."""
        return self._transport is not None

    def oldest_age_s(self) -> float:
        """Seconds since the oldest unanswered command was sent; 0 when none is."""
        return self._loop.time() - self._pending[0][1] if self._pending else 0.0

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _flush(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        if self._transport is not None:
            self._transport.write(b"".join(outgoing))


class Connection:
    """A connection that is made anew whenever it breaks; while it is broken, commands fail at once."""

    def __init__(
        self,
        address: Callable[[], Awaitable[Address]],
        *,
        timeout_s: float,
        spawn: Spawn,
        clock: Clock,
        scripts: tuple[bytes, ...] = (),
    ) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._spawn = spawn
        self._clock = clock
        self._scripts = scripts
        self._stream: _Stream | None = None
        self._closed = False
        #: When it was last looked for overdue answers, and whether the loop had been busy then.
        self._checked_s = 0.0
        self._was_busy = False
        self._watch: asyncio.TimerHandle | None = None

    @property
    def connected(self) -> bool:
        """Whether commands can be sent now."""
        return self._stream is not None

    async def open(self) -> None:
        """Connect for the first time.

        Raises:
            LedgerUnavailable: Redis cannot be reached, or refuses; it is tried again all the same.
        """
        self._check()
        try:
            await self._connect()
        except LedgerUnavailable:
            self._spawn(self._reconnect())
            raise

    async def close(self) -> None:
        """Close the connection; commands in flight fail."""
        self._closed = True
        if self._watch is not None:
            self._watch.cancel()
        if self._stream is not None:
            self._stream.abort()
            await asyncio.sleep(0)

    def execute(self, *command: bytes | str | int) -> Awaitable[Reply]:
        """Send one command with whatever else is sent in this turn of the event loop."""
        if self._stream is None:
            raise LedgerUntouched("Redis is not connected")
        return self._stream.send(command)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        lost: list[_Stream] = []

        def on_lost() -> None:
            if lost and self._stream is lost[0]:
                self._stream = None
                if not self._closed:
                    self._spawn(self._reconnect())

        try:
            async with asyncio.timeout(self._timeout_s):
                address = await self._address()
                stream = await address.connect(loop, lambda: _Stream(on_lost))
                lost.append(stream)
                await self._greet(stream, address)
            if self._closed or not stream.alive:
                raise LedgerUnavailable("the connection to Redis broke as soon as it was made")
            self._stream = stream
        except (OSError, TimeoutError) as error:
            message = f"Redis cannot be reached: {str(error) or 'no answer in time'}"
            raise LedgerUnavailable(message) from error
        finally:
            if lost and self._stream is not lost[0]:
                lost[0].abort()

    async def _greet(self, stream: _Stream, address: Address) -> None:
        commands: list[tuple[bytes | str | int, ...]] = []
        if address.password is not None:
            user = (address.username,) if address.username else ()
            commands.append(("AUTH", *user, address.password))
        if address.database:
            commands.append(("SELECT", address.database))
        commands.extend(("SCRIPT", "LOAD", source) for source in self._scripts)
        commands.append(("ROLE",))
        replies = await asyncio.gather(*(stream.send(command) for command in commands))
        role = replies[-1]
        if not isinstance(role, list) or role[:1] != [b"master"]:
            raise LedgerUnavailable(
                "Redis answers as a replica: money is only counted on the master"
            )

    async def _reconnect(self) -> None:
        attempt = 0
        while not self._closed and self._stream is None:
            await asyncio.sleep(RECONNECT_S[min(attempt, len(RECONNECT_S) - 1)])
            attempt += 1
            try:
                await self._connect()
            except LedgerUnavailable:
                continue

    def _check(self) -> None:
        """Break a connection on which an answer is overdue: a server that hangs must not hang calls."""
        if self._closed:
            return
        loop = asyncio.get_running_loop()
        every_s = self._timeout_s / CHECKS_PER_TIMEOUT
        # When this comes late, the loop was busy, and the answer may lie unread in the socket: it gets
        # one more turn. A loop that is late each time does not keep a server alive that hangs.
        busy = loop.time() - self._checked_s > 2 * every_s and not self._was_busy
        self._checked_s, self._was_busy = loop.time(), busy
        if not busy and self._stream is not None and self._stream.oldest_age_s() > self._timeout_s:
            self._stream.abort()
        self._watch = loop.call_later(every_s, self._check)


def _fault(error: hiredis.ReplyError) -> BursarError:
    text = str(error)
    if text.startswith(NOT_NOW):
        return LedgerUntouched(f"Redis cannot serve now: {text}")
    return LedgerRefused(text)
