"""Calls as they come in: told once, to those who may see them, for as long as their session holds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientResponse

from policies.clock import SystemClock
from policies.errors import LedgerUnavailable
from policies.ledger.connection import Connection
from policies.ledger.redis_ledger import RedisLedger
from proxy.archive.database import Database
from proxy.dashboard.live import CLIENTS_MAX, WAITING_MAX, Live, Tail
from proxy.tasks import Tasks
from tests.doubles.waiting import until
from tests.proxy.dashboard.conftest import Enter
from tests.proxy.dashboard.story import HTML, Story, rules
from tests.proxy.dashboard.world import RESEARCHER, Browser, World, make_world

ALICE = ("research", "alice", "key_a")
KIM = ("interns", "kim", "key_k")


class StillClock(SystemClock):
    """The real time, which ids of the journal are made of; a story cannot move it."""

    def advance(self, milliseconds: int) -> None:
        """Time goes by itself."""


@pytest.fixture
def world(connection: Connection, organization: str, database: Database) -> World:
    rulebook = rules(organization)
    clock = StillClock()
    return make_world(
        ledger=RedisLedger(connection, organization, clock),
        commands=connection,
        clock=clock,
        database=database,
        rulebook=lambda: rulebook,
    )


@pytest.fixture
def story(world: World) -> Story:
    return Story(world.ledger, StillClock(), world.services.rulebook())  # type: ignore[arg-type]  # It does not move.


def live_of(world: World) -> Live:
    """Return the part of a dashboard that tells of calls."""
    (live,) = (part for part in world.dashboard._parts if isinstance(part, Live))
    return live


class Events:
    """What a browser hears."""

    def __init__(self, answer: ClientResponse) -> None:
        self.answer = answer
        self.heard: list[tuple[str, Any]] = []

    async def next(self) -> tuple[str, Any]:
        """Return the next event; `end of file` when there is none any more."""
        kind, data = "", ""
        async for raw in self.answer.content:
            line = raw.decode().rstrip("\n")
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                data = line.removeprefix("data: ")
            elif not line and kind:
                return kind, json.loads(data)
        return "end of file", None

    async def call(self, call_id: str) -> Any:
        """Return what is said of one call, at last."""
        async with asyncio.timeout(20):
            while True:
                kind, data = await self.next()
                assert kind == "call"
                if data["id"] == call_id:
                    return data


@pytest.fixture
async def follow() -> AsyncIterator[Any]:
    answers = []

    async def begin(browser: Browser, query: str = "") -> Events:
        answer = await browser.client.get(f"/calls/live{query}", allow_redirects=False)
        answers.append(answer)
        events = Events(answer)
        if answer.status == 200:
            assert await events.next() == ("ready", {})
        return events

    yield begin
    for answer in answers:
        answer.close()


async def test_a_call_is_told_with_what_its_row_shows(
    browser: Browser, world: World, story: Story, follow: Any
) -> None:
    await browser.sign_in()
    events = await follow(browser)

    _, call = await story.one(caller=(HTML, None, "k"), model="openai/gpt-5-mini", ends=False)
    said = await events.call(call.call_id)

    assert events.answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert events.answer.headers["Cache-Control"] == "no-store"
    assert (said["team"], said["model"], said["state"]) == (HTML, "openai/gpt-5-mini", "reserved")
    assert said["address"] == f"/calls/{call.call_id}"
    assert said["quoted"].startswith("$")
    assert said["settled"] == "–"


async def test_a_viewer_of_a_team_hears_of_its_calls_alone(
    new_browser: Enter, story: Story, follow: Any
) -> None:
    viewer = await new_browser()
    await viewer.sign_in(RESEARCHER)
    events = await follow(viewer)

    await story.one(caller=KIM, ends=False)
    _, own = await story.one(caller=ALICE, ends=False)

    assert (await events.next())[1]["id"] == own.call_id


async def test_what_is_followed_is_what_was_asked_for(
    browser: Browser, story: Story, follow: Any
) -> None:
    await browser.sign_in()
    events = await follow(browser, "?team=research&model=*gpt*")

    await story.one(caller=KIM, model="openai/gpt-5-mini", ends=False)
    await story.one(caller=ALICE, model="google/gemini-3-pro", ends=False)
    _, wanted = await story.one(caller=ALICE, model="openai/gpt-5-mini", ends=False)

    assert (await events.next())[1]["id"] == wanted.call_id


async def test_following_ends_with_the_session(browser: Browser, story: Story, follow: Any) -> None:
    await browser.sign_in()
    events = await follow(browser)
    await browser.send("/", "/sign-out", {})

    await story.one(caller=ALICE, ends=False)

    assert await events.next() == ("end", {})
    assert (await events.next())[0] == "end of file"


async def test_whoever_is_not_signed_in_follows_nothing(browser: Browser, follow: Any) -> None:
    assert (await follow(browser)).answer.status == 303


async def test_a_filter_that_makes_no_sense_is_refused(browser: Browser, follow: Any) -> None:
    await browser.sign_in()

    assert (await follow(browser, "?state=odd")).answer.status == 400


async def test_only_so_many_follow_and_who_leaves_makes_room(
    browser: Browser, world: World, follow: Any, story: Story
) -> None:
    await browser.sign_in()
    tail = world.dashboard._tail
    others = [tail.follow() for _ in range(CLIENTS_MAX - 1)]
    last = await follow(browser)

    assert (await follow(browser)).answer.status == 503

    last.answer.close()

    async def left() -> bool:
        await story.one(caller=ALICE, ends=False)
        return len(tail) < CLIENTS_MAX

    await until(left)
    for other in others:
        tail.leave(other)


async def test_a_connection_on_which_nothing_happens_is_kept_alive(
    browser: Browser, world: World, follow: Any
) -> None:
    live_of(world)._heartbeat_s = 0.01
    await browser.sign_in()
    events = await follow(browser)

    assert await events.answer.content.readline() == b": still here\n"


async def test_everybody_is_let_go_when_the_plane_stops(
    browser: Browser, world: World, follow: Any
) -> None:
    await browser.sign_in()
    events = await follow(browser)

    await world.dashboard._tail.close()

    assert (await events.next())[0] == "end of file"


async def test_nobody_looks_while_nobody_follows(world: World, story: Story) -> None:
    tasks = Tasks()
    tail = Tail(world.ledger, tasks, every_s=0.001)

    queue = tail.follow()
    assert len(tasks) == 1
    _, call = await story.one(caller=ALICE, ends=False)
    rows = await queue.get()
    tail.leave(queue)
    await until(lambda: len(tasks) == 0)

    assert rows is not None
    assert [row.id for row in rows] == [call.call_id]


async def test_whoever_does_not_listen_is_let_go(world: World, story: Story) -> None:
    tasks = Tasks()
    tail = Tail(world.ledger, tasks, every_s=0.001)
    queue = tail.follow()

    async def let_go() -> bool:
        await story.one(caller=ALICE, ends=False)
        return len(tail) == 0

    await until(let_go)

    assert queue.qsize() <= WAITING_MAX
    assert queue.get_nowait() is None
    await tasks.close()


async def test_a_ledger_that_is_away_for_a_while_is_asked_again(world: World, story: Story) -> None:
    class Flaky:
        """Fails a few times."""

        failures = 3

        def __getattr__(self, name: str) -> Any:
            return getattr(world.ledger, name)

        async def journal(self, **asked: Any) -> Any:
            if self.failures:
                self.failures -= 1
                raise LedgerUnavailable("away")
            return await world.ledger.journal(**asked)

    tasks = Tasks()
    tail = Tail(Flaky(), tasks, every_s=0.001)
    queue = tail.follow()

    _, call = await story.one(caller=ALICE, ends=False)
    async with asyncio.timeout(20):
        rows = await queue.get()

    assert rows is not None
    assert rows[-1].id == call.call_id
    await tail.close()


async def test_a_fault_lets_everybody_go_so_that_they_come_again(world: World) -> None:
    class Broken:
        """Fails in a way that nobody foresaw."""

        def now_ms(self) -> int:
            return world.ledger.now_ms()

        async def journal(self, **asked: Any) -> Any:
            raise RuntimeError(str(asked))

    faults: list[BaseException] = []
    tasks = Tasks(faults.append)
    tail = Tail(Broken(), tasks, every_s=0.001)  # type: ignore[arg-type]  # As much of a ledger as is asked.
    queue = tail.follow()

    assert await queue.get() is None
    await until(lambda: len(tasks) == 0)
    assert [type(fault) for fault in faults] == [RuntimeError]
    assert len(tail) == 0


async def test_nothing_is_told_while_nobody_knows_whether_the_session_holds(
    browser: Browser, world: World, story: Story, follow: Any
) -> None:
    class Away:
        """Sessions that cannot be found for a while."""

        def __init__(self, sessions: Any) -> None:
            self.sessions = sessions
            self.away = True
            self.asked = 0

        async def find(self, *given: Any, **named: Any) -> Any:
            if self.away:
                self.asked += 1
                raise LedgerUnavailable("away")
            return await self.sessions.find(*given, **named)

    await browser.sign_in()
    events = await follow(browser)
    live = live_of(world)
    sessions = Away(live._sessions)
    live._sessions = sessions  # type: ignore[assignment]  # As much of them as is asked.

    await story.one(caller=ALICE, ends=False)
    await until(lambda: sessions.asked > 0)
    sessions.away = False
    _, later = await story.one(caller=ALICE, ends=False)

    assert (await events.next())[1]["id"] == later.call_id
