"""Starting what is measured as its users do: as processes, on free ports, gone afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy.embedded_redis import socket_path

READY_S = 30.0
_URL = re.compile(rb"http://127\.0\.0\.1:\d+")


@dataclass(frozen=True, slots=True)
class Bursar:
    """A running proxy."""

    url: str
    provider_url: str
    folder: Path
    pid: int

    @property
    def redis_url(self) -> str:
        """Where its embedded Redis is."""
        return f"unix://{socket_path(self.folder / 'var' / 'redis')}"

    def command(self, *words: str) -> dict[str, Any] | list[dict[str, Any]]:
        """Run a `bursar` command against the same configuration; return its JSON."""
        done = subprocess.run(
            [sys.executable, "-m", "proxy", *words, "--json"],
            env=os.environ | {"BURSAR_CONFIG": str(self.folder / "bursar.yaml")},
            check=True,
            capture_output=True,
        )
        document: dict[str, Any] | list[dict[str, Any]] = json.loads(done.stdout)
        return document

    def create_key(self, team: str) -> str:
        """Return a new key of a team."""
        created = self.command("keys", "create", "--team", team)
        assert isinstance(created, dict)
        return str(created["key"])

    def budgets(self) -> list[dict[str, Any]]:
        """Return how every budget stands."""
        found = self.command("budgets")
        return list(found["items"] if isinstance(found, dict) else found)


@asynccontextmanager
async def simulator() -> AsyncIterator[str]:
    """Run a simulated provider; yield its address."""
    async with _process("simulate-provider", "--port", "0") as (url, _):
        yield url


@asynccontextmanager
async def bursar(
    folder: Path,
    provider_url: str,
    policies: str,
    *,
    workers: int = 1,
    settings: str = "",
    provider: str = "kind: agipower, base_url: '{}', api_key: sk-ai-v1-x",
) -> AsyncIterator[Bursar]:
    """Run a proxy in front of a provider, whose address is put into its configuration."""
    (folder / "policies.yaml").write_text(policies)
    (folder / "bursar.yaml").write_text(
        "data_dir: var\npolicies: policies.yaml\n"
        f"providers: {{sim: {{{provider.format(provider_url)}}}}}\n" + settings
    )
    words = ("serve", "--port", "0", "--admin-port", "0", "--workers", str(workers))
    async with _process(*words, "--config", str(folder / "bursar.yaml")) as (url, pid):
        yield Bursar(url, provider_url, folder, pid)


@asynccontextmanager
async def _process(*words: str) -> AsyncIterator[tuple[str, int]]:
    """Run `bursar` with these words; yield the first address that it prints, and its process id."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "proxy", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=None if "-v" in sys.argv else asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_S):
            while (found := _URL.search(line := await process.stdout.readline())) is None:
                if not line:
                    raise RuntimeError(f"bursar {' '.join(words)} ended before it was ready")
        yield found[0].decode(), process.pid
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()
