"""Receipts over the admin API."""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web
from pytest_aiohttp import AiohttpClient

from proxy.admin.access import Access
from proxy.admin.asked import admit, routes
from proxy.admin.operations import Handler
from proxy.admin.receipts import Receipts
from tests.proxy.admin.conftest import FakeReceipts, Plane


async def test_every_provider_is_a_row(plane: Plane) -> None:
    status, body = await plane.ask("/admin/v1/receipts")

    assert status == 200
    (row,) = body["items"]
    assert (row["provider"], row["waiting"], row["due"], row["receipted"]) == ("sim", 3, 1, 5)
    assert row["ghost_spend"]["amount"] == {"nano_usd": 0, "usd": "0"}
    assert body["cursor"] is None


async def test_a_viewer_of_a_team_is_not_told_what_others_spend(plane: Plane) -> None:
    status, body = await plane.ask("/admin/v1/receipts", token="red-watcher")

    assert (status, body["error"]["code"]) == (403, "other_teams")


async def test_a_viewer_of_all_teams_is(plane: Plane) -> None:
    status, _ = await plane.ask("/admin/v1/receipts", token="watcher")

    assert status == 200


async def test_a_run_says_what_came_of_the_calls(plane: Plane) -> None:
    status, body = await plane.ask("/admin/v1/receipts/run", method="POST")

    assert (status, body) == (200, {"results": {"booked": 2, "pending": 1}, "finished": True})


async def test_a_run_is_journalled(plane: Plane) -> None:
    await plane.ask("/admin/v1/receipts/run", method="POST")

    (act,) = await plane.acts("receipts_run")
    assert (act["actor"], act["from"]) == ("token 4813494d", "127.0.0.1")


async def test_a_run_ends_in_time_with_what_it_has_come_to(
    plane: Plane, aiohttp_client: AiohttpClient
) -> None:
    receipts = FakeReceipts()
    receipts.hangs = True
    services = replace(plane.services, receipts=receipts)

    @web.middleware
    async def let_in(request: web.Request, handler: Handler) -> web.StreamResponse:
        admit(request, Access(role="admin", teams=frozenset(), actor="root"))
        return await handler(request)

    application = web.Application(middlewares=[let_in])
    operations = Receipts(services, run_s=0.01).operations()
    application.add_routes(routes(operations, services.clock))
    client = await aiohttp_client(application)

    async with client.post("/admin/v1/receipts/run") as answer:
        body = await answer.json()

    assert body == {"results": {"booked": 1}, "finished": False}
