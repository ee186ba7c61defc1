"""Redis as it is deployed: one server, the master that sentinels know, or a cluster, all by URL."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final, Protocol

from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError, ResponseError

from policies.clock import Clock
from policies.errors import LedgerRefused, LedgerUnavailable, LedgerUntouched
from policies.ledger.address import Address, Deployment, parse_url
from policies.ledger.connection import NOT_NOW, Connection, Reply, Spawn
from policies.ledger.scripts import NAMES, script

# What redis-py asks for itself.
_INTERNAL: Final = ("CLUSTER", "COMMAND")


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
    first, service = found.addresses[0], found.service or "mymaster"
    # They are asked one after the other, all within the time that a connection has: one that is gone
    # or silent must leave some for the others, and is not tried twice.
    each_s = timeout_s / (len(found.addresses) + 1)
    sentinel = Sentinel(  # type: ignore[no-untyped-call]  # redis-py has no types here.
        [(address.host, address.port) for address in found.addresses],
        sentinel_kwargs={
            "socket_timeout": each_s,
            "socket_connect_timeout": each_s,
            "retry": Retry(NoBackoff(), 0),
        },
    )
    try:
        host, port = await sentinel.discover_master(service)
    except RedisError as error:
        raise LedgerUnavailable(f"the sentinels name no master '{service}'") from error
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
            # Replies as our own connection gives them: RESP2, and not made into something else. What
            # redis-py asks for itself, to know the slots, stays as it wants it.
            protocol=2,
        )
        callbacks = self._client.response_callbacks
        for name in [name for name in callbacks if not name.upper().startswith(_INTERNAL)]:
            del callbacks[name]
        self._timeout_s = timeout_s
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
            # redis-py looks for the slot's new owner and tries again, however long that takes.
            async with asyncio.timeout(self._timeout_s):
                reply = await self._client.execute_command(*command)
        except ResponseError as error:
            # redis-py takes the code off the message.
            text = f"{error.status_code} {error}" if error.status_code else str(error)
            if text.startswith(NOT_NOW):
                raise LedgerUntouched(f"Redis cannot serve now: {text}") from error
            raise LedgerRefused(text) from error
        except (RedisError, RedisClusterException, OSError, TimeoutError) as error:
            self._connected = False
            reason = str(error) or "no answer in time"
            raise LedgerUnavailable(f"the Redis Cluster cannot be reached: {reason}") from error
        self._connected = True
        return reply
