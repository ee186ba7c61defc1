"""Our own server in front of one handler, on a real port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from proxy.gateway.http_server import HttpServer

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(
    handler: Handler, *, handler_cancellation: bool = False, header_bytes_max: int = 4_096
) -> AsyncIterator[str]:
    """Serve, and yield the address."""

    def malformed(status: int, message: str) -> web.Response:
        return web.Response(status=status, text=message)

    server = HttpServer(
        handler,
        malformed,
        header_bytes_max=header_bytes_max,
        handler_cancellation=handler_cancellation,
    )
    runner = web.ServerRunner(server, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
