"""aiohttp's low-level server, whose connections answer malformed HTTP with our errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
#: Given a status and what is wrong; returns the answer.
Malformed = Callable[[int, str], web.Response]


class HttpServer(web.Server):
    """No routing, no middlewares, no copies of bodies."""

    def __init__(
        self,
        handler: Handler,
        malformed: Malformed,
        *,
        header_bytes_max: int,
        handler_cancellation: bool = False,
    ) -> None:
        # Bodies are handed on as they came; what is compressed we unpack ourselves, within bounds.
        super().__init__(
            handler,
            handler_cancellation=handler_cancellation,
            auto_decompress=False,
            access_log=None,
            max_line_size=header_bytes_max,
            max_field_size=header_bytes_max,
        )
        self._malformed = malformed

    def __call__(self) -> RequestHandler:
        """Return the handler of a new connection."""
        connection = _Connection(self, loop=self._loop, **self._kwargs)
        connection.malformed = self._malformed
        return connection


class _Connection(RequestHandler):
    __slots__ = ("malformed",)

    malformed: Malformed

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what aiohttp could not parse, or what failed outside of a call."""
        if request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        first_line = (
            (message or "the request is not valid HTTP").strip().splitlines()[0].rstrip(":")
        )
        response = self.malformed(status, f"{first_line}: send one valid HTTP/1.1 request")
        response.force_close()
        return response
