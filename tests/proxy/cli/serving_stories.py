"""What a client and an operator do with a proxy that serves: plain HTTP, nothing of its own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.proxy.cli.conftest import Finish

ADMIN = {"Authorization": "Bearer letmein"}


async def new_key(finish: Finish, team: str = "red") -> str:
    """Return the secret of a new key, made beside the proxy that runs."""
    done = await finish("keys", "create", "--team", team)
    assert done.status == 0, done.stderr
    return done.stdout.strip()


def chat(key: str, **more: Any) -> dict[str, Any]:
    """Return what a Chat Completions call is sent with."""
    body = {
        "model": "acme/mini",
        "max_tokens": 20,
        "messages": [{"role": "user", "content": "Hi"}],
        **more,
    }
    return {"json": body, "headers": {"Authorization": f"Bearer {key}"}}


async def call(gateway: str, key: str, **more: Any) -> int:
    """Make one call; return its status."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{gateway}/v1/chat/completions", **chat(key, **more)) as answer,
    ):
        await answer.read()
        return answer.status


@asynccontextmanager
async def slow_stream(gateway: str, key: str) -> AsyncIterator[aiohttp.ClientResponse]:
    """Give a stream of which the first chunk is there, and the rest takes about a second."""
    request = chat(key, stream=True)
    # The gateway passes on what it does not know; the simulated provider does as it says.
    request["headers"]["x-simulator-scenario"] = json.dumps({"chunks": 20, "chunk_delay_ms": 50})
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{gateway}/v1/chat/completions", **request) as answer,
    ):
        assert answer.status == 200
        assert await answer.content.readline()
        yield answer


async def admin(address: str, path: str, method: str = "GET") -> Any:
    """Ask the admin plane; return the decoded body."""
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{address}{path}", headers=ADMIN) as answer,
    ):
        return await answer.json()


async def status_of(url: str) -> int:
    """Return the status of a GET; 0 where nobody answers."""
    try:
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status
    except aiohttp.ClientConnectionError:
        return 0


async def answers(url: str) -> bool:
    """Tell whether anybody answers there, whatever the answer is."""
    return await status_of(f"{url}/") != 0
