"""The admin plane as a server."""

from __future__ import annotations

import socket

import aiohttp
import pytest
import structlog

from proxy.admin.plane import AdminPlane
from tests.proxy.admin.conftest import GRANTS, Plane


async def test_it_listens_until_it_is_closed(plane: Plane) -> None:
    own = AdminPlane(plane.services, GRANTS, structlog.wrap_logger(structlog.ReturnLogger()))

    port = await own.listen("127.0.0.1", 0)

    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/healthz") as answer:
            assert answer.status == 200
        await own.close()
        await own.close()
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"http://127.0.0.1:{port}/healthz")


async def test_a_taken_port_is_an_error(plane: Plane) -> None:
    own = AdminPlane(plane.services, GRANTS, structlog.wrap_logger(structlog.ReturnLogger()))

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        await own.listen("127.0.0.1", taken.getsockname()[1])

    await own.close()
