"""What an account was billed beyond what our calls explain is found, and booked once."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from policies.clock import rfc3339
from policies.errors import LedgerUnavailable
from policies.ledger.connection import Connection
from policies.ledger.memory import MemoryLedger
from proxy.providers.connection import NeverSent
from proxy.receipts.account_totals import Compared, Elsewhere
from proxy.receipts.accounts import Account
from proxy.receipts.billed_hours import Unavailable
from proxy.receipts.receipt import SlowDown
from tests.doubles.fake_clock import NOON_MS, FakeClock
from tests.doubles.fake_upstream import FakeAnswer
from tests.proxy.receipts.adapters.configured import Configured
from tests.proxy.receipts.totals_world import DAY_MS, HOUR_MS, MINUTE_MS, World

TWO = Account(name="agi", providers=("agi", "agi-sub"))
KEYED = Account(name="agi", providers=("agi",), key_ids=frozenset({"key_own"}))


@pytest.fixture
def world(
    clock: FakeClock, connection: Connection, memory_ledger: MemoryLedger, organization: str
) -> World:
    return World(clock, connection, memory_ledger, organization)


async def test_what_no_call_explains_is_booked_with_its_amount(world: World) -> None:
    await world.begin()
    await world.call(1_000)
    at_ms = world.bill(70)
    world.clock.advance(2 * HOUR_MS)

    outcome = await world.poll()

    (ghost,) = outcome.booked
    assert (ghost.nano_usd, ghost.calls, ghost.kind) == (70, 1, "totals")
    assert ghost.at_ms == at_ms
    assert ghost.detail == {
        "day": "2026-11-23",
        "until": rfc3339(world.clock.now_ms() - HOUR_MS),
        "models": "acme/mini",
        "model": "acme/mini",
        "why": "timed out, billed without a receipt, or spent around the proxy",
    }
    assert await world.found() == [ghost]
    assert await world.spent() == 70


async def test_what_was_spent_before_the_watch_began_is_no_ghost(world: World) -> None:
    world.bill(70)
    await world.begin()
    world.clock.advance(2 * HOUR_MS)

    assert (await world.poll()).booked == ()
    assert await world.spent() == 0


async def test_what_is_too_young_is_no_ghost_yet(world: World) -> None:
    await world.begin()
    world.bill(70)

    world.clock.advance(HOUR_MS)
    early = await world.poll()
    world.clock.advance(MINUTE_MS)
    late = await world.poll()

    assert early.booked == ()
    assert [ghost.nano_usd for ghost in late.booked] == [70]


async def test_only_the_increase_is_booked(world: World) -> None:
    await world.begin()
    found = []
    for nano_usd in (70, 0, 30):
        if nano_usd:
            world.bill(nano_usd)
        world.clock.advance(2 * HOUR_MS)
        found.append([ghost.nano_usd for ghost in (await world.poll()).booked])

    assert found == [[70], [], [30]]
    assert await world.spent() == 100


async def test_days_are_told_apart(world: World) -> None:
    await world.begin()
    world.bill(70)
    world.clock.advance(DAY_MS)
    world.bill(30)
    world.clock.advance(2 * HOUR_MS)

    booked = (await world.poll()).booked

    days = [(ghost.detail["day"], ghost.nano_usd) for ghost in booked]
    assert days == [("2026-11-23", 70), ("2026-11-24", 30)]
    assert len({ghost.id for ghost in booked}) == 2


async def test_while_calls_are_undecided_only_what_came_before_is_compared(world: World) -> None:
    await world.begin()
    world.bill(70)
    world.clock.advance(10 * MINUTE_MS)
    waiting_ms = world.bill(1_000)
    world.waiting_ms.append(waiting_ms)
    world.clock.advance(10 * MINUTE_MS)
    world.bill(30)
    world.clock.advance(2 * HOUR_MS)

    first = await world.poll()
    world.waiting_ms.clear()
    await world.explain(1_440, waiting_ms)
    world.bill(440, at_ms=waiting_ms)
    second = await world.poll()

    assert [ghost.nano_usd for ghost in first.booked] == [70]
    assert first.until_ms == waiting_ms // MINUTE_MS * MINUTE_MS - MINUTE_MS
    assert [ghost.nano_usd for ghost in second.booked] == [30]


async def test_a_call_whose_receipt_was_given_up_is_a_ghost(world: World) -> None:
    await world.begin()
    world.waiting_ms.append(world.bill(70))
    world.clock.advance(DAY_MS)
    assert (await world.poll()).booked == ()

    world.waiting_ms.clear()

    assert [ghost.nano_usd for ghost in (await world.poll()).booked] == [70]


async def test_rows_that_come_late_are_found(world: World) -> None:
    await world.begin()
    at_ms = world.clock.now_ms()
    world.clock.advance(6 * HOUR_MS)
    await world.poll()
    world.bill(70, at_ms=at_ms)
    world.clock.advance(DAY_MS)

    assert [ghost.nano_usd for ghost in (await world.poll()).booked] == [70]


async def test_without_a_key_id_all_keys_are_one(world: World) -> None:
    await world.begin()
    world.bill(70)
    world.bill(30, key="key_2")
    world.clock.advance(2 * HOUR_MS)

    assert [ghost.nano_usd for ghost in (await world.poll()).booked] == [100]


async def test_with_a_key_id_other_keys_are_told_apart(world: World) -> None:
    world.account = KEYED
    await world.begin()
    await world.call(1_000)
    world.bill(70)
    world.bill(30, key="key_2")
    world.bill(20, key="key_3")
    world.bill(5, key=None)
    world.clock.advance(2 * HOUR_MS)

    booked = (await world.poll()).booked
    again = (await world.poll()).booked

    assert [(ghost.detail["key"], ghost.detail["why"], ghost.nano_usd) for ghost in booked] == [
        ("key_own", "timed out, or billed without a receipt", 75),
        ("key_2", "another key: key_2", 30),
        ("key_3", "another key: key_3", 20),
    ]
    assert again == ()
    assert await world.spent() == 125


async def test_calls_of_all_providers_of_an_account_explain_its_bill(world: World) -> None:
    world.account = TWO
    await world.begin()
    await world.call(1_000)
    await world.call(2_000, provider="agi-sub")
    world.bill(70)
    world.clock.advance(2 * HOUR_MS)

    assert [ghost.nano_usd for ghost in (await world.poll()).booked] == [70]


async def test_extra_usage_of_our_own_subscription_is_no_ghost(world: World) -> None:
    world.configured = Configured(api_key="sk-ss-v1-own", management_key="sk-mg-v1-own")
    await world.begin()
    at_ms = world.bill(70)
    world.provider.billed = [replace(world.provider.billed[0], bill_type="fallbackMetered")]
    world.bill(30, at_ms=at_ms)
    world.clock.advance(2 * HOUR_MS)

    assert [ghost.nano_usd for ghost in (await world.poll()).booked] == [30]


@pytest.mark.parametrize("ahead_s", [3_600, 95])
async def test_with_our_clock_ahead_no_call_is_taken_for_a_ghost(
    world: World, ahead_s: int
) -> None:
    world.provider.now_ms = lambda: world.clock.now_ms() - ahead_s * 1000
    await world.begin()
    world.clock.advance(2 * HOUR_MS)
    for _ in range(200):
        await world.explain(1_000, world.clock.now_ms())
        world.bill(1_000, at_ms=world.provider.now_ms())
        world.clock.advance(MINUTE_MS)
        assert (await world.poll()).booked == ()
    world.bill(70, at_ms=world.provider.now_ms())
    world.clock.advance(4 * HOUR_MS)

    assert [ghost.nano_usd for ghost in (await world.poll()).booked] == [70]


async def test_with_our_clock_behind_nothing_from_before_the_watch_is_a_ghost(
    world: World,
) -> None:
    world.provider.now_ms = lambda: world.clock.now_ms() + HOUR_MS
    world.bill(500, at_ms=world.provider.now_ms())
    await world.begin()
    world.bill(70, at_ms=world.provider.now_ms())
    world.clock.advance(4 * HOUR_MS)

    assert [ghost.nano_usd for ghost in (await world.poll()).booked] == [70]


async def test_days_are_closed_and_what_is_at_midnight_is_counted_once(world: World) -> None:
    world.clock.advance(10 * HOUR_MS + 58 * MINUTE_MS)
    await world.begin()
    at_ms = world.clock.now_ms()
    await world.explain(1_000, at_ms)
    world.bill(1_000, at_ms=at_ms + MINUTE_MS)
    world.bill(70, at_ms=at_ms)
    world.bill(30, at_ms=at_ms + MINUTE_MS)
    found = []
    for _ in range(12):
        world.clock.advance(DAY_MS // 2)
        found += [ghost.nano_usd for ghost in (await world.poll()).booked]

    assert sum(found) == 100
    assert await world.spent() == 100
    kept = await world.commands.execute("GET", world.keys.receipts("agi", "totals"))
    assert b'"booked":{}' in kept


async def test_a_day_is_closed_two_days_after_its_end(world: World) -> None:
    async def open_day() -> object:
        kept = await world.commands.execute("GET", world.keys.receipts("agi", "totals"))
        return json.loads(kept)["day"] - NOON_MS // DAY_MS

    await world.begin()
    world.clock.advance(3 * DAY_MS - NOON_MS % DAY_MS - MINUTE_MS - 1)
    for _ in range(4):
        await world.poll()
    before = await open_day()
    world.clock.advance(1)
    for _ in range(2):
        await world.poll()

    assert (before, await open_day()) == (0, 1)


async def test_a_call_from_before_the_watch_explains_what_is_billed_after(world: World) -> None:
    await world.explain(1_000, world.clock.now_ms() - HOUR_MS)
    await world.begin()
    world.bill(1_000)
    world.clock.advance(2 * HOUR_MS)

    assert (await world.poll()).booked == ()


async def test_a_comparison_goes_on_where_a_long_absence_left_it(world: World) -> None:
    await world.begin()
    world.bill(70)
    world.clock.advance(5 * DAY_MS)
    world.bill(30)
    world.clock.advance(2 * HOUR_MS)

    booked = [ghost.nano_usd for _ in range(10) for ghost in (await world.poll()).booked]

    assert booked == [70, 30]


async def test_an_hour_that_cannot_be_read_holds_up_what_comes_after(world: World) -> None:
    await world.begin()
    world.bill(70)
    world.clock.advance(HOUR_MS)
    world.provider.faults["2026112314"] = NeverSent("unreachable")
    world.bill(30)
    world.clock.advance(2 * HOUR_MS)

    first = await world.poll()
    world.provider.faults.clear()
    second = await world.poll()

    assert [ghost.nano_usd for ghost in first.booked] == [70]
    assert first.stopped == Unavailable("unreachable")
    assert first.until_ms == (NOON_MS // HOUR_MS + 1) * HOUR_MS
    assert [ghost.nano_usd for ghost in second.booked] == [30]


async def test_flaws_of_the_bill_are_told(world: World) -> None:
    await world.begin()
    row = b'{"bizTime":"202611231305","billAmount":"-1"}'
    body = b'{"success":true,"data":{"analysis":{"costByApiKey":[%s]}}}' % row
    world.provider.faults["2026112313"] = FakeAnswer(body)
    world.clock.advance(HOUR_MS + 10 * MINUTE_MS)

    assert (await world.poll()).flaws == ("billAmount '-1' is negative",)


async def test_a_watch_does_not_begin_without_an_answer(world: World) -> None:
    world.provider.fault = FakeAnswer(b"{}", status=403)
    refused = await world.poll()
    world.provider.fault = None
    world.clock.advance(DAY_MS)
    world.bill(70)
    await world.begin()
    world.clock.advance(2 * HOUR_MS)

    assert isinstance(refused.stopped, Unavailable)
    assert (await world.poll()).booked == ()


async def test_one_replica_compares_at_a_time(world: World) -> None:
    await world.begin()
    await world.unclaim()

    outcomes = await asyncio.gather(*(world.replica().run_once() for _ in range(4)))

    assert [isinstance(each, Compared) for each in outcomes].count(True) == 1
    assert outcomes.count(Elsewhere()) == 3


@pytest.mark.parametrize(
    ("headers", "pause_ms"), [({"Retry-After": "900"}, 900_000), ({}, 270_000)]
)
async def test_a_provider_that_wants_fewer_requests_gets_none(
    world: World, headers: dict[str, str], pause_ms: int
) -> None:
    world.provider.fault = FakeAnswer(b"{}", status=429, headers=headers)

    outcome = await world.poll()

    assert isinstance(outcome.stopped, SlowDown)
    assert await world.replica().run_once() == Elsewhere()
    left_ms = await world.commands.execute("PTTL", world.keys.claim("totals:agi"))
    assert pause_ms - 30_000 < left_ms <= pause_ms


async def test_when_other_keys_become_known_the_watch_begins_anew(world: World) -> None:
    await world.begin()
    world.bill(70)
    world.clock.advance(2 * HOUR_MS)
    await world.poll()
    keyed = world.replica(account=KEYED)
    await world.poll(keyed)
    world.clock.advance(MINUTE_MS)
    world.bill(30, key="key_2")
    world.clock.advance(2 * HOUR_MS)

    booked = (await world.poll(keyed)).booked

    assert [ghost.nano_usd for ghost in booked] == [30]
    assert await world.spent() == 100


async def scene(world: World) -> None:
    """Ghosts on two days, of our keys and of others, and calls between them."""
    await world.begin()
    await world.call(1_000)
    world.bill(70)
    world.bill(11, key="key_2")
    world.clock.advance(DAY_MS)
    await world.call(1_000)
    world.bill(30)
    world.clock.advance(2 * HOUR_MS)


@pytest.mark.parametrize("after", [False, True])
async def test_whatever_breaks_off_nothing_is_booked_twice(world: World, *, after: bool) -> None:
    world.account = KEYED
    await scene(world)
    broken, step = True, 0
    while broken:
        # Every run breaks off one step later than the one before, until one comes to its end.
        world.steps.break_at(step, after=after)
        broken = False
        try:
            await world.unclaim()
            await world.replica().run_once()
        except LedgerUnavailable:
            broken = True
        step += 1
    world.steps.hold()
    await world.poll()

    assert step > 10
    assert await world.spent() == 111
    assert sorted(ghost.nano_usd for ghost in await world.found()) == [11, 30, 70]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", range(48))
async def test_a_comparison_that_breaks_off_is_finished_by_the_next(
    world: World, step: int, *, after: bool
) -> None:
    world.account = KEYED
    await scene(world)
    world.steps.break_at(step, after=after)
    with pytest.raises(LedgerUnavailable):
        await world.poll()
    world.steps.hold()

    await world.poll()

    assert await world.spent() == 111
    assert sorted(ghost.nano_usd for ghost in await world.found()) == [11, 30, 70]


async def test_a_replica_that_lost_its_claim_books_nothing_twice(world: World) -> None:
    world.account = KEYED
    await scene(world)

    async def compare() -> None:
        await world.unclaim()
        await world.replica().run_once()

    await asyncio.gather(*(compare() for _ in range(6)))
    await world.poll()

    assert await world.spent() == 111
    assert len(await world.found()) == 3


async def test_an_observer_is_told_what_was_found_and_flaws_once(world: World) -> None:
    await world.begin()
    rows = (
        b'{"bizTime":"202611231305","billAmount":"-1"},{"bizTime":"202611231305","billAmount":"2"}'
    )
    body = b'{"success":true,"data":{"analysis":{"costByApiKey":[%s]}}}' % rows
    replica = world.replica()
    for _ in range(2):
        world.provider.faults["2026112313"] = FakeAnswer(body)
        world.clock.advance(HOUR_MS)
        await world.unclaim()
        await replica.run_due()
    await replica.run_due()

    assert world.told.events == [
        ("ghost", 2_000_000_000),
        ("set aside", "totals", "billAmount '-1' is negative"),
    ]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (FakeAnswer(b"{}", status=429, headers={"Retry-After": "900"}), ("slowed", 900_000)),
        (FakeAnswer(b"{}", status=500), ("failed", "the provider answered with status 500")),
        (FakeAnswer(b"<p>"), ("failed", "the answer is not JSON: '<p>'")),
    ],
    ids=["slow", "status", "html"],
)
async def test_an_observer_is_told_why_totals_cannot_be_read(
    world: World, fault: FakeAnswer, told: tuple[object, ...]
) -> None:
    world.provider.fault = fault

    await world.replica().run_due()

    assert world.told.events == [told]
