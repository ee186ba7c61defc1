"""The simulator as a server and as an object."""

import aiohttp
import pytest
from aiohttp import web

from proxy.simulator.scenario import UnusableScenario
from proxy.simulator.server import Simulator
from tests.proxy.simulator.conversation import Conversation, HandClock


async def test_a_greeting_is_answered(talk: Conversation) -> None:
    assert (await talk.ask("HEAD", "/")).status == 200


async def test_free_requests_are_counted_and_are_no_calls(talk: Conversation) -> None:
    await talk.get("/v1/models")
    await talk.get("/v1/nothing")

    totals = (await talk.get("/simulator/calls?summary=1")).document["totals"]

    assert totals["calls"] == 0
    assert totals["free_requests"] == {"models": 1, "unknown": 1}


async def test_the_handler_serves_a_foreign_server(clock: HandClock) -> None:
    simulator = Simulator(clock=clock)
    runner = web.ServerRunner(web.Server(simulator.handler))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()

    async with aiohttp.ClientSession() as session:
        reply = await Conversation(session, f"http://127.0.0.1:{runner.addresses[0][1]}").chat()
    await runner.cleanup()

    assert reply.status == 200
    assert [call.status for call in simulator.calls] == [200]


async def test_a_stopped_simulator_can_be_started_again(clock: HandClock) -> None:
    simulator = Simulator(clock=clock)
    for _ in range(2):
        port = await simulator.start("127.0.0.1", 0)
        async with aiohttp.ClientSession() as session:
            await Conversation(session, f"http://127.0.0.1:{port}").chat()
        await simulator.stop()

    await simulator.stop()
    assert len(simulator.calls) == 2


async def test_the_same_seed_gives_the_same_ids(clock: HandClock) -> None:
    ids = []
    for seed in (1, 1, 2):
        simulator = Simulator(clock=clock, random_seed=seed)
        port = await simulator.start("127.0.0.1", 0)
        async with aiohttp.ClientSession() as session:
            reply = await Conversation(session, f"http://127.0.0.1:{port}").chat()
        await simulator.stop()
        ids.append(reply.document["id"])

    assert ids[0] == ids[1] != ids[2]


async def test_scenarios_can_be_added_without_http(
    simulator: Simulator, talk: Conversation
) -> None:
    simulator.add_scenario(status=429, times=2)

    assert (await talk.chat()).status == 429
    assert [scenario.times for scenario in simulator.scenarios] == [1]
    with pytest.raises(UnusableScenario):
        simulator.add_scenario(statsu=1)
