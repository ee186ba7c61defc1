"""A server that answers Redis commands as a test says: late, in pieces, wrongly or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import hiredis

MASTER = b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"
REPLICA = b"*3\r\n$5\r\nslave\r\n$1\r\nx\r\n:1\r\n"
OK = b"+OK\r\n"


class Conversation:
    """One connection, as the server has it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._parser = hiredis.Reader()
        #: Every command that came, in order.
        self.commands: list[list[bytes]] = []
        #: What came at once.
        self.chunks: list[bytes] = []

    async def command(self) -> list[bytes]:
        """Return the next command; waits for it."""
        while (found := self._parser.gets()) is False:
            data = await self._reader.read(2**16)
            if not data:
                raise EOFError
            self.chunks.append(data)
            self._parser.feed(data)
        assert isinstance(found, list)
        self.commands.append(found)
        return found

    async def say(self, answer: bytes) -> None:
        """Answer."""
        self._writer.write(answer)
        await self._writer.drain()

    async def greet(self, role: bytes = MASTER) -> None:
        """Answer what every connection begins with, up to the question for its role."""
        while (await self.command())[0] != b"ROLE":
            await self.say(OK)
        await self.say(role)

    async def serve(self, answer: Callable[[list[bytes]], bytes] = lambda _: OK) -> None:
        """Answer everything, until the other side goes."""
        while True:
            await self.say(answer(await self.command()))

    async def gone(self) -> None:
        """Wait until the other side goes."""
        while await self._reader.read(2**16):
            pass

    def hang_up(self) -> None:
        """Break the connection."""
        self._writer.transport.abort()


Talk = Callable[[Conversation], Awaitable[None]]


class ScriptedRedis:
    """The server: the first connection gets the first talk, and all behind the last one the last."""

    def __init__(self, *talks: Talk) -> None:
        self._talks = talks
        self.conversations: list[Conversation] = []
        self.open = 0
        self.port = 0

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = Conversation(reader, writer)
        self.conversations.append(conversation)
        talk = self._talks[min(len(self.conversations), len(self._talks)) - 1]
        self.open += 1
        try:
            with suppress(EOFError, ConnectionError):
                await talk(conversation)
                await conversation.gone()
        finally:
            self.open -= 1
            writer.transport.abort()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            for conversation in self.conversations:
                conversation.hang_up()
            await server.wait_closed()


async def serves(conversation: Conversation) -> None:
    """Talk like a Redis that knows one answer."""
    await conversation.greet()
    await conversation.serve()


async def is_silent(conversation: Conversation) -> None:
    """Say nothing at all."""
    await conversation.gone()
