"""A Redis of a test's own, that can be killed, frozen, emptied and told to refuse."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from proxy.embedded_redis import server_binary
from tests.doubles.waiting import until

_REPLY_BYTES_MAX = 1024 * 1024


class ValkeyServer:
    """One server on a Unix socket; what it has answered is on the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The server's address."""
        return f"unix://{self._path}"

    async def start(self) -> None:
        """Start it, with what it knew before, and wait until it answers."""
        self._path.unlink(missing_ok=True)
        self._spawn()
        await until(lambda: self._answers("PING").startswith("+PONG"))

    def _spawn(self) -> None:
        self._process = subprocess.Popen(
            [
                *(server_binary(), "--port", "0", "--unixsocket", str(self._path)),
                *("--dir", str(self._folder), "--save", "", "--daemonize", "no"),
                *("--appendonly", "yes", "--appendfsync", "always", "--loglevel", "warning"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        """End it at once, as a machine ends that loses its power."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def empty(self) -> None:
        """Make the next start begin with nothing."""
        assert self._process is None, "emptied while it runs"
        shutil.rmtree(self._folder / "appendonlydir")

    def freeze(self) -> None:
        """Stop it from running; its socket stays open, and connections to it succeed."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def command(self, *words: str) -> str:
        """Send a command of plain words on a connection of its own; return the raw reply."""
        reply = self._answers(*words)
        assert reply, "no answer"
        assert not reply.startswith("-"), reply
        return reply

    def clients(self) -> int:
        """Return how many connections it has besides the one that asks."""
        return self.command("CLIENT", "LIST").count("id=") - 1

    def _answers(self, *words: str) -> str:
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link,
        ):
            link.settimeout(2)
            link.connect(str(self._path))
            link.sendall(" ".join(words).encode() + b"\r\n")
            return link.recv(_REPLY_BYTES_MAX).decode()
        return ""


@asynccontextmanager
async def valkey_server() -> AsyncIterator[ValkeyServer]:
    """Run a server for as long as the block takes."""
    # A test's own folder has a path too long for a socket.
    folder = Path(tempfile.mkdtemp(prefix="bursar-valkey-"))
    server = ValkeyServer(folder)
    await server.start()
    try:
        yield server
    finally:
        server.thaw()
        server.kill()
        await asyncio.to_thread(shutil.rmtree, folder)
