"""Where Redis is: addresses by URL, and how to connect to one."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

_P = TypeVar("_P", bound=asyncio.Protocol)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One Redis server."""

    host: str = ""
    port: int = 6379
    #: A Unix socket's path; empty for TCP.
    path: str = ""
    tls: bool = False
    database: int = 0
    username: str | None = None
    password: str | None = None

    async def connect(self, loop: asyncio.AbstractEventLoop, protocol: Callable[[], _P]) -> _P:
        """Open a connection.

        Raises:
            OSError: nobody listens there.
        """
        if self.path:
            _, made = await loop.create_unix_connection(protocol, self.path)
            return made
        context = ssl.create_default_context() if self.tls else None
        _, made = await loop.create_connection(protocol, self.host, self.port, ssl=context)
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What a ledger URL names: one server, the master that sentinels know, or a cluster."""

    kind: str
    #: One server, or the sentinels or cluster nodes to ask first.
    addresses: tuple[Address, ...]
    #: Sentinel: the master's name.
    service: str = ""


def parse_url(url: str) -> Deployment:
    """Return the deployment that a URL names.

    Known are `redis://`, `rediss://` (TLS), `unix:///path`, `redis+sentinel://host,host/service/db`
    and `redis+cluster://host,host`.

    Raises:
        ValueError: the URL is none of these.
    """
    parts = urlsplit(url)
    username = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    if parts.scheme == "unix":
        database = int(parse_qs(parts.query).get("db", ["0"])[0])
        path = unquote(parts.path)
        address = Address(path=path, database=database, username=username, password=password)
        return Deployment(kind="one", addresses=(address,))
    scheme, _, kind = parts.scheme.partition("+")
    if scheme not in ("redis", "rediss") or kind not in ("", "sentinel", "cluster"):
        message = (
            f"'{url.rsplit('@', maxsplit=1)[-1]}' is not a Redis URL: use redis://, rediss://, unix://, "
            "redis+sentinel:// or redis+cluster://"
        )
        raise ValueError(message)
    hosts = parts.netloc.rpartition("@")[2].split(",")
    segments = [segment for segment in parts.path.split("/") if segment]
    service = segments.pop(0) if kind == "sentinel" and segments else ""
    addresses = tuple(
        Address(
            host=host,
            port=port,
            tls=scheme == "rediss",
            database=int(segments[0]) if segments else 0,
            username=username,
            password=password,
        )
        for host, port in map(_host_and_port, hosts)
    )
    return Deployment(kind=kind or "one", addresses=addresses, service=service)


def _host_and_port(text: str) -> tuple[str, int]:
    """Return both of `host`, `host:port` or `[IPv6]:port`; what is left out is what Redis has."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, "6379"
    return host.strip("[]") or "localhost", int(port)
