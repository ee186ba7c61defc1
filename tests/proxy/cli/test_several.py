"""A proxy in several processes, as its parent sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

from proxy.cli.configuration import Configuration
from proxy.cli.serving import Server
from proxy.cli.several import SeveralProcesses
from tests.proxy.cli.serving_stories import admin, answers, status_of

LOG = structlog.wrap_logger(structlog.ReturnLogger())


@pytest.fixture
async def server(configuration: Configuration, redis_url: str) -> AsyncIterator[SeveralProcesses]:
    settings = configuration.settings.model_copy(update={"workers": 2})
    made = SeveralProcesses(
        Configuration(settings=settings, rulebook=configuration.rulebook, environ={}),
        redis_url,
        LOG,
    )
    yield made
    made.kill()
    await made.stop()


async def test_its_ports_are_open_from_start_to_stop(
    server: SeveralProcesses, folder: Path
) -> None:
    left = folder / "var" / "metrics" / "worker-9.metrics.json"
    left.parent.mkdir(parents=True)
    left.write_text("{}")

    addresses = await server.start()

    assert await answers(addresses.gateway)
    assert await status_of(f"{addresses.admin}/readyz") == 200
    assert not left.exists(), "numbers of an earlier run"
    await server.stop()
    assert not await answers(addresses.gateway)
    assert await status_of(f"{addresses.admin}/healthz") == 0


async def test_the_admin_plane_is_the_parents(server: SeveralProcesses) -> None:
    addresses = await server.start()

    record, _ = await server.key_store.create("red")
    body = await admin(addresses.admin, "/admin/v1/keys")
    reloaded = await admin(addresses.admin, "/admin/v1/policies/reload", "POST")

    assert [row["id"] for row in body["items"]] == [record.id]
    assert reloaded["changes"] == []


async def test_receipts_and_wallets_are_told_without_a_worker_being_asked(
    server: SeveralProcesses,
) -> None:
    addresses = await server.start()

    receipts = await admin(addresses.admin, "/admin/v1/receipts")
    ran = await admin(addresses.admin, "/admin/v1/receipts/run", "POST")
    wallets = await admin(addresses.admin, "/admin/v1/wallets")

    assert [row["provider"] for row in receipts["items"]] == ["sim"]
    assert ran == {"results": {}, "finished": True}
    assert [row["never"] for row in wallets["items"]] == [
        "no key of it may ask: set management_key"
    ]


async def test_a_ledger_that_is_away_does_not_keep_it_from_starting(
    configuration: Configuration,
) -> None:
    settings = configuration.settings.model_copy(update={"workers": 2})
    server = SeveralProcesses(
        Configuration(settings=settings, rulebook=configuration.rulebook, environ={}),
        "redis://127.0.0.1:9",
        LOG,
    )

    addresses = await server.start()

    assert await status_of(f"{addresses.admin}/healthz") == 200
    assert await status_of(f"{addresses.admin}/readyz") == 503
    await server.stop()


def test_it_is_what_is_served(server: SeveralProcesses) -> None:
    def takes(given: Server) -> Server:
        return given

    assert takes(server) is server
    with pytest.raises(RuntimeError, match="from start to stop"):
        _ = server.key_store
