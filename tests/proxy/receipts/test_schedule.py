"""What is due: claimed by one replica at a time, at the provider's pace, and never lost."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.call_ids import new_call_id
from policies.errors import LedgerUnavailable
from policies.ledger.connection import Connection
from policies.ledger.redis_ledger import RedisLedger
from proxy.receipts.schedule import SLOW_MS_MAX, SLOW_MS_MIN, Claimed, Schedule, Waiting
from tests.doubles.fake_clock import FakeClock
from tests.doubles.fake_commands import FakeCommands
from tests.doubles.waiting import until
from tests.proxy.receipts.opened_world import opened_world

CLAIM_MS = 10_000
FAST = 1_000_000
_numbers = itertools.count()


class Queue:
    """One provider's queue, with a second replica at it."""

    def __init__(self, connection: Connection, ledger: RedisLedger, clock: FakeClock) -> None:
        self.connection, self.ledger, self.clock = connection, ledger, clock
        self.schedule = Schedule(connection, ledger.keys, ledger.now_ms)
        self.other = Schedule(connection, ledger.keys, ledger.now_ms)

    async def put(self, *call_ids: str, in_ms: int = 0) -> None:
        key, at_ms = self.ledger.keys.receipts("p", "due"), self.clock.now_ms() + in_ms
        for call_id in call_ids:
            await self.connection.execute("ZADD", key, at_ms, call_id)

    async def claim(self, count_max: int = 100, per_minute: int = FAST) -> Claimed:
        return await self.schedule.claim(
            "p", count_max=count_max, claim_ms=CLAIM_MS, per_minute=per_minute
        )

    async def pace(self, per_minute: int = 60) -> int:
        """Claim all that the pace allows, and return how many that were."""
        await self.put(*(f"c-{next(_numbers)}" for _ in range(100)))
        return len((await self.claim(per_minute=per_minute)).call_ids)


@pytest.fixture
def queue(connection: Connection, redis_ledger: RedisLedger, clock: FakeClock) -> Queue:
    return Queue(connection, redis_ledger, clock)


# Claims…


async def test_what_is_due_is_claimed_the_longest_due_first(queue: Queue) -> None:
    await queue.put("b", in_ms=-1)
    await queue.put("a", in_ms=-2)
    await queue.put("c")
    await queue.put("not-yet", in_ms=1)

    assert await queue.claim() == Claimed(("a", "b", "c"))


async def test_what_is_claimed_is_nobody_elses(queue: Queue) -> None:
    await queue.put("a", "b", "c")

    first = await queue.claim(2)
    second = await queue.other.claim("p", count_max=9, claim_ms=CLAIM_MS, per_minute=FAST)

    assert first.call_ids == ("a", "b")
    assert second.call_ids == ("c",)
    assert await queue.claim() == Claimed(())


async def test_replicas_that_claim_at_the_same_time_share_nothing(queue: Queue) -> None:
    ids = [f"call-{number}" for number in range(60)]
    await queue.put(*ids)

    claims = await asyncio.gather(*(queue.claim(7) for _ in range(10)))

    assert sorted(call_id for each in claims for call_id in each.call_ids) == sorted(ids)


async def test_what_a_dead_replica_claimed_comes_back(queue: Queue) -> None:
    await queue.put("a")
    await queue.claim()

    queue.clock.advance(CLAIM_MS - 1)
    assert (await queue.claim()).call_ids == ()
    queue.clock.advance(1)
    assert (await queue.claim()).call_ids == ("a",)


async def test_queues_of_two_providers_are_apart(queue: Queue) -> None:
    await queue.put("a")

    claimed = await queue.schedule.claim("other", count_max=9, claim_ms=CLAIM_MS, per_minute=FAST)

    assert claimed == Claimed(())
    assert (await queue.claim()).call_ids == ("a",)


async def test_a_call_is_put_off_and_dropped(queue: Queue) -> None:
    await queue.put("a", "b")

    await queue.schedule.defer("p", "a", 5)
    await queue.schedule.drop("p", "b")

    assert (await queue.claim()).call_ids == ()
    queue.clock.advance(5)
    assert (await queue.claim()).call_ids == ("a",)


async def test_a_call_that_has_its_receipt_is_not_put_back_by_whoever_comes_late(
    queue: Queue,
) -> None:
    await queue.schedule.defer("p", "a", 0)

    assert await queue.claim() == Claimed(())


# The pace…


async def test_a_burst_is_what_may_be_asked_in_ten_seconds(queue: Queue) -> None:
    assert await queue.pace(60) == 10
    assert await queue.pace(60) == 0


@pytest.mark.parametrize(("passed_ms", "more"), [(999, 0), (1_000, 1), (5_500, 5), (60_000, 10)])
async def test_requests_come_back_with_time_up_to_a_burst(
    queue: Queue, passed_ms: int, more: int
) -> None:
    await queue.pace(60)

    queue.clock.advance(passed_ms)

    assert await queue.pace(60) == more


async def test_halves_of_requests_are_not_lost(queue: Queue) -> None:
    await queue.pace(60)
    found = []
    for _ in range(6):
        queue.clock.advance(500)
        found.append(await queue.pace(60))

    assert found == [0, 1, 0, 1, 0, 1]


async def test_it_says_for_how_long_the_pace_allows_nothing(queue: Queue) -> None:
    await queue.pace(60)
    queue.clock.advance(400)

    claimed = await queue.claim(per_minute=60)

    assert claimed == Claimed((), wait_ms=600)
    queue.clock.advance(600)
    assert await queue.pace(60) == 1


@pytest.mark.parametrize("per_minute", [1, 5])
async def test_a_slow_pace_allows_one_at_a_time(queue: Queue, per_minute: int) -> None:
    assert await queue.pace(per_minute) == 1
    queue.clock.advance(60_000 // per_minute - 1)
    assert await queue.pace(per_minute) == 0
    queue.clock.advance(1)
    assert await queue.pace(per_minute) == 1


async def test_requests_beyond_the_first_of_a_call_are_a_debt(queue: Queue) -> None:
    await queue.pace(60)
    await queue.schedule.spend("p", 1)
    await queue.schedule.spend("p", 4)

    queue.clock.advance(5_000)
    assert await queue.claim(per_minute=60) == Claimed((), wait_ms=1_000)
    queue.clock.advance(1_000)
    assert await queue.pace(60) == 1


async def test_a_clock_that_jumps_back_gives_nothing_away(queue: Queue) -> None:
    await queue.pace(60)
    queue.clock.advance(-30_000)

    assert await queue.pace(60) == 0


async def test_a_queue_without_anything_due_costs_nothing(queue: Queue) -> None:
    for _ in range(30):
        await queue.claim(per_minute=60)

    assert await queue.pace(60) == 10


# A provider that wants fewer requests…


async def test_a_provider_that_wants_fewer_requests_is_asked_nothing(queue: Queue) -> None:
    await queue.put("a")

    assert await queue.schedule.slow_down("p", None) == SLOW_MS_MIN
    queue.clock.advance(SLOW_MS_MIN - 1)
    assert await queue.claim() == Claimed((), wait_ms=1)
    queue.clock.advance(1)
    assert (await queue.claim()).call_ids == ("a",)


async def test_its_pauses_double_up_to_a_bound_until_it_answers(queue: Queue) -> None:
    pauses = []
    for _ in range(8):
        pauses.append(await queue.schedule.slow_down("p", None))
        queue.clock.advance(pauses[-1])
    await queue.schedule.went_well("p")
    pauses.append(await queue.schedule.slow_down("p", None))

    doubled = [30_000, 60_000, 120_000, 240_000, 480_000]
    assert pauses == [*doubled, SLOW_MS_MAX, SLOW_MS_MAX, SLOW_MS_MAX, SLOW_MS_MIN]


async def test_answers_to_requests_that_were_on_their_way_double_nothing(queue: Queue) -> None:
    said = await asyncio.gather(*(queue.schedule.slow_down("p", None) for _ in range(8)))
    queue.clock.advance(10_000)

    assert said == [SLOW_MS_MIN] * 8
    assert await queue.schedule.slow_down("p", None) == SLOW_MS_MIN - 10_000


async def test_a_pause_that_the_provider_names_is_kept(queue: Queue) -> None:
    assert await queue.schedule.slow_down("p", 7_000) == 7_000
    queue.clock.advance(7_000)

    assert (await queue.schedule.waiting("p")).slow_until_ms == 0
    assert await queue.schedule.slow_down("p", None) == SLOW_MS_MIN


async def test_the_longest_pause_that_it_named_counts(queue: Queue) -> None:
    await queue.schedule.slow_down("p", 60_000)

    assert await queue.schedule.slow_down("p", 1_000) == 60_000
    assert await queue.schedule.slow_down("p", 90_000) == 90_000


async def test_a_pause_of_no_time_is_none_that_it_names(queue: Queue) -> None:
    assert await queue.schedule.slow_down("p", 0) == SLOW_MS_MIN


# What does not add up, and how it all stands…


async def test_what_does_not_add_up_is_news_once(queue: Queue) -> None:
    schedule = queue.schedule

    assert await schedule.set_aside("p", "a", "negative")
    assert not await schedule.set_aside("p", "a", "absurd")
    assert await queue.other.set_aside("p", "b", "absurd")
    assert await schedule.asides("p") == {"a": "negative", "b": "absurd"}
    assert [await schedule.aside("p", each) for each in "ab"] == ["negative", "absurd"]

    await schedule.not_aside("p", "a")
    assert await schedule.asides("p") == {"b": "absurd"}
    assert await schedule.aside("p", "a") == ""


async def test_it_is_told_how_many_calls_wait_since_long_ago(queue: Queue) -> None:
    now_ms = queue.clock.now_ms()
    await queue.put(new_call_id(now_ms - 2), new_call_id(now_ms - 1), new_call_id(now_ms))

    assert [await queue.schedule.begun_before("p", now_ms + by) for by in (-2, 0, 1)] == [0, 2, 3]


async def test_it_is_told_when_a_call_is_looked_for_next(queue: Queue) -> None:
    await queue.put("a", in_ms=500)

    assert await queue.schedule.due_ms("p", "a") == queue.clock.now_ms() + 500
    assert await queue.schedule.due_ms("p", "b") is None


async def test_how_a_queue_stands(queue: Queue) -> None:
    assert await queue.schedule.waiting("p") == Waiting(
        calls=0, due=0, slow_until_ms=0, set_aside=0
    )

    await queue.put("a", "b")
    await queue.put("c", in_ms=1)
    await queue.schedule.set_aside("p", "c", "why")
    await queue.schedule.slow_down("p", 5)

    until_ms = queue.clock.now_ms() + 5
    assert await queue.schedule.waiting("p") == Waiting(
        calls=3, due=2, slow_until_ms=until_ms, set_aside=1
    )


async def test_work_is_claimed_by_one_and_the_claim_ends_by_itself(queue: Queue) -> None:
    claims = await asyncio.gather(*(queue.schedule.claim_work("w", 60_000) for _ in range(5)))

    assert sorted(claims) == [False] * 4 + [True]
    assert await queue.other.claim_work("w-2", 1)
    # Redis' own clock decides here.
    await until(lambda: queue.other.claim_work("w-2", 60_000))


async def test_a_redis_that_is_away_is_a_fault(queue: Queue) -> None:
    away = FakeCommands()
    away.away = True
    schedule = Schedule(away, queue.ledger.keys, queue.ledger.now_ms)

    with pytest.raises(LedgerUnavailable):
        await schedule.claim("p", count_max=1, claim_ms=1, per_minute=1)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(
        st.tuples(st.integers(1, 20_000), st.integers(0, 12), st.integers(0, 3)), max_size=12
    ),
    per_minute=st.sampled_from([1, 7, 60, 600]),
)
def test_no_stretch_of_time_sees_more_requests_than_the_pace_and_a_burst(
    steps: list[tuple[int, int, int]], per_minute: int, redis_url: str
) -> None:
    async def run() -> None:
        async with opened_world(redis_url) as opened:
            queue = Queue(opened.connection, opened.ledger, opened.clock)
            passed_ms = made = 0
            burst = max(1, per_minute / 6)
            for milliseconds, wanted, more in steps:
                queue.clock.advance(milliseconds)
                passed_ms += milliseconds
                await queue.put(*(f"c-{next(_numbers)}" for _ in range(wanted)))
                claimed = len((await queue.claim(wanted or 1, per_minute)).call_ids)
                made += claimed
                # Calls may be asked for more than once: that is paid for before the next one.
                if claimed:
                    assert made <= burst + passed_ms * per_minute / 60_000 + 1e-6
                await queue.schedule.spend("p", more)
                made += more

    asyncio.run(run())
