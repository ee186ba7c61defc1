"""A client without manners: it sends the bytes it is given, and leaves when it is told to."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

#: Nothing that a test waits for takes so long.
WAIT_S = 20.0
_RESET = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    #: The body was whole: as long as it said, or ended by its last chunk.
    whole: bool = False

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(slots=True)
class RawClient:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    sent: int = field(default=0)

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        self.sent += len(data)
        await asyncio.wait_for(self.writer.drain(), WAIT_S)

    async def head(self) -> Answer:
        """Return the head of the next answer.

        Raises:
            ConnectionError, asyncio.IncompleteReadError: the connection ended instead.
        """
        text = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), WAIT_S)
        first, *lines = text.decode("latin-1").rstrip().split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        return Answer(status=int(first.split(" ")[1]), headers=headers)

    async def answer(self) -> Answer:
        """Return the next answer with what of its body there is."""
        answer = await self.head()
        try:
            if "chunked" in answer.headers.get("transfer-encoding", ""):
                await self._chunks(answer)
            elif "content-length" in answer.headers:
                await self._counted(answer, int(answer.headers["content-length"]))
            else:
                answer.body = await asyncio.wait_for(self.reader.read(), WAIT_S)
        except (ConnectionError, asyncio.IncompleteReadError) as cut:
            answer.body += cut.partial if isinstance(cut, asyncio.IncompleteReadError) else b""
        return answer

    async def some(self, size: int = 1) -> bytes:
        """Return what has come, at least so many bytes."""
        return await asyncio.wait_for(self.reader.readexactly(size), WAIT_S)

    async def end(self) -> bytes:
        """Return what comes until the other side closes; a reset is an end as well."""
        try:
            return await asyncio.wait_for(self.reader.read(), WAIT_S)
        except ConnectionError:
            return b""

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        self.writer.write_eof()

    def reset(self) -> None:
        """Leave at once, without a goodbye."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.writer.transport.abort()

    async def _counted(self, answer: Answer, length: int) -> None:
        answer.body = await asyncio.wait_for(self.reader.readexactly(length), WAIT_S)
        answer.whole = True

    async def _chunks(self, answer: Answer) -> None:
        while True:
            line = await asyncio.wait_for(self.reader.readuntil(b"\r\n"), WAIT_S)
            size = int(line.split(b";")[0], 16)
            answer.body += await asyncio.wait_for(self.reader.readexactly(size), WAIT_S)
            await asyncio.wait_for(self.reader.readexactly(2), WAIT_S)
            if size == 0:
                answer.whole = True
                return


@asynccontextmanager
async def connected(url: str, *, receive_bytes: int | None = None) -> AsyncIterator[RawClient]:
    """Connect to where a URL leads; a small receive buffer makes a client that reads slowly."""
    parts = urlsplit(url)
    raw = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if receive_bytes is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, (parts.hostname, parts.port))
    limit = receive_bytes or 2**16
    reader, writer = await asyncio.open_connection(sock=raw, limit=limit)
    try:
        yield RawClient(reader, writer)
    finally:
        writer.transport.abort()
        await asyncio.wait([asyncio.ensure_future(_closed(writer))], timeout=1)


async def _closed(writer: asyncio.StreamWriter) -> None:
    try:
        await writer.wait_closed()
    except OSError:
        return


def request(
    path: str, body: bytes, key: str, *headers: str, method: str = "POST", counted: bool = True
) -> bytes:
    """Return a request as bytes; without `counted` it says nothing about the body's length."""
    lines = [f"{method} {path} HTTP/1.1", "host: bursar", f"authorization: Bearer {key}"]
    lines += ["content-type: application/json", *headers]
    if counted:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
