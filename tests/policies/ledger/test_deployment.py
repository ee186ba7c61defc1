"""Redis as companies run it: one server, a master that sentinels know, a cluster; all of them real."""

from __future__ import annotations

import asyncio
import itertools
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from policies.budgets import Budget
from policies.clock import SystemClock
from policies.decisions import Admitted, Refused
from policies.errors import LedgerRefused, LedgerUnavailable, LedgerUntouched
from policies.ledger.connection import Connection
from policies.ledger.deployment import Cluster, Commands, deployment
from policies.ledger.interface import Admission, Ask
from policies.ledger.redis_ledger import RedisLedger
from policies.units import CALLS, USD, Amounts
from policies.windows import Calendar, FirstUse, Lifetime, Rolling
from proxy.embedded_redis import server_binary
from proxy.tasks import Tasks
from tests.doubles.scripted_redis import ScriptedRedis, is_silent
from tests.doubles.waiting import until

BUDGETS = (
    Budget(name="month", unit=USD, limit=100, window=Calendar("month")),
    Budget(name="rolling", unit=CALLS, limit=100, window=Rolling(3_600_000), each="user"),
    Budget(name="first", unit=USD, limit=100, window=FirstUse(3_600_000)),
    Budget(name="life", unit=USD, limit=100, window=Lifetime()),
)
_numbers = itertools.count()


def free_port() -> int:
    """A port that nobody uses; a cluster's servers talk to each other ten thousand above it."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port < 55_000:
            return port


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server with these arguments, for as long as the block takes."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [server_binary(), *arguments], cwd=folder, stdout=log, stderr=log
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@contextmanager
def a_master(folder: Path, port: int, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    with running(folder, "--port", str(port), "--save", "", *more) as process:
        yield process


@contextmanager
def a_sentinel(folder: Path, port: int, master: int) -> Iterator[None]:
    folder.mkdir(parents=True)
    config = folder / "sentinel.conf"
    config.write_text(
        f"port {port}\nsentinel monitor bursar 127.0.0.1 {master} 1\n"
        "sentinel down-after-milliseconds bursar 300\n"
        "sentinel failover-timeout bursar 2000\n"
    )
    with running(folder, str(config), "--sentinel"):
        yield


@asynccontextmanager
async def deployed(url: str, *, timeout_s: float = 5) -> AsyncIterator[Commands]:
    tasks = Tasks()
    made = deployment(url, timeout_s=timeout_s, spawn=tasks.spawn, clock=SystemClock())
    try:
        yield made
    finally:
        await made.close()
        await tasks.close()


async def opened(commands: Commands) -> None:
    """Open it, as soon as it can be."""

    async def opens() -> bool:
        try:
            await commands.open()
        except LedgerUnavailable:
            return False
        return True

    await until(opens)


def said(port: int, *words: str) -> str:
    """What a server answers to a command of plain words; nothing while it does not answer."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2) as link:
        link.sendall(" ".join(words).encode() + b"\r\n")
        return link.recv(65_536).decode()
    return ""


async def money_is_counted(commands: Commands) -> None:
    """Insist that a call's money lives its whole life here."""
    ledger = RedisLedger(commands, f"acme {next(_numbers)}", SystemClock())
    await ledger.synchronise()
    asks = [Ask(budget=budget, subject="alice", held=60, bound=60) for budget in BUDGETS]

    decision = await ledger.reserve("call_a", asks, data="{}", admission=Admission.DECIDE)
    refused = await ledger.reserve("call_b", asks, data="{}", admission=Admission.DECIDE)
    assert isinstance(decision, Admitted)
    assert isinstance(refused, Refused)
    await ledger.note_generation("call_a", ["gen-1"])
    assert await ledger.extend(["call_a"]) == 1
    assert await ledger.overdue(10) == []
    await ledger.settle(decision.reservation, Amounts(nano_usd=5), outcome="{}")
    await ledger.receipt(decision.reservation, Amounts(nano_usd=7), outcome="{}")

    standings = await ledger.standings(asks)
    assert [standing.spent for standing in standings] == [7, 1, 7, 7]
    assert await ledger.subjects(BUDGETS[1]) == ["alice"]
    assert await ledger.journal_once("prices", "m", "v1", kind="price_changed", data="{}")
    record = await ledger.find("call_a")
    assert record is not None
    assert record.generation_ids == ("gen-1",)
    kinds = [entry.kind for entry in await ledger.journal()]
    assert kinds == ["admitted", "refused", "settle", "receipt", "price_changed"]


async def scripts_may_be_flushed(commands: Commands, forget: Callable[[], object]) -> None:
    """Insist that nobody notices when a server forgets its scripts."""
    await money_is_counted(commands)
    forget()
    await money_is_counted(commands)


# One server…


async def test_one_server_counts(tmp_path: Path) -> None:
    port = free_port()
    with a_master(tmp_path, port):
        async with deployed(f"redis://127.0.0.1:{port}") as commands:
            assert not commands.connected
            await opened(commands)
            assert commands.connected
            await scripts_may_be_flushed(commands, lambda: said(port, "SCRIPT", "FLUSH"))


async def test_a_server_may_want_a_password_and_have_databases(tmp_path: Path) -> None:
    port = free_port()
    with a_master(tmp_path, port, "--requirepass", "s3cret/@"):
        async with deployed(f"redis://:s3cret%2F%40@127.0.0.1:{port}/3") as commands:
            await opened(commands)
            await money_is_counted(commands)
        async with deployed(f"redis://:wrong@127.0.0.1:{port}") as commands:
            with pytest.raises(LedgerRefused, match="WRONGPASS"):
                await commands.open()


def test_a_url_that_names_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="not a Redis URL"):
        deployment("http://localhost", timeout_s=1, spawn=Tasks().spawn, clock=SystemClock())


# Sentinel…


@dataclass
class Watched:
    """Ports of a sentinel, of the master that it knows, and of a replica."""

    sentinel: int
    master: int
    replica: int
    kill_master: Callable[[], None]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("sentinel")
    sentinel, master, replica = free_port(), free_port(), free_port()
    with ExitStack() as servers:
        at_once = ("--repl-diskless-sync-delay", "0")
        process = servers.enter_context(a_master(folder / "master", master, *at_once))
        following = ("--replicaof", f"127.0.0.1 {master}")
        servers.enter_context(a_master(folder / "replica", replica, *following))
        # A sentinel asks its master for replicas at once, and then every ten seconds.
        asyncio.run(_has(master, "state=online"))
        servers.enter_context(a_sentinel(folder / "sentinel", sentinel, master))
        asyncio.run(until(lambda: "slaves=1" in said(sentinel, "INFO", "sentinel")))
        yield Watched(sentinel, master, replica, process.kill)


async def test_the_master_that_a_sentinel_knows_counts(watched: Watched) -> None:
    async with deployed(f"redis+sentinel://127.0.0.1:{watched.sentinel}/bursar") as commands:
        assert isinstance(commands, Connection)
        await opened(commands)
        await scripts_may_be_flushed(commands, lambda: said(watched.master, "SCRIPT", "FLUSH"))


async def test_one_sentinel_that_answers_is_enough(watched: Watched) -> None:
    hosts = f"127.0.0.1:{free_port()},127.0.0.1:{watched.sentinel}"

    async with deployed(f"redis+sentinel://{hosts}/bursar/2", timeout_s=1) as commands:
        await commands.open()
        await money_is_counted(commands)


async def test_money_is_not_counted_on_a_replica(watched: Watched) -> None:
    await _has(watched.replica, "role:slave")

    async with deployed(f"redis://127.0.0.1:{watched.replica}") as commands:
        with pytest.raises(LedgerUnavailable, match="replica"):
            await commands.open()
        assert not commands.connected


async def test_a_name_that_no_sentinel_knows_is_said(watched: Watched) -> None:

    async with deployed(f"redis+sentinel://127.0.0.1:{watched.sentinel}/another") as commands:
        with pytest.raises(LedgerUnavailable, match="name no master"):
            await commands.open()


async def test_sentinels_that_do_not_answer_are_not_waited_for() -> None:
    silent = ScriptedRedis(is_silent)
    async with (
        silent.running(),
        deployed(f"redis+sentinel://127.0.0.1:{silent.port}", timeout_s=0.2) as commands,
    ):
        with pytest.raises(LedgerUnavailable, match="name no master"):
            await commands.open()


async def test_a_silent_sentinel_leaves_time_for_the_others(watched: Watched) -> None:
    silent = ScriptedRedis(is_silent)
    async with silent.running():
        hosts = f"127.0.0.1:{silent.port},127.0.0.1:{watched.sentinel}"
        async with deployed(f"redis+sentinel://{hosts}/bursar", timeout_s=0.6) as commands:
            await commands.open()
            assert commands.connected


async def test_after_a_failover_the_new_master_counts(watched: Watched) -> None:
    """The last of these tests: the master is gone then."""
    async with deployed(f"redis+sentinel://127.0.0.1:{watched.sentinel}/bursar") as commands:
        await opened(commands)
        await money_is_counted(commands)

        watched.kill_master()
        await until(lambda: not commands.connected)
        with pytest.raises(LedgerUntouched):
            await commands.execute("PING")
        await until(lambda: commands.connected)

        assert "role:master" in said(watched.replica, "INFO", "replication")
        await money_is_counted(commands)


async def _has(port: int, text: str) -> None:
    await until(lambda: text in said(port, "INFO", "replication"))


# Cluster…


@pytest.fixture(scope="module")
def clustered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a cluster's only server, which has not all slots yet."""
    folder, port = tmp_path_factory.mktemp("cluster"), free_port()
    with a_master(folder, port, "--cluster-enabled", "yes"):
        yield port


@pytest.fixture
async def cluster(clustered: int) -> AsyncIterator[Commands]:
    await until(lambda: "PONG" in said(clustered, "PING"))
    said(clustered, "CLUSTER", "ADDSLOTSRANGE", "0", "16383")
    await until(lambda: "cluster_state:ok" in said(clustered, "CLUSTER", "INFO"))
    async with deployed(f"redis+cluster://127.0.0.1:{clustered}") as commands:
        yield commands


async def test_a_cluster_counts(cluster: Commands, clustered: int) -> None:
    assert isinstance(cluster, Cluster)
    assert not cluster.connected
    await cluster.open()
    assert cluster.connected

    await scripts_may_be_flushed(cluster, lambda: said(clustered, "SCRIPT", "FLUSH"))


async def test_replies_of_a_cluster_are_those_of_a_single_server(
    cluster: Commands, redis_url: str
) -> None:
    commands: list[tuple[str, ...]] = [
        ("DEL", "{r}h", "{r}s", "{r}x", "{r}n"),
        ("SET", "{r}n", "1", "EX", "60"),
        ("GET", "{r}n"),
        ("GET", "{r}nothing"),
        ("INCR", "{r}n"),
        ("TTL", "{r}nothing"),
        ("HSET", "{r}h", "a", "1"),
        ("HGETALL", "{r}h"),
        ("HMGET", "{r}h", "a", "b"),
        ("SADD", "{r}s", "m"),
        ("SMEMBERS", "{r}s"),
        ("XADD", "{r}x", "1-1", "a", "1"),
        ("XRANGE", "{r}x", "-", "+", "COUNT", "5"),
        ("XREAD", "STREAMS", "{r}x", "0"),
        ("ZADD", "{r}z", "1", "a"),
        ("ZRANGEBYSCORE", "{r}z", "-inf", "+inf"),
    ]
    async with deployed(redis_url) as single:
        await single.open()
        expected = [await single.execute(*command) for command in commands]

        assert [await cluster.execute(*command) for command in commands] == expected


async def test_everything_of_one_organisation_lies_in_one_slot(
    cluster: Commands, clustered: int
) -> None:
    await cluster.open()
    keys = RedisLedger(cluster, "acme: {x}", SystemClock()).keys
    counter = keys.counter("month::2026-11")
    names = [
        keys.journal,
        keys.deadlines,
        keys.callers,
        keys.callers_version,
        keys.topic("prices"),
        keys.call("call_a"),
        counter,
    ]

    slots = {said(clustered, "CLUSTER", "KEYSLOT", f'"{name}"') for name in names}

    assert len(slots) == 1


async def test_a_refusal_of_a_cluster_has_its_code(cluster: Commands) -> None:
    await cluster.execute("SET", "{e}n", "text")

    with pytest.raises(LedgerRefused, match="WRONGTYPE"):
        await cluster.execute("HGET", "{e}n", "a")
    with pytest.raises(LedgerRefused, match="NOSCRIPT"):
        await cluster.execute("EVALSHA", "0" * 40, 1, "{e}n")


async def test_a_cluster_that_cannot_be_reached_is_said(tmp_path: Path) -> None:
    async with deployed(f"redis+cluster://127.0.0.1:{free_port()}", timeout_s=0.2) as commands:
        with pytest.raises(LedgerUnavailable, match="cannot be reached"):
            await commands.open()
        assert not commands.connected


async def test_a_cluster_that_does_not_answer_is_not_waited_for() -> None:
    silent = ScriptedRedis(is_silent)
    async with (
        silent.running(),
        deployed(f"redis+cluster://127.0.0.1:{silent.port}", timeout_s=0.1) as commands,
    ):
        with pytest.raises(LedgerUnavailable, match="cannot be reached"):
            await commands.open()


async def test_a_server_that_is_no_cluster_is_said(tmp_path: Path) -> None:
    port = free_port()
    with a_master(tmp_path, port):
        await until(lambda: "PONG" in said(port, "PING"))
        async with deployed(f"redis+cluster://127.0.0.1:{port}") as commands:
            with pytest.raises(LedgerUnavailable):
                await commands.open()


async def test_a_cluster_that_does_not_serve_now_did_nothing(
    cluster: Commands, clustered: int
) -> None:
    await cluster.open()
    said(clustered, "CONFIG", "SET", "maxmemory", "1")
    try:
        with pytest.raises(LedgerUntouched, match="OOM"):
            await cluster.execute("SET", "{o}n", "x")
    finally:
        said(clustered, "CONFIG", "SET", "maxmemory", "0")

    assert await cluster.execute("SET", "{o}n", "x") == b"OK"
