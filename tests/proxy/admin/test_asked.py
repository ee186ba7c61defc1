"""What a request asks, read by what its operation declares."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from pytest_aiohttp import AiohttpClient

from proxy.admin.access import Access
from proxy.admin.asked import access_of, admit, body_of, check_sees_all, query_of, routes
from proxy.admin.calls import CallsQuery
from proxy.admin.operations import Handler, Operation
from proxy.admin.queries import NoQuery
from proxy.admin.replies import Refused
from proxy.admin.schemas import KeyRequest, KeyRow, RotationRequest
from tests.doubles.fake_clock import FakeClock

RED = Access(role="viewer", teams=frozenset({"red"}))
Serve = Callable[..., Awaitable[TestClient[Any, Any]]]


@pytest.fixture
def serve(aiohttp_client: AiohttpClient, clock: FakeClock) -> Serve:
    """Serve one operation; whoever was let in is `access`, and what is raised is told."""

    async def made(
        tell: Handler, *, access: Access | None = RED, **fields: Any
    ) -> TestClient[Any, Any]:
        @web.middleware
        async def let_in(request: web.Request, handler: Handler) -> web.StreamResponse:
            if access is not None:
                admit(request, access)
            try:
                return await handler(request)
            except (Refused, KeyError, TypeError) as error:
                return web.Response(text=f"{type(error).__name__}: {error}")

        told = {"method": "POST", "path": "/x/{id}", "name": "x", "says": "X.", "answer": KeyRow}
        operation = Operation(**{**told, "handler": tell, **fields})
        application = web.Application(middlewares=[let_in])
        application.add_routes(routes([operation], clock))
        return await aiohttp_client(application)

    return made


async def said(client: TestClient[Any, Any], path: str = "/x/1", **sent: Any) -> str:
    async with client.post(path, **sent) as answer:
        return await answer.text()


async def tell_who(request: web.Request) -> web.Response:
    return web.Response(text=access_of(request).role)


async def test_a_handler_knows_who_asks(serve: Serve) -> None:
    assert await said(await serve(tell_who)) == "viewer"


async def test_nobody_whom_the_door_has_not_seen_gets_through(serve: Serve) -> None:
    assert (await said(await serve(tell_who, access=None))).startswith("KeyError")


async def test_what_is_open_needs_no_door(serve: Serve) -> None:
    async def tell(request: web.Request) -> web.Response:
        return web.Response(text="open")

    assert await said(await serve(tell, access=None, open=True)) == "open"


async def test_what_is_about_all_teams_is_not_told_to_one(serve: Serve) -> None:
    assert (await said(await serve(tell_who, for_all_teams=True))).startswith("Refused: this tells")
    check_sees_all(Access(role="viewer", teams=frozenset()))


async def test_a_query_is_read_by_the_declared_model(serve: Serve) -> None:
    async def tell(request: web.Request) -> web.Response:
        return web.Response(text=str(query_of(request, CallsQuery).team))

    declared = await serve(tell, query=CallsQuery)
    other = await serve(tell, query=NoQuery)

    assert await said(declared, "/x/1?team=red") == "red"
    assert await said(other) == "TypeError: the operation declares another query than CallsQuery"


async def test_a_body_is_read_by_the_declared_model(serve: Serve) -> None:
    async def tell(request: web.Request) -> web.Response:
        return web.Response(text=(await body_of(request, KeyRequest)).team)

    declared = await serve(tell, body=KeyRequest)
    other = await serve(tell, body=RotationRequest)

    assert await said(declared, json={"team": "red"}) == "red"
    assert await said(declared) == "Refused: team is missing: add it"
    assert await said(declared, data=b"\xff{") != "red"
    assert (
        await said(other, json={})
        == "TypeError: the operation declares another body than KeyRequest"
    )


@pytest.mark.parametrize("name", ["%00", "a%0Ab", "x" * 257])
async def test_nothing_has_a_name_that_cannot_be_printed(serve: Serve, name: str) -> None:
    assert await said(await serve(tell_who), f"/x/{name}") == "Refused: nothing has such a name"
