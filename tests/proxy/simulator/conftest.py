"""A running simulator, its clock, and someone who talks to it."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from proxy.simulator.server import Simulator
from tests.proxy.simulator.conversation import Conversation, HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def simulator(clock: HandClock) -> AsyncIterator[Simulator]:
    simulator = Simulator(clock=clock)
    yield simulator
    await simulator.stop()


@pytest.fixture
async def url(simulator: Simulator) -> str:
    return f"http://127.0.0.1:{await simulator.start('127.0.0.1', 0)}"


@pytest.fixture
async def talk(url: str) -> AsyncIterator[Conversation]:
    async with aiohttp.ClientSession() as session:
        yield Conversation(session, url)
