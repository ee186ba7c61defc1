"""The admin plane as a server."""

from __future__ import annotations

import socket

import aiohttp
import pytest
import structlog

from proxy.admin.openapi import document
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


async def test_what_can_be_asked_and_what_the_document_says_are_the_same(plane: Plane) -> None:
    own = AdminPlane(plane.services, GRANTS, structlog.wrap_logger(structlog.ReturnLogger()))

    routes = {
        (route.method, route.resource.canonical)
        for route in own.application.router.routes()
        # A server answers HEAD wherever it answers GET; documents do not repeat it.
        if route.resource is not None and route.method != "HEAD"
    }
    described = {
        (method.upper(), path)
        for path, operations in document(own.operations)["paths"].items()
        for method in operations
    }

    assert routes == described
    assert len(routes) == len(own.operations)


async def test_whoever_lets_people_in_elsewhere_shares_tokens_and_attempts(plane: Plane) -> None:
    own = AdminPlane(plane.services, GRANTS, structlog.wrap_logger(structlog.ReturnLogger()))

    assert len(own.tokens) == len(GRANTS)
    assert own.attempts.allowed("192.0.2.1") is None
