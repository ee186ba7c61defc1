"""Calls around the proxy and calls that timed out, at the simulated provider: all found, to the nano."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from email.utils import formatdate

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from policies.clock import utc
from policies.ledger.connection import Connection
from policies.ledger.interface import Admission, Ask, Due, Tally
from policies.ledger.keys import Keys
from policies.ledger.redis_ledger import RedisLedger
from policies.reservations import Reservation
from policies.rulebook import Rulebook
from policies.units import Amounts
from proxy.billing_settings import ReceiptSettings
from proxy.providers.connection import Upstream
from proxy.receipts.account_totals import AccountTotals, Compared
from proxy.receipts.accounts import Account
from proxy.receipts.adapters.agipower_totals import AgiPowerTotals
from proxy.receipts.billed_hours import BilledHours, day_text
from proxy.receipts.ghosts import Ghost, Ghosts
from proxy.receipts.undecided_calls import UndecidedCalls
from proxy.simulator.keys import key_id
from proxy.simulator.server import Simulator
from tests.doubles.fake_clock import FakeClock
from tests.proxy.receipts.adapters.configured import Configured
from tests.proxy.receipts.totals_world import DAY_MS, HOUR_MS, MINUTE_MS, Told
from tests.proxy.simulator.conversation import (
    CHAT,
    MANAGEMENT,
    MESSAGES,
    PAYG,
    SUBSCRIPTION,
    Conversation,
)

OTHER = "sk-ai-v1-other"
CHANGE = {"usage": {"input": 1_001, "output": 333}, "billed_factor": "1.44"}


@dataclass
class World:
    """The simulated provider, a ledger in front of it, and whoever calls either."""

    clock: FakeClock
    simulator: Simulator
    talk: Conversation
    upstream: Upstream
    connection: Connection
    ledger: RedisLedger
    organization: str
    own_key: str = PAYG
    key_ids: frozenset[str] = frozenset()
    reserved: int = 0

    def __post_init__(self) -> None:
        self.keys = Keys(self.organization)
        budget = Rulebook().unattributed
        self.budget = budget
        self.ghosts = Ghosts(self.ledger, self.connection, self.keys, lambda: budget)

    def hours(self) -> BilledHours:
        configured = Configured(
            base_url=self.talk.url, api_key=self.own_key, management_key=MANAGEMENT
        )
        return BilledHours(
            AgiPowerTotals(configured),
            self.upstream,
            self.connection,
            self.keys,
            account="agi",
            ghost_after_ms=HOUR_MS,
            timeout_ms=30_000,
            now_ms=self.ledger.now_ms,
        )

    def replica(self) -> AccountTotals:
        return AccountTotals(
            Account(name="agi", providers=("agi",), key_ids=self.key_ids),
            hours=self.hours(),
            undecided_ms=UndecidedCalls(self.connection, self.keys, ["agi"]).oldest_ms,
            ghosts=self.ghosts,
            commands=self.connection,
            keys=self.keys,
            settings=ReceiptSettings(),
            observer=Told(),
        )

    async def poll(self) -> Sequence[Ghost]:
        """Let two replicas compare, one after the other and both at once; return what is new."""
        await self.connection.execute("DEL", self.keys.claim("totals:agi"))
        outcomes = list(await asyncio.gather(*(self.replica().run_once() for _ in range(2))))
        await self.connection.execute("DEL", self.keys.claim("totals:agi"))
        outcomes.append(await self.replica().run_once())
        compared = [each for each in outcomes if isinstance(each, Compared)]
        assert len(compared) == 2
        return [ghost for each in compared for ghost in each.booked]

    async def around(self, key: str = PAYG) -> int:
        """Call the provider directly; return what that was billed."""
        assert (await self.talk.chat(key=key)).status == 200
        return self.simulator.calls[-1].billed_nano_usd

    async def begin(self) -> Reservation:
        """Have a call reserved."""
        call_id, self.reserved = f"call_{self.reserved}", self.reserved + 1
        await self.ledger.reserve(
            call_id, [], data='{"provider":"agi"}', admission=Admission.DECIDE
        )
        record = await self.ledger.find(call_id)
        assert record is not None
        return record.reservation

    async def settle(self, reservation: Reservation) -> None:
        due = Due(queue="agi", after_ms=180_000)
        await self.ledger.settle(reservation, Amounts(nano_usd=1), outcome="{}", due=due)

    async def call(self) -> int:
        """Make a call through the ledger, and book its receipt; return what it was billed."""
        reservation = await self.begin()
        nano_usd = await self.around(self.own_key)
        await self.settle(reservation)
        at = utc(reservation.at_ms)
        counts = ((f"@{at:%H%M}|billed", nano_usd), (f"@{at:%H%M}|calls", 1))
        await self.ledger.receipt(
            reservation,
            Amounts(nano_usd=nano_usd),
            outcome="{}",
            queue="agi",
            tally=Tally(provider="agi", name=f"sums:{at:%Y-%m-%d}", counts=counts),
        )
        return nano_usd

    async def timed_out(self) -> tuple[Reservation, int]:
        """Make a call whose answer is given up at its first bytes; return what it was billed."""
        reservation = await self.begin()
        body = {"model": "acme/mini", "messages": MESSAGES, "stream": True}
        headers = {"authorization": f"Bearer {self.own_key}"}
        url = self.talk.url + CHAT
        async with self.talk.session.post(url, json=body, headers=headers) as answer:
            await answer.content.readany()
            answer.close()
        await self.settle(reservation)
        return reservation, self.simulator.calls[-1].billed_nano_usd

    async def give_up(self, reservation: Reservation) -> None:
        await self.ledger.give_up(reservation, outcome="{}", queue="agi")

    async def spent(self) -> int:
        ask = Ask(budget=self.budget, subject="", held=0, bound=0)
        return (await self.ledger.standings([ask]))[0].spent


@pytest.fixture
async def world(
    clock: FakeClock, connection: Connection, redis_ledger: RedisLedger, organization: str
) -> AsyncIterator[World]:
    simulator = Simulator(clock=lambda: clock.now_ms() / 1000)

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = await simulator.handler(request)
        if not response.prepared:
            # Its clock is the test's, and so is what its answers say of it.
            response.headers["Date"] = formatdate(clock.now_ms() / 1000, usegmt=True)
        return response

    upstream = Upstream(connect_timeout_s=10, idle_timeout_s=10)
    await upstream.open()
    async with RawTestServer(handler) as server, aiohttp.ClientSession() as session:
        talk = Conversation(session, str(server.make_url("")).rstrip("/"))
        simulator.add_scenario(**CHANGE)
        yield World(clock, simulator, talk, upstream, connection, redis_ledger, organization)
        await upstream.close()
    await simulator.stop()


async def test_ten_calls_around_the_proxy_and_ten_that_timed_out_are_all_found(
    world: World,
) -> None:
    await world.poll()
    world.clock.advance(MINUTE_MS)
    around, lost, ours = [], [], []
    for _ in range(10):
        ours.append(await world.call())
        around.append(await world.around())
        lost.append(await world.timed_out())
        world.clock.advance(7 * MINUTE_MS)
    world.clock.advance(2 * HOUR_MS)
    early = await world.poll()
    for reservation, _ in lost:
        await world.give_up(reservation)
    late = await world.poll()
    again = await world.poll()

    true = sum(around) + sum(nano_usd for _, nano_usd in lost)
    assert early == []
    assert sum(ghost.nano_usd for ghost in late) == true
    assert sum(ghost.calls for ghost in late) == 20
    assert again == []
    assert await world.spent() == true
    assert await world.ghosts.total("agi", 0) == (20, true)
    billed = sum(call.billed_nano_usd for call in world.simulator.calls)
    assert billed == true + sum(ours)


async def test_calls_around_the_proxy_are_found_while_calls_go_on(world: World) -> None:
    await world.poll()
    world.clock.advance(MINUTE_MS)
    true, found = 0, 0
    for number in range(30):
        await world.call()
        if number % 3 == 0:
            true += await world.around()
        world.clock.advance(11 * MINUTE_MS)
        found += sum(ghost.nano_usd for ghost in await world.poll())
        assert found <= true
    world.clock.advance(2 * HOUR_MS)
    found += sum(ghost.nano_usd for ghost in await world.poll())

    assert found == true == await world.spent()
    assert len(await world.ghosts.list("agi", 0, 100)) > 5


async def test_another_key_of_the_account_is_named(world: World) -> None:
    world.key_ids = frozenset({key_id(PAYG)})
    await world.poll()
    world.clock.advance(MINUTE_MS)
    await world.call()
    other = await world.around(OTHER)
    lost, nano_usd = await world.timed_out()
    await world.give_up(lost)
    world.clock.advance(2 * HOUR_MS)

    booked = await world.poll()

    assert [(ghost.detail["key"], ghost.nano_usd, ghost.calls) for ghost in booked] == [
        (key_id(PAYG), nano_usd, 1),
        (key_id(OTHER), other, 1),
    ]
    assert booked[0].detail["model"] == "acme/mini"


async def test_extra_usage_of_a_subscription_is_shown_and_is_no_ghost(world: World) -> None:
    world.own_key = SUBSCRIPTION
    quota = {"quota_5_hour": {"max_flows": "1", "used_flows": "1"}}
    world.simulator.add_scenario(quota=quota, extra_usage=True)
    await world.poll()
    world.clock.advance(MINUTE_MS)
    lost, extra = await world.timed_out()
    await world.give_up(lost)
    around = await world.around(PAYG)
    at_ms = world.clock.now_ms()
    world.clock.advance(2 * HOUR_MS)

    booked = await world.poll()

    assert world.simulator.calls[0].bill_type == "fallbackMetered"
    assert [ghost.nano_usd for ghost in booked] == [around]
    usage = await world.hours().extra_usage(day_text(at_ms // DAY_MS))
    assert usage == {"acme/mini": (extra, 1)}


async def test_a_subscription_that_is_not_used_up_costs_nothing(world: World) -> None:
    world.own_key = SUBSCRIPTION
    await world.poll()
    world.clock.advance(MINUTE_MS)
    lost, _ = await world.timed_out()
    await world.give_up(lost)
    world.clock.advance(2 * HOUR_MS)

    assert await world.poll() == []
    assert world.simulator.calls[0].bill_type == "subscription"


async def test_a_simulator_that_limits_its_endpoint_is_asked_later(world: World) -> None:
    await world.poll()
    world.clock.advance(MINUTE_MS)
    true = await world.around()
    world.clock.advance(2 * HOUR_MS)
    path = "/api/v1/management/cost?query_dimension=BIZ_HOUR&query_time=2026112313"
    while (await world.talk.get(path, key=MANAGEMENT)).status != 429:
        pass
    await world.connection.execute("DEL", world.keys.claim("totals:agi"))
    outcome = await world.replica().run_once()
    world.clock.advance(MINUTE_MS)

    booked = await world.poll()

    assert isinstance(outcome, Compared)
    assert outcome.stopped is not None
    assert outcome.booked == ()
    assert [ghost.nano_usd for ghost in booked] == [true]
