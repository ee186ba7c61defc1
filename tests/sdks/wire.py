"""A wire that remembers: a forwarder of bytes which keeps every request and its answer as they were."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import cached_property
from http.client import HTTPResponse
from typing import Final
from urllib.parse import urlsplit

_PIECE_BYTES: Final = 64 * 1024
#: How a request begins. No JSON does, so the second half of a body is never taken for a request.
_BEGINNING: Final = re.compile(rb"(?:GET|HEAD|POST|PUT|PATCH|DELETE) /")


class _Parser(io.BytesIO):
    """Bytes behind the face of a socket, as `http.client` wants it."""

    def makefile(self, mode: str) -> io.BytesIO:
        return self


@dataclass(slots=True)
class Answer:
    """One HTTP answer, taken apart."""

    status: int
    headers: dict[str, str]
    #: Without the framing of transfer: what the SDK was given.
    body: bytes


@dataclass
class Exchange:
    """One request, and what came back for it."""

    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)

    @property
    def line(self) -> str:
        """Method and target of the request."""
        return self.sent.partition(b" HTTP/")[0].decode()

    @property
    def body(self) -> bytes:
        """What the request carried."""
        return bytes(self.sent.partition(b"\r\n\r\n")[2])

    @cached_property
    def answer(self) -> Answer:
        """The answer, once all of it is there.

        Raises:
            http.client.IncompleteRead: it was cut.
        """
        response = HTTPResponse(_Parser(bytes(self.received)))  # type: ignore[arg-type] # It reads only.
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())


class Wire:
    """A port in front of a server: whoever goes through it is heard."""

    def __init__(self, url: str) -> None:
        target = urlsplit(url)
        self._host, self._port = target.hostname or "", target.port or 0
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        #: In the order in which they began.
        self.exchanges: list[Exchange] = []
        self.url = ""

    async def open(self) -> None:
        """Listen on a port of the system's choice."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Stop listening, and let go of what is still connected."""
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def take(self) -> list[Exchange]:
        """Return what was heard since the last time."""
        taken, self.exchanges = self.exchanges, []
        return taken

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._connect(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard: list[Exchange] = []
        try:
            far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
            await asyncio.gather(
                self._carry_requests(reader, far_writer, heard),
                _carry_answers(far_reader, writer, heard),
            )
        finally:
            writer.close()

    async def _carry_requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: list[Exchange]
    ) -> None:
        async for piece in _pieces(reader, writer):
            if not heard or (heard[-1].received and _BEGINNING.match(piece)):
                heard.append(Exchange())
                self.exchanges.append(heard[-1])
            heard[-1].sent += piece
            writer.write(piece)


async def _carry_answers(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: list[Exchange]
) -> None:
    async for piece in _pieces(reader, writer):
        heard[-1].received += piece
        writer.write(piece)


async def _pieces(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> AsyncIterator[bytes]:
    """Yield what one end says; when it hangs up, so does the other."""
    try:
        while piece := await reader.read(_PIECE_BYTES):
            yield piece
            await writer.drain()
    except ConnectionError:
        writer.transport.abort()
    finally:
        writer.close()
