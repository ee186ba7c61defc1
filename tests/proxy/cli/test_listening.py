"""Ports: whether they can be had, and what is said when they cannot."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

import pytest

from proxy.cli.listening import PortUnusable, free_port, hold, unusable, url

HOST = "127.0.0.1"


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


def test_a_free_port_is_found() -> None:
    port = free_port(HOST, 0)

    assert port > 0
    assert free_port(HOST, port) == port


def test_a_taken_port_is_said_in_one_line(taken: int) -> None:
    with pytest.raises(PortUnusable, match=f"^port {taken} on 127.0.0.1 is taken: stop what uses"):
        free_port(HOST, taken)


def test_a_held_port_is_shared_with_workers_and_with_nobody_else() -> None:
    with hold(HOST, 0) as held, socket.socket() as worker:
        port = held.getsockname()[1]
        worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        worker.bind((HOST, port))
        worker.listen()

        with pytest.raises(PortUnusable):
            hold(HOST, port)
        with socket.create_connection((HOST, port)):
            pass


def test_a_port_of_another_machine_cannot_be_had() -> None:
    with pytest.raises(PortUnusable, match="this machine does not have that address"):
        free_port("192.0.2.1", 0)


def test_a_host_without_an_address_cannot_be_had() -> None:
    with pytest.raises(PortUnusable, match="cannot be had"):
        free_port("no-such-host.invalid", 0)


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.EACCES, "choose one from 1024 on"), (errno.EIO, "cannot be had: Input/output error")],
)
def test_what_is_wrong_is_said(number: int, said: str) -> None:
    assert said in str(unusable("", 80, OSError(number, "Input/output error")))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "http://127.0.0.1:1"),
        ("0.0.0.0", "http://127.0.0.1:1"),
        ("::1", "http://[::1]:1"),
        ("example.org", "http://example.org:1"),
    ],
)
def test_an_address_can_be_opened_from_here(host: str, expected: str) -> None:
    assert url(host, 1) == expected
