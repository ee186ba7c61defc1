"""Where Redis is, by URL: every form that is known, and that others are refused without their password."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from policies.ledger.address import Address, Deployment, parse_url


def one(url: str) -> Address:
    found = parse_url(url)
    assert (found.kind, found.service) == ("one", "")
    (address,) = found.addresses
    return address


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://localhost", Address(host="localhost")),
        ("redis://localhost:6380/2", Address(host="localhost", port=6380, database=2)),
        ("redis://", Address(host="localhost")),
        ("redis://:6380", Address(host="localhost", port=6380)),
        ("redis://[::1]", Address(host="::1")),
        ("redis://[2001:db8::1]:6380", Address(host="2001:db8::1", port=6380)),
        ("rediss://redis.acme.test", Address(host="redis.acme.test", tls=True)),
        (
            "redis://bursar:s%40cret%2F@h:1/0",
            Address(host="h", port=1, username="bursar", password="s@cret/"),
        ),
        ("redis://:secret@h", Address(host="h", password="secret")),
        ("unix:///run/redis.sock", Address(path="/run/redis.sock")),
        ("unix:///run/c%23%20%3F/r.sock?db=3", Address(path="/run/c# ?/r.sock", database=3)),
        (
            "unix://bursar:secret@/r.sock",
            Address(path="/r.sock", username="bursar", password="secret"),
        ),
    ],
)
def test_one_server(url: str, address: Address) -> None:
    assert one(url) == address


def test_sentinels_and_the_name_of_their_master() -> None:
    found = parse_url("redis+sentinel://bursar:secret@a,b:26380,[::1]:26381/main/2")

    more = {"database": 2, "username": "bursar", "password": "secret"}
    assert found == Deployment(
        kind="sentinel",
        service="main",
        addresses=(
            Address(host="a", port=6379, **more),  # type: ignore[arg-type]  # Of several types.
            Address(host="b", port=26380, **more),  # type: ignore[arg-type]  # The same.
            Address(host="::1", port=26381, **more),  # type: ignore[arg-type]  # The same.
        ),
    )


def test_sentinels_need_not_name_their_master() -> None:
    assert parse_url("redis+sentinel://a").service == ""


def test_a_cluster_by_some_of_its_nodes() -> None:
    found = parse_url("rediss+cluster://:secret@a:1,b:2")

    assert found.kind == "cluster"
    assert [(a.host, a.port, a.tls, a.password) for a in found.addresses] == [
        ("a", 1, True, "secret"),
        ("b", 2, True, "secret"),
    ]


@pytest.mark.parametrize(
    "url",
    [
        "http://bursar:secret@host",
        "redis+other://bursar:secret@host",
        "postgresql://bursar:secret@host/db",
        "bursar:secret@host",
        "",
    ],
)
def test_other_urls_are_refused_and_their_password_is_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="not a Redis URL") as refused:
        parse_url(url)

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["redis://host:port", "redis://host/name", "unix:///r.sock?db=x"])
def test_numbers_are_numbers(url: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        parse_url(url)


class Listener(asyncio.Protocol):
    """A protocol that does nothing."""


async def test_a_socket_in_the_file_system_is_connected_to(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    path = str(tmp_path / "r.sock")
    server = await loop.create_unix_server(Listener, path)

    made = await Address(path=path).connect(loop, Client)

    assert made.connected
    await made.close()
    server.close()
    await server.wait_closed()


async def test_tls_is_spoken_and_the_certificate_is_checked() -> None:
    loop = asyncio.get_running_loop()
    greeted: asyncio.Future[bytes] = loop.create_future()

    class Server(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            greeted.set_result(data)
            self.transport.close()

    server = await loop.create_server(Server, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    with pytest.raises((ssl.SSLError, ConnectionError)):
        await Address(host="127.0.0.1", port=port, tls=True).connect(loop, Client)

    assert (await greeted)[:1] == b"\x16"  # A TLS handshake.
    server.close()
    await server.wait_closed()


class Client(asyncio.Protocol):
    """A protocol that knows whether it is connected."""

    def __init__(self) -> None:
        self.connected = False
        self._closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.connected = True
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self._closed.set_result(None)

    async def close(self) -> None:
        self._transport.close()
        await self._closed
