"""The client's side of a call: pieces are written to it for as long as it is there."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web


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
            await self._response.write(piece)
        except ConnectionError:
            self.left = True

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

    def abort(self) -> None:
        """Break the connection: the client must not take what it has for the whole."""
        self.left = True
        if self._request.transport is not None:
            self._request.transport.abort()
