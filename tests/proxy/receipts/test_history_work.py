"""Reading a history when it is due, and counting what no call explains, once."""

from __future__ import annotations

import pytest

from policies.budgets import Budget
from policies.errors import LedgerUnavailable
from policies.ledger.connection import Connection
from policies.ledger.redis_ledger import RedisLedger
from policies.units import CALLS
from policies.windows import Lifetime
from proxy.receipts.history.pages import Refused, Unreadable
from proxy.receipts.history.scan import Scanned, ScanResult
from proxy.receipts.receipt import SlowDown
from proxy.receipts.schedule import SLOW_MS_MIN
from tests.doubles.fake_clock import FakeClock
from tests.doubles.waiting import until
from tests.proxy.receipts.histories import History


@pytest.fixture
def history(connection: Connection, redis_ledger: RedisLedger, clock: FakeClock) -> History:
    return History(connection, redis_ledger, clock)


# Reading…


async def test_a_history_is_read_by_one_replica_in_each_interval(history: History) -> None:
    assert await history.work.run_due()
    assert not await history.other.run_due()
    assert not await history.work.run_due()

    assert history.scan.began == [history.clock.now_ms()]
    assert history.watch.events == [("read", 3)]


async def test_it_is_read_again_after_the_interval(
    connection: Connection, redis_ledger: RedisLedger, clock: FakeClock
) -> None:
    history = History(connection, redis_ledger, clock, scan_every_ms=1)
    await history.work.run_due()

    # Redis' own clock decides here.
    await until(history.other.run_due)


@pytest.mark.parametrize(
    ("result", "events"),
    [
        (Refused("an admin key is needed"), [("failed", "an admin key is needed")]),
        (Unreadable("it is HTML"), [("failed", "it is HTML")]),
        (SlowDown(7_000), [("slowed", 7_000)]),
        (SlowDown(), [("slowed", SLOW_MS_MIN)]),
        (
            Scanned(endpoint="usage", place_ms=None, new_rows=1, stopped=SlowDown(5)),
            [("read", 1), ("slowed", 5)],
        ),
        (
            Scanned(endpoint="usage", place_ms=None, new_rows=1, stopped=Unreadable("cut")),
            [("read", 1)],
        ),
    ],
)
async def test_what_comes_of_a_reading_is_told(
    history: History, result: ScanResult, events: list[tuple[object, ...]]
) -> None:
    history.scan.results = [result]

    assert await history.work.run_due()

    assert history.watch.events == events


async def test_a_provider_that_wants_fewer_requests_is_left_in_peace(history: History) -> None:
    await history.schedule.slow_down("p", 60_000)

    assert not await history.work.run_due()

    assert history.scan.began == []


async def test_a_reading_that_went_well_ends_the_long_pauses(history: History) -> None:
    await history.schedule.slow_down("p", None)
    history.clock.advance(SLOW_MS_MIN)

    await history.work.run_due()

    assert await history.schedule.slow_down("p", None) == SLOW_MS_MIN


# Ghosts…


async def test_what_no_call_explains_is_counted_once(history: History) -> None:
    await history.put("0.5", "0.0000000001")

    assert await history.work.count_ghosts() == 1
    assert await history.other.count_ghosts() == 0

    assert await history.spent() == 500_000_001
    (ghost,) = history.watch.ghosts
    assert (ghost.kind, ghost.calls, ghost.credits) == ("row", 1, {"DIEM": 500_000_001})
    assert ghost.detail["request"] == "r-1"
    assert ghost.detail["items"] == "zai-org-glm-llm-output-mtoken"


async def test_a_reading_counts_them_too(history: History) -> None:
    await history.put("0.5")

    await history.work.run_due()

    assert await history.spent() == 500_000_000


async def test_rows_that_are_young_are_no_ghosts_yet(history: History) -> None:
    await history.put("0.5")
    history.clock.advance(-1)

    assert await history.work.count_ghosts() == 0


async def test_rows_that_come_after_their_call_was_booked_are_money_and_no_call(
    connection: Connection, redis_ledger: RedisLedger, clock: FakeClock
) -> None:
    calls = Budget(name="unattributed", unit=CALLS, limit=100, window=Lifetime(), mode="shadow")
    history = History(connection, redis_ledger, clock, calls)
    await history.put("0.5")
    await history.shelf.take("call-1", ["r-1"], 0, clock.now_ms())
    await history.put("0.5", "0.25")

    assert await history.work.count_ghosts() == 1

    (ghost,) = history.watch.ghosts
    assert (ghost.kind, ghost.calls, ghost.nano_usd) == ("late", 0, 250_000_000)
    assert ghost.detail["call"] == "call-1"
    assert await history.spent() == 0


@pytest.mark.parametrize(
    ("billed", "currency", "reason"),
    [("-1", "USD", "given back"), ("1", "DOGE", "nobody knows")],
)
async def test_what_does_not_add_up_is_told_once_and_counts_nothing(
    history: History, billed: str, currency: str, reason: str
) -> None:
    await history.put(billed, currency=currency)

    assert await history.work.count_ghosts() == 1
    assert await history.work.count_ghosts() == 0

    ((name, said),) = history.watch.events
    assert name == "set_aside"
    assert reason in str(said)
    assert await history.spent() == 0


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("operation", ["reserve", "find", "settle"])
async def test_a_ghost_is_counted_once_wherever_the_ledger_goes_away(
    history: History, operation: str, after: bool
) -> None:
    await history.put("0.5")
    history.ledger.fail(operation, after=after)

    with pytest.raises(LedgerUnavailable):
        await history.work.count_ghosts()
    await history.other.count_ghosts()

    assert await history.spent() == 500_000_000
    assert await history.work.count_ghosts() == 0
    assert len(history.watch.ghosts) == 1
