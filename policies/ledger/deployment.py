"""Redis as it is deployed: one server, the master that sentinels know, or a cluster, all by URL."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.sentinel import Sentinel
from redis.exceptions import RedisError, ResponseError

from policies.clock import Clock
from policies.errors import LedgerRefused, LedgerUnavailable, LedgerUntouched
from policies.ledger.address import Address, Deployment, parse_url
from policies.ledger.connection import NOT_NOW, Connection, Reply, Spawn
from policies.ledger.scripts import NAMES, script


class Commands(Protocol):
    """A deployment that takes commands, for as long as it is open."""

    @property
    def connected(self) -> bool:
        """Whether commands can be sent now."""
        ...

    async def open(self) -> None:
        """Connect. Raises `LedgerUnavailable`; it goes on trying all the same."""
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...

    def execute(self, *command: bytes | str | int) -> Awaitable[Reply]:
        """Send one command; the answer is awaited."""
        ...


def deployment(url: str, *, timeout_s: float, spawn: Spawn, clock: Clock) -> Commands:
    """Return the deployment that a URL names, not connected yet.

    Raises:
        ValueError: the URL names none.
    """
    found = parse_url(url)
    if found.kind == "cluster":
        return Cluster(found, timeout_s=timeout_s)

    async def one() -> Address:
        return found.addresses[0]

    async def master() -> Address:
        return await _master(found, timeout_s)

    return Connection(
        master if found.kind == "sentinel" else one,
        timeout_s=timeout_s,
        spawn=spawn,
        clock=clock,
        scripts=tuple(script(name).source for name in NAMES),
    )


async def _master(found: Deployment, timeout_s: float) -> Address:
    """Ask the sentinels where the master is; they are asked again after every break."""
    first = found.addresses[0]
    sentinel = Sentinel(  # type: ignore[no-untyped-call]  # redis-py has no types here.
        [(address.host, address.port) for address in found.addresses],
        socket_timeout=timeout_s,
    )
    try:
        host, port = await sentinel.discover_master(found.service or "mymaster")
    except RedisError as error:
        raise LedgerUnavailable(f"the sentinels name no master: {error}") from error
    finally:
        for client in sentinel.sentinels:
            await client.aclose()
    return Address(
        host=host,
        port=port,
        tls=first.tls,
        database=first.database,
        username=first.username,
        password=first.password,
    )


class Cluster:
    """A Redis Cluster, by redis-py: it knows how slots move. One organisation lies in one slot."""

    def __init__(self, found: Deployment, *, timeout_s: float) -> None:
        first = found.addresses[0]
        self._client: RedisCluster = RedisCluster(
            startup_nodes=[ClusterNode(a.host, a.port) for a in found.addresses],
            username=first.username,
            password=first.password,
            ssl=first.tls,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
        )
        self._connected = False

    @property
    def connected(self) -> bool:
        """Whether the last command was answered."""
        return self._connected

    async def open(self) -> None:
        """Find the cluster's nodes."""
        await self.execute("PING")

    async def close(self) -> None:
        """Let go of every connection."""
        await self._client.aclose()

    async def execute(self, *command: bytes | str | int) -> Reply:
        """Send one command to the node that has its key."""
        try:
            reply = await self._client.execute_command(*command)
        except ResponseError as error:
            if str(error).startswith(NOT_NOW):
                raise LedgerUntouched(f"Redis cannot serve now: {error}") from error
            raise LedgerRefused(str(error)) from error
        except (RedisError, OSError, TimeoutError) as error:
            self._connected = False
            raise LedgerUnavailable(f"the Redis Cluster cannot be reached: {error}") from error
        self._connected = True
        return reply
