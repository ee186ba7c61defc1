"""Scans of the simulated provider's history, over HTTP, come to its bill to the nano-dollar."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from policies.ledger.connection import Connection
from policies.ledger.keys import Keys
from proxy.providers.connection import Upstream
from proxy.providers.interface import Target
from proxy.receipts.history.groups import final_of
from proxy.receipts.history.pages import HistoryReader, Refused
from proxy.receipts.history.scan import Scan, Scanned
from proxy.receipts.history.shelf import Shelf, Taken
from proxy.receipts.receipt import Final
from proxy.simulator.server import Simulator
from tests.proxy.receipts.history.fake_history import NOON_MS, Configured, raw
from tests.proxy.simulator.conversation import VENICE, VENICE_ADMIN, Conversation, HandClock

HOUR_MS = 3_600_000
SETTLE_MS = 60_000
MODEL = "zai-org-glm-5-1"
PURCHASE = raw(NOON_MS, None, "10", sku="credit-purchase")

everywhere = pytest.mark.parametrize("billing", ["auto", "usage", "usage-history"])
in_any_form = pytest.mark.parametrize("form", ["json", "csv"])


class CountedUpstream(Upstream):
    """Counts requests, and lets time pass before the next ones."""

    def __init__(self, hands: HandClock) -> None:
        super().__init__(connect_timeout_s=10, idle_timeout_s=10)
        self.hands = hands
        self.urls: list[str] = []
        self.pauses_s: list[float] = []

    async def send(
        self, target: Target, headers: list[tuple[str, str]], body: bytes | None
    ) -> aiohttp.ClientResponse:
        self.urls.append(str(target.url))
        if self.pauses_s:
            self.hands.advance(self.pauses_s.pop(0))
        return await super().send(target, headers, body)


@dataclass
class World:
    """The simulated provider, someone who calls it, and the shelf that it is scanned to."""

    hands: HandClock
    simulator: Simulator
    talk: Conversation
    upstream: CountedUpstream
    shelf: Shelf
    ids: list[str] = field(default_factory=list)

    @property
    def now_ms(self) -> int:
        return int(self.hands() * 1_000)

    def scan(self, billing: Any = "auto", form: Any = "json", key: str = VENICE_ADMIN) -> Scan:
        settings = Configured(base_url=f"{self.talk.url}/venice/api", billing_key=key)
        reader = HistoryReader(
            self.upstream, settings, form=form, timeout_ms=30_000, settle_ms=SETTLE_MS
        )
        return Scan(reader, self.shelf, billing=billing, overlap_ms=HOUR_MS)

    async def scanned(self, *options: Any) -> Scanned:
        found = await self.scan(*options).run_once(self.now_ms)
        assert isinstance(found, Scanned), found
        assert found.stopped is None
        return found

    async def call(self, count: int = 1) -> None:
        for _ in range(count):
            answer = await self.talk.chat(MODEL, key=VENICE)
            self.ids.append(answer.document["id"])
            self.hands.advance(1)

    async def take(self, request_id: str, at_ms: int) -> Final:
        taken = await self.shelf.take(f"call of {request_id}", [request_id], SETTLE_MS, at_ms)
        assert isinstance(taken, Taken), taken
        receipt = final_of(taken.group)
        assert isinstance(receipt, Final), receipt
        return receipt

    async def check(self) -> None:
        """Check that each call is billed with what the simulator says."""
        for request_id, call in zip(self.ids, self.simulator.calls, strict=True):
            receipt = await self.take(request_id, self.now_ms + SETTLE_MS)
            assert receipt.nano_usd == call.billed_nano_usd
            assert receipt.currency == call.currency
            if call.currency != "USD":
                assert receipt.credits == {call.currency: call.billed_nano_usd}
            assert receipt.usage is not None
            assert receipt.usage.input_tokens == call.usage.prompt
            assert receipt.usage.output_tokens == call.usage.completion


@pytest.fixture
async def world(connection: Connection, organization: str) -> AsyncIterator[World]:
    hands = HandClock(NOON_MS / 1_000)
    simulator = Simulator(clock=hands)
    url = f"http://127.0.0.1:{await simulator.start('127.0.0.1', 0)}"
    upstream = CountedUpstream(hands)
    await upstream.open()
    async with aiohttp.ClientSession() as session:
        talk = Conversation(session, url)
        shelf = Shelf(connection, Keys(organization), "venice")
        yield World(hands, simulator, talk, upstream, shelf)
    await upstream.close()
    await simulator.stop()


@everywhere
@in_any_form
async def test_every_call_is_billed_with_what_the_provider_billed(
    world: World, billing: Any, form: Any
) -> None:
    currencies = ("USD", "DIEM", "BUNDLED_CREDITS", "EARNED_CREDITS", "VCU")
    for number, currency in enumerate(currencies):
        world.simulator.add_scenario(
            times=4,
            currency=currency,
            billed_factor=f"1.44000{number}7",
            usage={"input": 1_234, "cache_read": 11, "output": 97, "web_searches": number},
        )
    await world.call(20)
    world.hands.advance(120)

    found = await world.scanned(billing, form)

    assert found.endpoint == ("usage" if billing == "auto" else billing)
    assert found.counts == {"rows": 20 * 3 + 16}
    await world.check()


@everywhere
@in_any_form
async def test_many_pages_are_read(world: World, billing: Any, form: Any) -> None:
    rows = [
        raw(NOON_MS - 1_300 + number, f"chatcmpl-other-{number // 3}", "-0.25", sku=str(number))
        for number in range(1_300)
    ]
    world.simulator.add_scenario(ledger_rows=[_plain(row) for row in rows])
    await world.call(3)
    world.hands.advance(120)

    found = await world.scanned(billing, form)

    assert found.counts["rows"] == 1_300 + 6
    assert len(world.upstream.urls) == (2 if billing == "usage-history" else 3)
    await world.check()
    for number in (0, 166, 333, 432):
        receipt = await world.take(f"chatcmpl-other-{number}", world.now_ms + SETTLE_MS)
        assert receipt.nano_usd == 750_000_000


@in_any_form
async def test_a_cursor_that_expires_while_it_is_used(world: World, form: Any) -> None:
    rows = [raw(NOON_MS - 1_500 + number, f"chatcmpl-{number}") for number in range(1_500)]
    world.simulator.add_scenario(
        ledger_rows=[_plain(row) for row in rows], cursor_expires_after_s=5
    )
    world.upstream.pauses_s = [0, 6]

    found = await world.scanned("usage-history", form)

    assert found.new_rows == 1_500
    assert len(world.upstream.urls) == 4


@in_any_form
async def test_the_old_endpoint_goes_away_between_two_scans(world: World, form: Any) -> None:
    await world.call(3)
    world.hands.advance(120)
    assert (await world.scanned("auto", form)).endpoint == "usage"

    world.simulator.add_scenario(billing_usage_gone=True)
    await world.call(3)
    world.hands.advance(120)
    found = await world.scanned("auto", form)

    assert (found.endpoint, found.new_rows) == ("usage-history", 6)
    await world.check()


@everywhere
async def test_rows_that_come_late_are_found(world: World, billing: Any) -> None:
    world.simulator.add_scenario(billed_after_s=2_400, times=2)
    await world.call(4)
    for _ in range(12):
        world.hands.advance(300)
        await world.scanned(billing)

    await world.check()


async def test_a_response_is_found_by_the_chat_id_in_it(world: World) -> None:
    body = {"model": MODEL, "input": "x"}
    answer = (await world.talk.post("/api/v1/responses", body, key=VENICE)).document
    world.hands.advance(120)
    await world.scanned()

    ids = [answer["id"], answer["id"].removeprefix("resp_")]
    taken = await world.shelf.take("call", ids, SETTLE_MS, world.now_ms + SETTLE_MS)

    assert isinstance(taken, Taken)
    receipt = final_of(taken.group)
    assert isinstance(receipt, Final)
    assert receipt.nano_usd == world.simulator.calls[0].billed_nano_usd


@everywhere
async def test_what_went_around_us_is_ghost_spend(world: World, billing: Any) -> None:
    await world.call(10)
    images = [raw(NOON_MS + n, None, "-0.1", sku=f"image-{n}", currency="DIEM") for n in range(3)]
    world.simulator.add_scenario(ledger_rows=[_plain(row) for row in (*images, PURCHASE)])
    world.hands.advance(120)
    await world.scanned(billing)
    ours, around = world.ids[:4], world.ids[4:]
    for request_id in ours:
        await world.take(request_id, world.now_ms + SETTLE_MS)

    ghosts = await world.shelf.unclaimed(HOUR_MS, 100, world.now_ms + HOUR_MS)

    assert sorted(ghost.group.request_id for ghost in ghosts) == sorted(["", "", "", *around])
    receipts = [final_of(ghost.group) for ghost in ghosts]
    billed = sum(call.billed_nano_usd for call in world.simulator.calls[4:])
    total = sum(receipt.nano_usd for receipt in receipts if isinstance(receipt, Final))
    assert total == billed + 300_000_000


@everywhere
async def test_an_inference_key_is_told_to_be_the_wrong_one(world: World, billing: Any) -> None:
    found = await world.scan(billing, "json", VENICE).run_once(world.now_ms)

    assert found == Refused("the billing key was refused: Admin API key required")


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as the simulator takes it: amounts of a quarter are exact in a double, too."""
    return row | {name: float(row[name]) for name in ("units", "amount", "pricePerUnitUsd")}
