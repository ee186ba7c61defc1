"""A proxy in one process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

from proxy.cli.configuration import Configuration, with_ports
from proxy.cli.listening import PortUnusable
from proxy.cli.serving import Server
from proxy.cli.single import SingleProcess
from proxy.policy_watch import Rejected, Reloaded
from tests.proxy.cli.serving_stories import admin, answers, status_of

LOG = structlog.wrap_logger(structlog.ReturnLogger())


@pytest.fixture
async def server(configuration: Configuration, redis_url: str) -> AsyncIterator[SingleProcess]:
    made = SingleProcess(configuration, redis_url, LOG)
    yield made
    await made.stop()


async def test_both_ports_are_open_from_start_to_stop(server: SingleProcess) -> None:
    addresses = await server.start()

    assert await answers(addresses.gateway)
    assert await status_of(f"{addresses.admin}/readyz") == 200
    await server.stop()
    assert await status_of(f"{addresses.admin}/healthz") == 0
    assert not await answers(addresses.gateway)


async def test_a_reload_is_the_same_by_signal_and_over_the_admin_plane(
    server: SingleProcess, folder: Path
) -> None:
    addresses = await server.start()
    policies = folder / "policies.yaml"
    text = policies.read_text()
    policies.write_text(text.replace("100 USD", "100 UDS"))

    assert isinstance(await server.reload(), Rejected)
    body = await admin(addresses.admin, "/admin/v1/policies/reload", "POST")
    assert body["error"]["code"] == "policy_mistakes"

    policies.write_text(text.replace("100 USD", "200 USD"))
    assert isinstance(await server.reload(), Reloaded)
    shown = await admin(addresses.admin, "/admin/v1/policies")
    assert shown["budgets"][0]["limit"] == "200 USD"


async def test_keys_can_be_made(server: SingleProcess) -> None:
    await server.start()

    record, _ = await server.key_store.create("red")

    assert [each.id for each in await server.key_store.list()] == [record.id]


async def test_without_a_provider_it_is_not_ready(
    configuration: Configuration, redis_url: str
) -> None:
    bare = configuration.settings.model_copy(update={"providers": {}})
    server = SingleProcess(
        Configuration(settings=bare, rulebook=configuration.rulebook, environ={}), redis_url, LOG
    )
    addresses = await server.start()

    assert await status_of(f"{addresses.admin}/healthz") == 200
    assert await status_of(f"{addresses.admin}/readyz") == 503

    await server.stop()


async def test_a_taken_port_stops_the_start(configuration: Configuration, redis_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = with_ports(configuration.settings, None, taken.getsockname()[1])
        server = SingleProcess(
            Configuration(settings=settings, rulebook=configuration.rulebook, environ={}),
            redis_url,
            LOG,
        )

        with pytest.raises(PortUnusable):
            await server.start()

    await server.stop()


async def test_it_is_what_is_served(server: SingleProcess) -> None:
    def takes(given: Server) -> Server:
        return given

    assert takes(server) is server
    server.kill()
    await asyncio.gather(server.start())
