"""Health and numbers: open to everybody, and nothing secret in them."""

from __future__ import annotations

from tests.proxy.admin.conftest import Plane


async def test_a_process_that_answers_is_healthy(plane: Plane) -> None:
    plane.ledger_away = True

    assert await plane.ask("/healthz", token=None) == (200, {"status": "ok"})


async def test_it_is_ready_when_nothing_stands_against_it(plane: Plane) -> None:
    assert await plane.ask("/readyz", token=None) == (200, {"status": "ready"})


async def test_everything_that_stands_against_it_is_said(plane: Plane) -> None:
    plane.ledger_away = True
    plane.obstacles = ["no provider is configured"]

    status, body = await plane.ask("/readyz", token=None)

    assert status == 503
    assert body["reasons"] == ["no provider is configured", "the ledger does not answer"]


async def test_numbers_need_no_token(plane: Plane) -> None:
    async with plane.client.get("/metrics") as answer:
        assert answer.status == 200
        assert answer.content_type == "text/plain"
        assert await answer.text() == "bursar_numbers 1\n"
