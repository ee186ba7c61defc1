"""A provider that answers with the very bytes it was given, whatever they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"


@dataclass(slots=True)
class OddProvider:
    """Answers every POST with `reply`, and then hangs up; lists of models do not exist."""

    port: int = 0
    reply: bytes = _NOT_FOUND
    #: POSTs as they came.
    requests: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            length = next(
                (line[15:] for line in lines if line.startswith(b"content-length:")), b"0"
            )
            body = await reader.readexactly(int(length))
            if head.startswith(b"POST"):
                self.requests.append(head + body)
                writer.write(self.reply)
            else:
                writer.write(_NOT_FOUND)
            await writer.drain()
            writer.close()
            await writer.wait_closed()


@asynccontextmanager
async def odd_provider() -> AsyncIterator[OddProvider]:
    """Run one for as long as the block takes."""
    provider = OddProvider()
    server = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
    provider.port = server.sockets[0].getsockname()[1]
    async with server:
        yield provider


def reply(status: str, body: bytes, *headers: str) -> bytes:
    """Return an answer with its length said."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
