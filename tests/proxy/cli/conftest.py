"""Fixtures of the command line: folders with a configuration, commands, a simulated provider."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from proxy.cli.configuration import Configuration, configured
from tests.doubles.waiting import until
from tests.proxy.cli.processes import BURSAR, Finished, Running, plain_environ

POLICIES = """
organization: {organization}
teams:
  red: {{models: ["*"], members: [alice, bob], accept: [user]}}
  blue: {{models: ["*mini*"]}}
budgets:
  - {{name: all, limit: 100 USD, window: lifetime}}
  - {{name: red-each, team: red, each: user, limit: 10 USD, window: day}}
  - {{name: blue-calls, team: blue, limit: 5 calls, window: rolling 1h, mode: warn}}
"""
SETTINGS = """
gateway: {{port: 0}}
admin: {{port: 0, tokens: [{{token: letmein, role: admin}}]}}
providers:
  sim: {{kind: agipower, base_url: "{provider}", api_key: sk-ai-v1-test}}
policies: policies.yaml
{more}
"""

Start = Callable[..., Awaitable[Running]]
Finish = Callable[..., Awaitable[Finished]]


@pytest.fixture(scope="session")
def provider_url() -> Iterator[str]:
    """A simulated provider, as the command starts it."""
    process = subprocess.Popen(
        [BURSAR, "simulate-provider", "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        env=plain_environ(),
    )
    assert process.stdout is not None
    yield json.loads(process.stdout.readline())["provider"]
    process.terminate()
    process.stdout.close()
    assert process.wait(10) == 0


def write_folder(folder: Path, organization: str, provider: str, more: str = "") -> Path:
    """Write a configuration and its policies."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "policies.yaml").write_text(POLICIES.format(organization=organization))
    (folder / "bursar.yaml").write_text(SETTINGS.format(provider=provider, more=more))
    return folder


@pytest.fixture
def folder(
    tmp_path: Path, organization: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The working directory, with a configuration on the tests' Redis and no provider behind it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BURSAR_CONFIG", raising=False)
    ledger = f'ledger: {{url: "{redis_url}"}}'
    return write_folder(tmp_path, organization, "http://127.0.0.1:9", ledger)


@pytest.fixture
def configuration(folder: Path) -> Configuration:
    return configured(None)


@pytest.fixture
def served_folder(tmp_path: Path, organization: str, provider_url: str) -> Path:
    """A folder for a proxy with everything real: an embedded Redis, a simulated provider."""
    return write_folder(tmp_path, organization, provider_url)


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts commands in the test's folder; at the end nothing of them may be left."""
    running: list[Running] = []

    async def begin(*arguments: str, **environ: str) -> Running:
        one = await Running.start(*arguments, cwd=tmp_path, environ=plain_environ(**environ))
        running.append(one)
        return one

    yield begin
    await asyncio.gather(*(one.discard() for one in running))
    await until(lambda: not list(tmp_path.rglob("redis.sock")))


@pytest.fixture
async def finish(start: Start) -> Finish:
    """Runs commands to their end."""

    async def run(*arguments: str, **environ: str) -> Finished:
        return await (await start(*arguments, **environ)).finish()

    return run
