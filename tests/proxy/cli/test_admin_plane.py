"""The admin plane as it is wired to a proxy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog
from pytest_aiohttp import AiohttpClient

from policies.ledger.connection import Connection
from policies.ledger.redis_ledger import RedisLedger
from proxy.archive.database import database_at
from proxy.cli.admin_plane import admin_plane, admin_services
from proxy.cli.configuration import Configuration
from proxy.cli.ledger_access import LedgerAccess
from proxy.cli.receipt_rows import ReceiptRows
from proxy.key_store import KeyStore
from proxy.policy_watch import Reloaded
from proxy.receipts.desk import Progress
from proxy.receipts.work import Status
from proxy.telemetry.metrics import Metrics
from tests.doubles.fake_clock import FakeClock


class NoWork:
    """No provider tells what it billed."""

    async def status(self) -> list[Status]:
        return []

    async def run_due(self, told: Callable[[str, Progress], None] | None = None) -> dict[str, int]:
        del told
        return {}


async def test_it_has_the_tokens_and_the_obstacles_of_its_proxy(
    configuration: Configuration,
    redis_ledger: RedisLedger,
    connection: Connection,
    clock: FakeClock,
    aiohttp_client: AiohttpClient,
    tmp_path: Path,
) -> None:
    async def reload() -> Reloaded:
        return Reloaded(version="abc", changes=())

    settings = configuration.settings.model_copy(update={"providers": {}})
    access = LedgerAccess(
        commands=connection,
        ledger=redis_ledger,
        key_store=KeyStore(connection, redis_ledger.keys, clock),
        clock=clock,
    )
    services = admin_services(
        settings,
        access=access,
        database=database_at(settings.archive, tmp_path),
        receipts=ReceiptRows(NoWork()),
        metrics=Metrics(clock),
        rulebook=lambda: configuration.rulebook,
        reload=reload,
        obstacles=lambda: ["calls are not taken now"],
    )
    log = structlog.wrap_logger(structlog.ReturnLogger())
    plane = admin_plane(settings, services, access, log)
    client = await aiohttp_client(plane.application)

    headers = {"Authorization": "Bearer letmein"}
    async with client.post("/admin/v1/policies/reload", headers=headers) as answer:
        assert (await answer.json())["version"] == "abc"
    async with client.get("/admin/v1/wallets", headers=headers) as answer:
        assert (await answer.json())["items"] == []
    async with client.get("/readyz") as answer:
        assert (await answer.json())["reasons"] == [
            "calls are not taken now",
            "no provider is configured",
        ]
    async with client.get("/metrics") as answer:
        assert "bursar_workers 1.0" in await answer.text()
    # The dashboard is on the same port, and what is not there has the form of whoever is asked.
    async with client.get("/sign-in") as answer:
        assert "Sign in" in await answer.text()
    async with client.get("/admin/v1/nothing", headers=headers) as answer:
        assert (await answer.json())["error"]["code"] == "not_found"
