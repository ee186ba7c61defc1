"""The client's side of a call: pieces are written to it for as long as it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from aiohttp import web

# The kernel has taken what it can, and this much waits besides: only then can writing take long.
BEHIND_BYTES: Final = 16 * 1024
# As long as SDKs wait for us: a person's laptop may sleep in between.
PATIENCE_S: Final = 600.0


class Client:
    """The connection that a call came in on."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self._response: web.StreamResponse | None = None
        #: It went away before it had everything.
        self.left = False

    async def begin(
        self, status: int, reason: str | None, headers: Iterable[tuple[str, str]]
    ) -> None:
        """Send the head of the answer."""
        self._response = web.StreamResponse(status=status, reason=reason)
        self._response.headers.extend(headers)
        try:
            await self._response.prepare(self._request)
        except ConnectionError:
            self.left = True

    async def write(self, piece: bytes) -> None:
        """Send a piece of the answer; waits while the client is slow."""
        if self.left or not piece or self._response is None:
            return
        try:
            if self._is_behind(len(piece)):
                async with asyncio.timeout(PATIENCE_S):
                    await self._response.write(piece)
            else:
                await self._response.write(piece)
        except ConnectionError:
            self.left = True
        except TimeoutError:
            # It holds a connection to the provider and a reservation, and takes nothing.
            self.abort()

    async def end(self) -> web.StreamResponse:
        """Send the end of the answer; return it for the server's books."""
        if self._response is None:
            raise RuntimeError("an answer ends that never began")
        if not self.left:
            try:
                await self._response.write_eof()
            except ConnectionError:
                self.left = True
        return self._response

    def _is_behind(self, more: int) -> bool:
        """Tell whether so much more may have to wait; a large piece alone can fill the buffer."""
        transport = self._request.transport
        return transport is not None and transport.get_write_buffer_size() + more > BEHIND_BYTES

    def abort(self) -> None:
        """Break the connection: the client must not take what it has for the whole."""
        self.left = True
        if self._request.transport is not None:
            self._request.transport.abort()
