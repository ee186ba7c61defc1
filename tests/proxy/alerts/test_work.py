"""One replica looks at a time; what it cannot look at ends no alert."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from policies.errors import BursarError, LedgerUnavailable
from policies.ledger.connection import Connection
from policies.ledger.redis_ledger import RedisLedger
from proxy.alerts.alert import Alert, Topic
from proxy.alerts.delivery import Delivery
from proxy.alerts.outbox import Outbox
from proxy.alerts.work import AlertWork
from proxy.providers.connection import Upstream
from tests.doubles.fake_clock import FakeClock

LOW = Alert(topic=Topic.WALLET_LOW, name="sim|balance", text="low")


class Seen:
    """What operators were told, by everybody."""

    def __init__(self) -> None:
        self.raised: list[str] = []
        self.ended: list[str] = []
        self.failed: list[tuple[str, str]] = []
        self.waiting: list[int] = []

    def alert_raised(self, alert: Alert) -> None:
        self.raised.append(alert.mark)

    def alert_ended(self, mark: str) -> None:
        self.ended.append(mark)

    def alerts_failed(self, source: str, reason: str) -> None:
        self.failed.append((source, reason))

    def alerts_waiting(self, count: int) -> None:
        self.waiting.append(count)

    def alert_sent(self, topic: str, result: str) -> None:
        raise AssertionError

    def alert_not_delivered(self, topic: str, receiver: str, reason: str) -> None:
        raise AssertionError


class World:
    """What there is to tell, and replicas that look for it."""

    def __init__(self, connection: Connection, ledger: RedisLedger) -> None:
        self.connection, self.ledger = connection, ledger
        self.seen = Seen()
        self.found: list[Alert] = []
        self.fault: BursarError | None = None

    async def look(self) -> Sequence[Alert]:
        if self.fault is not None:
            raise self.fault
        return self.found

    def replica(self) -> AlertWork:
        outbox = Outbox(self.connection, self.ledger.keys, self.ledger.now_ms)
        delivery = Delivery(
            outbox,
            (),
            Upstream(1, 1),
            organization="acme",
            now_ms=self.ledger.now_ms,
            give_up_after_ms=1,
            note=_no_note,
            observer=self.seen,
        )
        return AlertWork(
            {"wallets": self.look},
            outbox,
            delivery,
            commands=self.connection,
            keys=self.ledger.keys,
            every_ms=1_000,
            observer=self.seen,
        )


async def _no_note(kind: str, data: str) -> None:
    raise AssertionError


@pytest.fixture
def world(connection: Connection, redis_ledger: RedisLedger) -> World:
    return World(connection, redis_ledger)


async def test_one_replica_looks_and_goes_on_looking(world: World) -> None:
    first, second = world.replica(), world.replica()
    world.found = [LOW]

    assert [await first.round(), await second.round(), await first.round()] == [True, False, True]
    assert world.seen.raised == [LOW.mark]


async def test_what_is_over_is_told(world: World) -> None:
    replica = world.replica()
    world.found = [LOW]
    await replica.round()

    world.found = []
    await replica.round()

    assert world.seen.ended == [LOW.mark]


async def test_what_cannot_be_looked_at_is_not_over(world: World) -> None:
    replica = world.replica()
    world.found = [LOW]
    await replica.round()

    world.fault = BursarError("the archive is away")
    await replica.round()

    assert world.seen.ended == []
    assert world.seen.failed == [("wallets", "the archive is away")]


async def test_a_ledger_that_is_away_ends_the_round(world: World, clock: FakeClock) -> None:
    world.fault = LedgerUnavailable("away")

    with pytest.raises(LedgerUnavailable):
        await world.replica().round()
    assert world.seen.failed == []
