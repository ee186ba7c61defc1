"""What each answer of a provider does to a call in each state, and when it is asked again."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from policies.errors import IllegalTransition, LedgerRefused, LedgerUnavailable
from policies.ledger.connection import Connection
from policies.ledger.redis_ledger import RedisLedger
from policies.reservations import Operation, State
from policies.units import Amounts
from policies.usage import Usage
from proxy.providers.interface import Target
from proxy.receipts.desk import AT_ONCE_MAX, Progress
from proxy.receipts.look_up import LookUps
from proxy.receipts.receipt import (
    Final,
    Never,
    Pending,
    Result,
    SetAside,
    SlowDown,
    UnknownId,
)
from proxy.receipts.schedule import SLOW_MS_MIN
from tests.doubles.calls import FakePrices, price
from tests.doubles.fake_clock import FakeClock
from tests.doubles.fake_upstream import never
from tests.doubles.flaky_ledger import FlakyLedger
from tests.proxy.receipts.desks import HELD, MINUTE_MS, PROVIDER, World, world

BILLED = Final(nano_usd=1_008)
USED = Usage(input_tokens=30, output_tokens=50)
WAITS = {"a": MINUTE_MS}


@pytest.fixture
def here(redis_ledger: RedisLedger, connection: Connection, clock: FakeClock) -> World:
    return world(redis_ledger, connection, clock)


# Every answer, in every state…


@pytest.mark.parametrize("certainty", ["exact", "at_least", "unknown", "unpriced", "expired"])
@pytest.mark.parametrize(
    ("result", "word", "state", "spent"),
    [
        (BILLED, "booked", State.RECEIPTED, 1_008),
        (Final(nano_usd=0), "booked", State.RECEIPTED, 0),
        (Never("subscription"), "never", State.UNRECEIPTED, None),
        (Pending("not yet"), "pending", None, None),
        (UnknownId(), "pending", None, None),
        (SetAside("odd"), "set_aside", None, None),
        (Final(nano_usd=-1), "set_aside", None, None),
        (Final(nano_usd=2**53), "set_aside", None, None),
        (Final(nano_usd=10**9 + 1), "set_aside", None, None),
        (SlowDown(), "slow_down", None, None),
    ],
)
async def test_what_an_answer_does_to_a_call(
    here: World, certainty: str, result: Result, word: str, state: State | None, spent: int | None
) -> None:
    if certainty == "expired":
        await here.expire()
        metered, before = HELD, State.EXPIRED
        if isinstance(result, Never):
            # A worker that was only cut off may still tell how it ended.
            word, state = "pending", None
    else:
        await here.settle(certainty=certainty)
        metered, before = 700, State.SETTLED
    here.adapter.says("gen-a", result)

    assert await here.round() == {word: 1}

    assert (await here.record()).state is (state or before)
    assert await here.spent() == [metered if spent is None else spent]
    assert ("a" in await here.due()) == (state is None)
    assert here.watch.named("looked_up") == [("looked_up", word)]


@pytest.mark.parametrize("state", ["released", "receipted", "unreceipted", "unknown"])
async def test_a_call_that_has_its_end_waits_no_longer(here: World, state: str) -> None:
    key = here.ledger.keys.receipts(PROVIDER, "due")
    if state == "released":
        await here.ledger.release(await here.reserve(), outcome="{}")
    elif state != "unknown":
        held = await here.settle()
        await here.ledger.receipt(held, Amounts(nano_usd=7), outcome="{}", queue=PROVIDER)
    await here.commands.execute("ZADD", key, 0, "a")
    await here.schedule.set_aside(PROVIDER, "a", "it was odd")

    assert await here.round() == {"gone": 1}

    assert await here.due() == {}
    assert await here.schedule.asides(PROVIDER) == {}
    assert here.adapter.asked == []


@pytest.mark.parametrize("operation", [Operation.RECEIPT, Operation.GIVE_UP])
async def test_a_call_that_ends_while_it_is_looked_up_is_left_alone(
    here: World, operation: Operation
) -> None:
    ledger = FlakyLedger(here.ledger)
    await here.settle()
    here.adapter.says("gen-a", BILLED if operation is Operation.RECEIPT else Never("x"))
    ledger.fail(operation.value, fault=IllegalTransition("a", State.RELEASED, operation))

    assert await here.round(here.desk(ledger=ledger)) == {"gone": 1}

    assert await here.due() == {}
    assert await here.spent() == [700]


# Where a receipt is found…


async def test_an_answer_that_told_what_was_billed_is_asked_for_nothing(here: World) -> None:
    here.adapter.told = BILLED
    await here.settle()

    assert await here.round() == {"booked": 1}

    assert here.adapter.asked == []
    assert json.loads((await here.record()).receipt)["source"] == "answer"


async def test_a_provider_that_never_bills_is_not_asked_about_a_whole_answer(here: World) -> None:
    here.adapter.never = "a subscription key"
    await here.settle()

    assert await here.round() == {"never": 1}

    assert here.adapter.asked == []
    assert here.watch.named("given_up") == [("given_up", "a", "a subscription key", True)]
    assert json.loads((await here.record()).receipt) == {"never": "a subscription key"}


async def test_it_is_asked_about_a_cut_one_because_it_counts_tokens(here: World) -> None:
    here.adapter.never = "a subscription key"
    here.adapter.says("gen-a", Pending("not yet"))
    await here.settle(certainty="at_least")

    assert await here.round() == {"pending": 1}
    assert here.adapter.asked == ["gen-a"]


async def test_a_provider_that_never_bills_and_knows_no_ids_is_not_asked_at_all(
    redis_ledger: RedisLedger, connection: Connection, clock: FakeClock
) -> None:
    here = world(redis_ledger, connection, clock, places=0)
    here.adapter.never = "it has no look-up"
    await here.settle(certainty="at_least")

    assert await here.round() == {"never": 1}


async def test_all_ids_are_tried_also_those_that_only_the_settlement_knows(here: World) -> None:
    held = await here.reserve()
    await here.ledger.note_generation("a", ["noted", "both"])
    await here.settle(reservation=held, ids=["both", "told"])
    here.adapter.says("told", BILLED)

    assert await here.round() == {"booked": 1}

    assert here.adapter.asked == ["noted", "both", "told"]
    assert here.adapter.known == ("told", "noted", "both")


async def test_a_call_without_any_id_stays_at_its_metered_amount(here: World) -> None:
    await here.settle(ids=[])

    assert await here.round() == {"never": 1}

    assert await here.spent() == [700]
    assert here.watch.named("given_up") == [("given_up", "a", "no id of it was seen", True)]


async def test_an_expired_call_without_any_id_may_still_be_settled(here: World) -> None:
    held = await here.expire(ids=[])
    assert await here.round() == {"pending": 1}

    await here.settle(reservation=held, ids=["gen-late"])
    here.adapter.says("gen-late", BILLED)
    here.clock.advance(MINUTE_MS)

    assert await here.round() == {"booked": 1}
    assert await here.spent() == [1_008]


# A provider that only counts tokens…


@pytest.mark.parametrize("certainty", ["at_least", "unknown", "unpriced", "expired"])
async def test_a_cut_answer_is_metered_again_by_what_the_provider_counted(
    here: World, certainty: str
) -> None:
    here.prices = FakePrices(price())
    here.adapter.says("gen-a", Never("subscription", USED))
    await (here.expire() if certainty == "expired" else here.settle(certainty=certainty))

    assert await here.round() == {"booked": 1}

    assert await here.spent() == [30 * 1_000 + 50 * 10_000]
    assert json.loads((await here.record()).receipt)["source"] == "metering"


async def test_a_whole_answer_is_not_metered_again(here: World) -> None:
    here.prices = FakePrices(price())
    here.adapter.says("gen-a", Never("subscription", USED))
    await here.settle()

    assert await here.round() == {"never": 1}
    assert await here.spent() == [700]


@pytest.mark.parametrize(("certainty", "word"), [("at_least", "never"), ("expired", "pending")])
async def test_what_has_no_price_is_not_metered_again(
    here: World, certainty: str, word: str
) -> None:
    here.adapter.says("gen-a", Never("subscription", USED))
    await (here.expire() if certainty == "expired" else here.settle(certainty=certainty))

    assert await here.round() == {word: 1}
    assert await here.spent() == [HELD if certainty == "expired" else 700]


async def test_a_tier_without_a_price_leaves_the_call_at_its_metered_amount(here: World) -> None:
    here.prices = FakePrices(price())
    here.adapter.says("gen-a", Never("subscription", USED))
    await here.settle(certainty="at_least", tier="platinum")

    assert await here.round() == {"never": 1}
    assert await here.spent() == [700]


@pytest.mark.parametrize("tokens", [2**30, 2**40])
async def test_tokens_beyond_belief_are_not_metered(here: World, tokens: int) -> None:
    here.prices = FakePrices(price())
    here.adapter.says("gen-a", Never("subscription", Usage(output_tokens=tokens)))
    await here.settle(certainty="at_least")

    assert await here.round() == {"set_aside": 1}
    assert await here.spent() == [700]


# When it is asked again…


async def test_pauses_double_up_to_the_longest_and_end_when_it_is_given_up(here: World) -> None:
    here.adapter.says("gen-a", Pending("not billed yet"))
    await here.settle(after_ms=3 * MINUTE_MS)
    looked, last = [], (await here.record()).ended_ms

    while waits := await here.due():
        here.clock.advance(waits["a"] - 1)
        assert await here.round() == {}
        here.clock.advance(1)
        await here.round()
        looked.append((here.clock.now_ms() - last) // MINUTE_MS)
        last = here.clock.now_ms()

    assert looked[:8] == [3, 1, 1, 2, 4, 8, 16, 32]
    assert looked[8:-1] == [60] * (len(looked) - 9)
    assert sum(looked) == 24 * 60
    assert looked[-1] <= 60
    assert await here.spent() == [700]
    record = await here.record()
    assert record.state is State.UNRECEIPTED
    assert json.loads(record.receipt) == {"given_up": "not billed yet"}
    assert here.watch.named("given_up") == [("given_up", "a", "not billed yet", False)]


@pytest.mark.parametrize("result", [UnknownId(), SetAside("odd"), SlowDown(), Never("x")])
async def test_whatever_keeps_a_receipt_away_it_is_given_up_at_last(
    here: World, result: Result
) -> None:
    here.adapter.says("gen-a", result)
    await here.expire()
    here.clock.advance(here.settings.give_up_after_ms - 1)
    await here.round()
    assert (await here.record()).state is State.EXPIRED

    # A provider that wants fewer requests is asked once more when its pause is over.
    here.clock.advance(max((await here.due()).values()))

    assert await here.round() == {"given_up": 1}
    assert (await here.record()).state is State.UNRECEIPTED
    assert await here.spent() == [HELD]
    assert await here.schedule.asides(PROVIDER) == {}
    assert await here.due() == {}


async def test_a_receipt_at_the_last_moment_is_booked(here: World) -> None:
    here.adapter.says("gen-a", BILLED)
    await here.settle()
    here.clock.advance(10 * here.settings.give_up_after_ms)

    assert await here.round() == {"booked": 1}


async def test_a_look_up_that_takes_too_long_is_left_before_its_claim_ends(
    redis_ledger: RedisLedger, connection: Connection, clock: FakeClock
) -> None:
    here = world(redis_ledger, connection, clock, timeout_ms=10)

    async def hang(target: Target) -> None:
        await never()

    here.upstream.before = hang
    patient = replace(here.desk(), look_ups=LookUps(here.upstream, timeout_s=3_600))
    await here.settle()

    assert await here.round(patient) == {"pending": 1}
    assert await here.due() == WAITS


# What does not add up…


async def test_what_does_not_add_up_is_news_once_and_booked_when_it_does(here: World) -> None:
    here.adapter.says("gen-a", SetAside("odd"), Final(nano_usd=-5), UnknownId(), BILLED)
    await here.settle()

    words: list[str] = []
    for _ in range(4):
        words += await here.round()
        here.clock.advance(60 * MINUTE_MS)

    assert words == ["set_aside", "set_aside", "pending", "booked"]
    negative = "the amount is negative, or beyond what can be counted"
    assert here.watch.named("set_aside") == [
        ("set_aside", "a", "odd", True),
        ("set_aside", "a", negative, False),
    ]
    assert await here.spent() == [1_008]
    assert await here.schedule.asides(PROVIDER) == {}


async def test_what_does_not_add_up_is_listed_until_then(here: World) -> None:
    here.adapter.says("gen-a", SetAside("odd"))
    await here.settle()
    await here.round()

    assert await here.schedule.asides(PROVIDER) == {"a": "odd"}
    assert await here.due() == WAITS
    assert await here.spent() == [700]


async def test_a_call_that_redis_refuses_keeps_nobody_back(here: World) -> None:
    ledger = FlakyLedger(here.ledger)
    for call_id in ("a", "b"):
        await here.settle(call_id)
        here.adapter.says(f"gen-{call_id}", BILLED)
    ledger.fail("receipt", fault=LedgerRefused("ERR value is not an integer"))

    assert await here.round(here.desk(ledger=ledger)) == {"set_aside": 1, "booked": 1}

    (aside,) = (await here.schedule.asides(PROVIDER)).values()
    assert "Redis refused it" in aside
    assert await here.spent() == [700 + 1_008]


# A provider that wants fewer requests…


@pytest.mark.parametrize(("wait_ms", "pause_ms"), [(None, SLOW_MS_MIN), (7_000, 7_000)])
async def test_it_slows_all_calls_down_and_none_is_lost(
    here: World, wait_ms: int | None, pause_ms: int
) -> None:
    calls = [f"{number:02}" for number in range(AT_ONCE_MAX + 5)]
    for call_id in calls:
        await here.settle(call_id)
        here.adapter.says(f"gen-{call_id}", SlowDown(wait_ms), BILLED)

    assert await here.round() == {"slow_down": AT_ONCE_MAX}

    assert len(here.adapter.asked) == AT_ONCE_MAX
    assert set(here.watch.named("slowed")) == {("slowed", pause_ms)}
    assert len(await here.due()) == len(calls)
    here.clock.advance(pause_ms - 1)
    assert await here.round() == {}
    here.clock.advance(1)
    for call_id in calls:
        here.adapter.says(f"gen-{call_id}", BILLED)
    while await here.due():
        await here.round()
        here.clock.advance(MINUTE_MS)
    assert await here.spent() == [1_008 * len(calls)]


async def test_a_receipt_that_was_looked_up_ends_the_long_pauses(here: World) -> None:
    here.adapter.says("gen-a", SlowDown(), SlowDown(), BILLED, BILLED)
    await here.settle()
    for pause_ms in (SLOW_MS_MIN, 2 * SLOW_MS_MIN, 0):
        await here.round()
        here.clock.advance(pause_ms)

    await here.settle("b")
    here.adapter.says("gen-b", SlowDown())
    await here.round()

    slowed = [event[1] for event in here.watch.named("slowed")]
    assert slowed == [SLOW_MS_MIN, 2 * SLOW_MS_MIN, SLOW_MS_MIN]


# Many calls…


async def test_each_request_beyond_the_first_of_a_call_is_counted(
    redis_ledger: RedisLedger, connection: Connection, clock: FakeClock
) -> None:
    here = world(redis_ledger, connection, clock, places=2, lookups_per_minute_max=60)
    await here.settle(ids=["x", "y", "z"])

    await here.round()

    pace = here.ledger.keys.receipts(PROVIDER, "pace")
    assert float(await connection.execute("HGET", pace, "tokens")) == 10 - 6
    assert len(here.adapter.asked) == 6


async def test_it_goes_on_until_nothing_is_due_or_the_pace_allows_no_more(here: World) -> None:
    for number in range(12):
        await here.settle(f"{number}")
        here.adapter.says(f"gen-{number}", BILLED)
    told: list[int] = []
    progress = Progress()

    wait_ms = await here.desk().run_due(progress, lambda so_far: told.append(so_far.calls))

    # A burst of ten is what sixty a minute allow.
    assert (wait_ms, told, progress.calls) == (1_000, [8, 10], 10)


async def test_a_fault_of_one_call_is_raised_when_the_others_have_come_to_an_end(
    here: World,
) -> None:
    ledger = FlakyLedger(here.ledger)
    for call_id in ("a", "b", "c"):
        await here.settle(call_id)
        here.adapter.says(f"gen-{call_id}", BILLED)
    ledger.fail("find")
    progress = Progress()

    with pytest.raises(LedgerUnavailable):
        await here.desk(ledger=ledger).run_due(progress)

    assert progress.results == {"booked": 2}
    assert await here.due() == {"a": here.desk().claim_ms}
