"""Messages reach a real webhook, are tried again, and are given up after a day."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from policies.ledger.connection import Connection
from policies.ledger.redis_ledger import RedisLedger
from proxy.alerts.alert import Alert, Topic
from proxy.alerts.delivery import RETRY_MS_MAX, RETRY_MS_MIN, Delivery, Receiver
from proxy.alerts.outbox import Outbox
from proxy.alerts.webhooks import headers_of
from proxy.providers.connection import Upstream
from tests.doubles.fake_clock import FakeClock

LOW = Alert(topic=Topic.WALLET_LOW, name="sim|balance", text="low")
SECRET = "whsec_a2V5a2V5a2V5"
DAY_MS = 86_400_000


class Hook:
    """A webhook, and what it was sent."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.got: list[tuple[dict[str, str], bytes]] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)


class Seen:
    """What operators were told."""

    def __init__(self) -> None:
        self.results: list[str] = []
        self.given_up: list[str] = []

    def alert_sent(self, topic: str, result: str) -> None:
        assert topic == "wallet_low"
        self.results.append(result)

    def alert_not_delivered(self, topic: str, receiver: str, reason: str) -> None:
        self.given_up.append(reason)


class Rig:
    """A delivery to one webhook."""

    def __init__(self, hook: Hook, ledger: RedisLedger, clock: FakeClock) -> None:
        self.hook, self.ledger, self.clock = hook, ledger, clock
        self.seen = Seen()
        self.notes: list[tuple[str, Any]] = []
        self.outbox: Outbox
        self.upstream: Upstream
        self.url = ""

    async def note(self, kind: str, data: str) -> None:
        self.notes.append((kind, json.loads(data)))

    def delivery(self, *receivers: Receiver) -> Delivery:
        return Delivery(
            self.outbox,
            receivers,
            self.upstream,
            organization="acme",
            now_ms=self.ledger.now_ms,
            give_up_after_ms=DAY_MS,
            note=self.note,
            observer=self.seen,
        )

    async def pass_time(self, milliseconds: int) -> None:
        self.clock.advance(milliseconds)
        assert self.ledger.now_ms()


@pytest.fixture
async def rig(
    connection: Connection, redis_ledger: RedisLedger, clock: FakeClock
) -> AsyncIterator[Rig]:
    made = Rig(Hook(), redis_ledger, clock)
    made.outbox = Outbox(connection, redis_ledger.keys, redis_ledger.now_ms)
    made.upstream = Upstream(connect_timeout_s=2, idle_timeout_s=2)
    application = web.Application()
    application.router.add_post("/hook", made.hook.handle)
    server = TestServer(application)
    await server.start_server()
    await made.upstream.open()
    made.url = str(server.make_url("/hook"))
    yield made
    await made.upstream.close()
    await server.close()


async def test_what_arrives_is_signed_and_sent_once(rig: Rig) -> None:
    delivery = rig.delivery(Receiver(url=rig.url, secret=SECRET))
    await rig.outbox.tell(LOW, delivery.receivers)

    await delivery.deliver()
    await delivery.deliver()

    ((headers, body),) = rig.hook.got
    (signature,) = [v for k, v in headers.items() if k.lower() == "webhook-signature"]
    lower = {name.lower(): value for name, value in headers.items()}
    assert json.loads(body)["data"]["text"] == "low"
    assert lower["content-type"] == "application/json"
    expected = headers_of("unused", body, "", 0)
    assert len(expected) == 4
    assert signature.startswith("v1,")
    assert rig.seen.results == ["delivered"]


async def test_a_webhook_that_fails_is_tried_again_and_knows_it_by_the_id(rig: Rig) -> None:
    delivery = rig.delivery(Receiver(url=rig.url))
    rig.hook.statuses = [500, 302, 204]
    await rig.outbox.tell(LOW, delivery.receivers)

    for pause_ms in (0, RETRY_MS_MIN, 2 * RETRY_MS_MIN, RETRY_MS_MAX):
        await rig.pass_time(pause_ms)
        await delivery.deliver()

    assert rig.seen.results == ["failed", "failed", "delivered"]
    ids = {next(v for k, v in h.items() if k.lower() == "webhook-id") for h, _ in rig.hook.got}
    assert len(ids) == 1
    assert await rig.outbox.waiting() == 0


async def test_a_webhook_that_is_away_holds_up_no_other(rig: Rig) -> None:
    gone = Receiver(url="http://127.0.0.1:1/hook")
    delivery = rig.delivery(gone, Receiver(url=rig.url))
    await rig.outbox.tell(LOW, delivery.receivers)

    await delivery.deliver()

    assert sorted(rig.seen.results) == ["delivered", "failed"]
    assert await rig.outbox.waiting() == 1


async def test_after_a_day_it_is_given_up_and_the_journal_says_so(rig: Rig) -> None:
    delivery = rig.delivery(Receiver(url=rig.url))
    rig.hook.statuses = [503] * 100
    await rig.outbox.tell(LOW, delivery.receivers)
    await delivery.deliver()

    await rig.pass_time(DAY_MS)
    await delivery.deliver()

    assert rig.seen.results == ["failed", "given_up"]
    assert rig.seen.given_up == ["the webhook answered 503"]
    ((kind, data),) = rig.notes
    assert kind == "alert_undelivered"
    assert data["reason"] == "the webhook answered 503"
    assert await rig.outbox.waiting() == 0


async def test_a_webhook_that_is_not_configured_any_more_gets_nothing(rig: Rig) -> None:
    await rig.outbox.tell(LOW, rig.delivery(Receiver(url=rig.url)).receivers)

    await rig.delivery().deliver()

    assert rig.hook.got == []
    assert rig.seen.results == ["given_up"]
