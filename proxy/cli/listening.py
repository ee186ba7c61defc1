"""Ports: found taken before anything is started, and held for several workers."""

from __future__ import annotations

import errno
import socket
from typing import Final

from policies.errors import BursarError

_WHY: Final = {
    errno.EADDRINUSE: "is taken: stop what uses it, or choose another one",
    errno.EACCES: "may not be used by this user: choose one from 1024 on",
    errno.EADDRNOTAVAIL: "cannot be had: this machine does not have that address",
}
_EVERYWHERE: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - Compared with, not bound to.


class PortUnusable(BursarError):
    """A port that was asked for cannot be had."""


def address_text(host: str, port: int) -> str:
    """Return host and port as they stand in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def url(host: str, port: int) -> str:
    """Return where a port is reached from this machine."""
    return f"http://{address_text('127.0.0.1' if host in _EVERYWHERE else host, port)}"


def free_port(host: str, port: int) -> int:
    """Return a port that can be had: this one, or any for 0.

    Raises:
        PortUnusable: it cannot; the message says why.
    """
    with _bound(host, port, shared=False) as found:
        return int(found.getsockname()[1])


def hold(host: str, port: int) -> socket.socket:
    """Return a socket that keeps a port for workers who share it, without taking calls itself.

    Raises:
        PortUnusable: the port cannot be had.
    """
    # Sharing would also work with another user's workers: first make sure that nobody listens.
    first = _bound(host, port, shared=False)
    port = first.getsockname()[1]
    first.close()
    return _bound(host, port, shared=True)


def _bound(host: str, port: int, *, shared: bool) -> socket.socket:
    made = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(address)
    except OSError as error:
        if made is not None:
            made.close()
        raise unusable(host, port, error) from error
    return made


def unusable(host: str, port: int, error: OSError) -> PortUnusable:
    """Return what it means that a port could not be had."""
    why = _WHY.get(error.errno or 0, f"cannot be had: {error.strerror or error}")
    return PortUnusable(f"port {port} on {host or 'all interfaces'} {why}")
