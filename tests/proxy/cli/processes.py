"""`bursar` as a child process: its lines as they come, its end, and that nothing is left of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BURSAR = str(Path(sys.executable).parent / "bursar")
DEADLINE_S = 30.0


def plain_environ(**more: str) -> dict[str, str]:
    """Return an environment without anybody's keys, in which coverage still measures."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in {"PATH", "HOME", "LANG", "TMPDIR"} or name.startswith("COVERAGE")
    }
    kept["PATH"] = f"{Path(sys.executable).parent}:{kept.get('PATH', '')}"
    return kept | more


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str


@dataclass(slots=True)
class Running:
    """A command that runs."""

    process: asyncio.subprocess.Process
    errors: list[str] = field(default_factory=list)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)
    _reader: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls, *arguments: str, cwd: Path, environ: Mapping[str, str] | None = None
    ) -> Running:
        process = await asyncio.create_subprocess_exec(
            BURSAR,
            *arguments,
            cwd=cwd,
            env=dict(environ) if environ is not None else plain_environ(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        running = cls(process)
        running._reader = asyncio.create_task(running._read_errors())
        return running

    @property
    def pid(self) -> int:
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def line(self) -> str:
        """Return the next line of standard output."""
        assert self.process.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            raw = await self.process.stdout.readline()
        assert raw, f"it ended without a word: {self.errors}"
        return raw.decode().rstrip()

    async def facts(self) -> dict[str, Any]:
        """Return what `--json` says at the start."""
        found: dict[str, Any] = json.loads(await self.line())
        return found

    async def logged(self, *words: str) -> str:
        """Return the first line of standard error that has all words, waiting for it."""

        def find() -> str | None:
            return next((one for one in self.errors if all(w in one for w in words)), None)

        async with asyncio.timeout(DEADLINE_S), self._news:
            await self._news.wait_for(lambda: find() is not None)
        return find() or ""

    async def finish(self) -> Finished:
        """Wait for its end."""
        assert self.process.stdout is not None
        assert self._reader is not None
        async with asyncio.timeout(DEADLINE_S):
            stdout = await self.process.stdout.read()
            await self._reader
            status = await self.process.wait()
        return Finished(status, stdout.decode(), "\n".join(self.errors))

    async def stop(self) -> Finished:
        """Ask it to end, as a service manager does."""
        self.signal(signal.SIGTERM)
        return await self.finish()

    async def discard(self) -> None:
        """See that it is gone, whatever a test did to it."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.finish()

    async def _read_errors(self) -> None:
        assert self.process.stderr is not None
        while raw := await self.process.stderr.readline():
            async with self._news:
                self.errors.append(raw.decode().rstrip())
                self._news.notify_all()


def alive(process: int) -> bool:
    """Tell whether a process runs; one that only waits to be buried does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        if sys.platform == "linux":
            return False
    else:
        return state != "Z"
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False
