"""`bursar simulate-provider`: the simulated provider as a process."""

from __future__ import annotations

import socket

import aiohttp

from proxy.cli.simulate_provider import new_simulator
from tests.proxy.cli.conftest import Finish, Start
from tests.proxy.cli.serving_stories import status_of


async def test_it_answers_until_it_is_stopped(start: Start) -> None:
    provider = await start("simulate-provider", "--port", "0")

    label, url = (await provider.line()).split()

    assert label == "provider"
    assert await status_of(f"{url}/api/v1/models") == 200
    assert (await provider.stop()).status == 0
    assert await status_of(f"{url}/api/v1/models") == 0


async def test_a_taken_port_is_one_clear_line(finish: Finish) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        done = await finish("simulate-provider", "--port", str(port))

    assert done.status == 1
    assert done.stderr.startswith(f"bursar: port {port} on 127.0.0.1 is taken")


async def test_no_two_providers_give_the_same_ids() -> None:
    ids = set()
    for _ in range(2):
        simulator = new_simulator()
        port = await simulator.start("127.0.0.1", 0)
        body = {"model": "acme/mini", "messages": [{"role": "user", "content": "Hi"}]}
        headers = {"Authorization": "Bearer sk-ai-v1-x"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(f"http://127.0.0.1:{port}/api/v1/chat/completions", json=body) as answer,
        ):
            ids.add((await answer.json())["id"])
        await simulator.stop()

    assert len(ids) == 2
