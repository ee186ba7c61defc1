"""What was told is told once, by however many replicas; what is to be sent outlives all of them."""

from __future__ import annotations

import asyncio

import pytest

from policies.ledger.connection import Connection
from policies.ledger.redis_ledger import RedisLedger
from proxy.alerts.alert import Alert, Topic
from proxy.alerts.outbox import Outbox
from tests.doubles.fake_clock import FakeClock

LOW = Alert(topic=Topic.WALLET_LOW, name="sim|balance", text="low", facts={"remaining": 5})


@pytest.fixture
def outbox(connection: Connection, redis_ledger: RedisLedger) -> Outbox:
    return Outbox(connection, redis_ledger.keys, redis_ledger.now_ms)


async def kinds(ledger: RedisLedger) -> list[str]:
    return [entry.kind for entry in await ledger.journal()]


async def test_an_alert_is_told_once_by_many_replicas(
    outbox: Outbox, connection: Connection, redis_ledger: RedisLedger
) -> None:
    others = [Outbox(connection, redis_ledger.keys, redis_ledger.now_ms) for _ in range(4)]

    told = await asyncio.gather(*(each.tell(LOW, ["a", "b"]) for each in [outbox, *others]))

    assert sum(told) == 1
    assert await kinds(redis_ledger) == ["alert"]
    assert [message.receiver for message in await outbox.due(10)] == ["a", "b"]


async def test_a_message_has_the_facts_and_the_time(outbox: Outbox) -> None:
    await outbox.tell(LOW, ["a"])

    (message,) = await outbox.due(10)

    assert message.alert["topic"] == "wallet_low"
    assert message.alert["remaining"] == 5
    assert message.alert["at"].endswith("Z")
    assert message.attempts == 0


async def test_a_mark_ends_with_its_window(
    outbox: Outbox, redis_ledger: RedisLedger, clock: FakeClock
) -> None:
    ends = Alert(
        topic=Topic.BUDGET_THRESHOLD, name="b", text="t", until_ms=redis_ledger.now_ms() + 1_000
    )

    assert await outbox.tell(ends, ())
    clock.advance(999)
    assert not await outbox.tell(ends, ())
    clock.advance(1)
    assert await outbox.tell(ends, ())


async def test_what_is_found_no_more_is_over_and_is_told_again_when_it_comes_back(
    outbox: Outbox, redis_ledger: RedisLedger
) -> None:
    await outbox.tell(LOW, ())

    assert await outbox.tidy({LOW.mark}) == []
    assert await outbox.tidy(set()) == [LOW.mark]
    assert await outbox.tidy(set()) == []
    assert await outbox.tell(LOW, ())
    assert await kinds(redis_ledger) == ["alert", "alert_ended", "alert"]


async def test_marks_of_windows_stay_though_they_are_not_found_again(
    outbox: Outbox, redis_ledger: RedisLedger, clock: FakeClock
) -> None:
    ends = Alert(
        topic=Topic.BUDGET_THRESHOLD, name="b", text="t", until_ms=redis_ledger.now_ms() + 1_000
    )
    await outbox.tell(ends, ())

    assert await outbox.tidy(set()) == []
    assert not await outbox.tell(ends, ())
    clock.advance(1_000)
    assert await outbox.tidy(set()) == []
    assert await kinds(redis_ledger) == ["alert"]


async def test_a_message_waits_for_its_next_attempt(
    outbox: Outbox, redis_ledger: RedisLedger, clock: FakeClock
) -> None:
    await outbox.tell(LOW, ["a"])
    (message,) = await outbox.due(10)

    await outbox.again(message, 5_000)

    assert await outbox.due(10) == ()
    assert await outbox.waiting() == 1
    clock.advance(5_000)
    (second,) = await outbox.due(10)
    assert (second.id, second.attempts, second.at_ms) == (message.id, 1, message.at_ms)
    await outbox.done(second)
    assert await outbox.waiting() == 0
