"""The composition root: what it does at its start, beside the calls, and at its end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from policies.clock import SystemClock
from policies.documents import load
from policies.errors import LedgerUnavailable
from policies.ledger.interface import Ask
from policies.reservations import Operation
from policies.rulebook_text import from_document
from policies.units import Amounts
from proxy import app as applications
from proxy.app import Application
from proxy.gateway.books import replay
from proxy.gateway.watch import Watch
from proxy.gateway.write_ahead import Unbooked, WriteAhead
from proxy.settings import load_settings
from proxy.telemetry.metrics import Metrics
from tests.doubles.calls import reservation_of
from tests.doubles.raw_http import connected, request
from tests.doubles.running import POLICIES, running
from tests.doubles.scripted_redis import ScriptedRedis, is_silent
from tests.doubles.stations import Logs, keeping_log
from tests.doubles.valkey_server import valkey_server
from tests.doubles.waiting import until

BUDGETS = "[{name: month, limit: 1 USD, window: month}]"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applications, "REPLAY_EVERY_S", 0.01)
    monkeypatch.setattr(applications, "KEYS_EVERY_S", 0.01)


@asynccontextmanager
async def started(
    folder: Path,
    ledger_url: str,
    organization: str,
    *,
    provider_url: str = "http://127.0.0.1:9",
    settings: str = "",
) -> AsyncIterator[tuple[Application, Logs]]:
    """An application in front of nobody."""
    (folder / "policies.yaml").write_text(
        POLICIES.format(organization=organization, budgets=BUDGETS)
    )
    (folder / "bursar.yaml").write_text(
        "data_dir: var\npolicies: policies.yaml\n"
        f"providers: {{up: {{kind: agipower, base_url: '{provider_url}', api_key: k}}}}\n{settings}"
    )
    log, logs = keeping_log()
    app = Application(
        load_settings(folder / "bursar.yaml", {}),
        load([folder / "policies.yaml"]),
        ledger_url=ledger_url,
        clock=SystemClock(),
        watch=Watch(Metrics(SystemClock()), log),
    )
    await app.start()
    try:
        yield app, logs
    finally:
        await app.stop()


async def kinds(app: Application) -> list[str]:
    return [entry.kind for entry in await app.ledger.journal(count_max=1_000)]


def month(app: Application, held: int = 0) -> Ask:
    return Ask(budget=app.rulebook.budgets["month"], subject="", held=held, bound=held)


# Starting…


async def test_it_starts_and_is_ready(tmp_path: Path, redis_url: str, organization: str) -> None:
    async with started(tmp_path, redis_url, organization) as (app, logs):
        assert app.ready
        assert not app.busy
        assert (await kinds(app)).count("policies_loaded") == 1
        assert "ledger_unavailable" not in logs.names
    assert not app.ready


async def test_policies_that_are_known_are_not_journalled_again(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with started(tmp_path, redis_url, organization) as (app, _):
        before = await kinds(app)
    async with started(tmp_path, redis_url, organization) as (app, _):
        after = await kinds(app)

    assert before.count("policies_loaded") == after.count("policies_loaded") == 1


async def test_it_starts_without_its_ledger_and_catches_up(
    tmp_path: Path, organization: str
) -> None:
    async with valkey_server() as server:
        server.kill()
        async with started(tmp_path, server.url, organization) as (app, logs):
            assert not app.ready
            assert "ledger_unavailable" in logs.names

            await server.start()
            await until(lambda: app.ready)

            async def caught_up() -> bool:
                return "policies_loaded" in await kinds(app) and app.keys.version >= 0

            await until(caught_up)


async def test_a_provider_that_is_silent_does_not_keep_it_from_starting(
    tmp_path: Path, redis_url: str, organization: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(applications, "PRICES_WAIT_S", 0.01)
    silent = ScriptedRedis(is_silent)
    async with silent.running():
        url = f"http://127.0.0.1:{silent.port}"
        async with started(tmp_path, redis_url, organization, provider_url=url) as (app, _):
            assert app.ready
            assert silent.open == 1


async def test_it_listens_on_as_many_ports_as_it_is_told(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with started(tmp_path, redis_url, organization) as (app, _):
        ports = [await app.listen("127.0.0.1", 0) for _ in range(2)]
        shared = await app.listen("127.0.0.1", 0, shared=True)
        assert await app.listen("127.0.0.1", shared, shared=True) == shared

        for port in (*ports, shared):
            async with connected(f"http://127.0.0.1:{port}") as raw:
                await raw.send(request("/v1/budget", b"", "bsr_wrong", method="GET"))
                assert (await raw.answer()).status == 401


# Books…


def unbooked(app_month: Ask, *, operation: Operation = Operation.SETTLE, **more: Any) -> Unbooked:
    fields: dict[str, Any] = {
        "reservation": reservation_of("call_waits", [app_month], SystemClock().now_ms()),
        "operation": operation,
        "amounts": Amounts(nano_usd=700),
        "outcome": "{}",
        "data": "{}",
        "on_allowance": True,
        **more,
    }
    return Unbooked(**fields)


async def test_what_a_dead_worker_left_is_booked(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with started(tmp_path, redis_url, organization) as (app, _):
        left = month(app, 900)
        gone = replace(left, budget=replace(left.budget, name="gone"))
    dead = WriteAhead(tmp_path / "var" / "write-ahead")
    dead.append(unbooked(left))
    two = reservation_of("call_two", [left, gone], SystemClock().now_ms())
    dead.append(unbooked(left, reservation=two))
    dead.close()
    (tmp_path / "var" / "write-ahead" / "1-strange.wal").write_bytes(b'{"version": 9}\n')

    async with started(tmp_path, redis_url, organization) as (app, logs):
        await until(lambda: not app.busy)

        (standing,) = await app.ledger.standings([month(app)])
        assert (standing.spent, standing.reserved) == (1_400, 0)
        assert logs.names.count("unbooked_settlements_found") == 1
        assert logs.names.count("unbooked_settlements_unreadable") == 1
        assert logs.names.count("settlements_booked_late") == 1


async def test_what_waits_is_booked_as_soon_as_the_ledger_is_back(
    tmp_path: Path, organization: str
) -> None:
    async with (
        valkey_server() as server,
        started(tmp_path, server.url, organization) as (app, _),
    ):
        server.kill()
        await until(lambda: not app.ready)
        app._write_ahead.append(unbooked(month(app, 900)))
        app._allowance.take("call_waits", [], 0)
        assert app.busy

        await server.start()
        await until(lambda: not app.busy)

        (standing,) = await app.ledger.standings([month(app)])
        assert standing.spent == 700


async def test_a_ledger_that_goes_away_in_the_middle_is_waited_for_again(
    tmp_path: Path, redis_url: str, organization: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    async def fails_once(*arguments: Any) -> int:
        tries.append(1)
        if len(tries) == 1:
            raise LedgerUnavailable("gone again")
        return await replay(*arguments)

    monkeypatch.setattr(applications, "replay", fails_once)
    async with started(tmp_path, redis_url, organization) as (app, _):
        app._write_ahead.append(unbooked(month(app, 900)))
        await until(lambda: not app.busy)

        assert len(tries) >= 2


async def test_what_the_ledger_refuses_waits_on_and_the_allowance_with_it(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with started(tmp_path, redis_url, organization) as (app, logs):
        # A record that is no record: every script that touches it fails.
        await app.commands.execute("SET", app.ledger.keys.call("call_waits"), "broken")
        lenient = replace(month(app).budget, when_ledger_down_nano_usd=10**9)
        app._allowance.take("another", [lenient], 500)
        app._allowance.correct("another", 500)

        app._write_ahead.append(unbooked(month(app, 900)))
        await until(lambda: "settlements_booked_late" in logs.names)

        assert app.busy
        assert app._allowance.used_nano_usd == 500
        await app.commands.execute("DEL", app.ledger.keys.call("call_waits"))
        await until(lambda: not app.busy)


async def test_the_allowance_begins_anew_when_nothing_waits_any_more(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with started(tmp_path, redis_url, organization) as (app, _):
        lenient = replace(month(app).budget, when_ledger_down_nano_usd=10**9)
        assert app._allowance.take("call_waits", [lenient], 500)
        app._allowance.correct("call_waits", 500)

        app._write_ahead.append(unbooked(month(app, 900)))
        await until(lambda: not app.busy)
        await until(lambda: app._allowance.used_nano_usd == 0)


# Keys and policies…


async def test_a_key_that_was_made_elsewhere_is_noticed(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with started(tmp_path, redis_url, organization) as (app, _):
        _, secret = await app.key_store.create("red")

        await until(lambda: app.keys.find(secret) is not None)


async def test_other_policies_hold_from_now_on_and_are_journalled(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with started(tmp_path, redis_url, organization) as (app, _):
        other = replace(app.rulebook, budgets={})

        await app.use_rulebook(other)

        assert app.rulebook is other
        loaded = [e for e in await app.ledger.journal() if e.kind == "policies_loaded"]
        said = json.loads(loaded[-1].data)
        assert (said["version"], said["budgets"]) == (other.version, [])
        # A backtest reads them again from there.
        assert from_document(said["document"]).version == other.version


# Stopping…


async def test_calls_in_flight_end_before_it_stops(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        bursar.scenario(first_byte_delay_ms=50)
        calling = asyncio.ensure_future(bursar.chat(max_tokens=10))
        await until(lambda: bool(bursar.simulator.calls))

        stopping = asyncio.ensure_future(bursar.app.stop())
        status, _, _ = await calling
        await stopping

        assert status == 200
        assert not bursar.app.busy


async def test_calls_that_do_not_end_in_time_are_cut_and_charged_as_reserved(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    settings = "gateway: {timeouts: {shutdown: 10ms}}\n"
    async with running(
        tmp_path, redis_url, organization, budgets=BUDGETS, settings=settings
    ) as bursar:
        bursar.scenario(first_byte_delay_ms=60_000)
        calling = asyncio.ensure_future(bursar.chat(max_tokens=10))
        await until(lambda: bool(bursar.app.leases))

        await bursar.app.stop()
        await asyncio.wait([calling])

        assert "calls_cut_at_shutdown" in [event["event"] for event in bursar.logs]
        assert calling.exception() is not None or calling.result()[0] >= 500
    async with started(tmp_path, redis_url, organization) as (app, _):
        (standing,) = await app.ledger.standings([month(app)])
        assert (standing.spent, standing.reserved) == (10_000_000, 0)
