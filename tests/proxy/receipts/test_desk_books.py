"""Money at the desk: every budget ends at what was billed, whatever breaks off and whoever else is at it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from decimal import Decimal

import pytest

from policies.budgets import Budget
from policies.decisions import Refused
from policies.errors import LedgerUnavailable
from policies.ledger.connection import Connection
from policies.ledger.interface import Admission, Ask
from policies.ledger.redis_ledger import RedisLedger
from policies.reservations import State
from policies.units import CALLS, USD, Amounts
from policies.usage import Usage
from policies.windows import Calendar, FirstUse, Rolling
from proxy.receipts.history.groups import Group
from proxy.receipts.history.rows import Row
from proxy.receipts.history.shelf import Shelf
from proxy.receipts.receipt import Final, Never, Result, SetAside
from tests.doubles.calls import MODEL
from tests.doubles.fake_clock import FakeClock
from tests.proxy.receipts.breaking import BreakingCommands, BreakingLedger, Steps
from tests.proxy.receipts.desks import (
    COUNT,
    DAY,
    DAY_MS,
    DIEM,
    HELD,
    LIFE,
    MINUTE_MS,
    PROVIDER,
    TOKEN,
    World,
    world,
)

BILLED = Final(nano_usd=1_008)
HOUR_MS = 60 * MINUTE_MS
#: More than a desk ever does for one call.
STEPS_MAX = 40


@pytest.fixture
def here(redis_ledger: RedisLedger, connection: Connection, clock: FakeClock) -> World:
    return world(redis_ledger, connection, clock, LIFE, DAY, COUNT, TOKEN, DIEM)


# Units…


async def test_a_receipt_corrects_money_and_leaves_calls_and_tokens(here: World) -> None:
    await here.settle()
    assert await here.spent() == [700, 700, 1, 42, 0]
    here.adapter.says("gen-a", BILLED)

    await here.round()

    assert await here.spent() == [1_008, 1_008, 1, 42, 0]


async def test_tokens_of_an_answer_that_was_cut_are_corrected(here: World) -> None:
    await here.settle(certainty="at_least")
    here.adapter.says("gen-a", replace(BILLED, usage=Usage(input_tokens=30, output_tokens=70)))

    await here.round()

    assert await here.spent() == [1_008, 1_008, 1, 100, 0]


async def test_tokens_of_a_whole_answer_are_not(here: World) -> None:
    await here.settle()
    here.adapter.says("gen-a", replace(BILLED, usage=Usage(input_tokens=30, output_tokens=70)))

    await here.round()

    assert (await here.spent())[3] == 42
    assert [each.usage_differs for each in here.watch.adjustments] == [True]


async def test_an_expired_call_gets_its_true_amounts(here: World) -> None:
    await here.expire()
    assert await here.spent() == [HELD, HELD, 1, HELD, HELD]
    here.adapter.says("gen-a", Final(nano_usd=3, usage=Usage(input_tokens=1, output_tokens=2)))

    await here.round()

    assert await here.spent() == [3, 3, 1, 3, 0]


@pytest.mark.parametrize(("receipt", "diem"), [({"DIEM": 400}, 400), ({"VCU": 9}, 0), ({}, 0)])
async def test_credits_are_what_the_provider_says(
    here: World, receipt: dict[str, int], diem: int
) -> None:
    await here.settle(diem=500)
    here.adapter.says("gen-a", replace(BILLED, credits=receipt))

    await here.round()

    assert (await here.spent())[4] == diem


# Limits and windows…


async def test_a_budget_that_a_receipt_pushes_over_its_limit_refuses_and_shows_by_how_much(
    redis_ledger: RedisLedger, connection: Connection, clock: FakeClock
) -> None:
    small = replace(LIFE, limit=1_500)
    here = world(redis_ledger, connection, clock, small)
    await here.settle()
    here.adapter.says("gen-a", Final(nano_usd=2_000))

    await here.round()

    (standing,) = await here.standings()
    assert (standing.spent, standing.overrun, standing.remaining) == (2_000, 1_000, 0)
    ask = Ask(budget=small, subject="", held=1, bound=1)
    decision = await here.ledger.reserve("b", [ask], data="{}", admission=Admission.DECIDE)
    assert isinstance(decision, Refused)


async def test_a_receipt_below_what_was_metered_makes_room(
    redis_ledger: RedisLedger, connection: Connection, clock: FakeClock
) -> None:
    here = world(redis_ledger, connection, clock, replace(LIFE, limit=1_500))
    await here.settle()
    here.adapter.says("gen-a", Final(nano_usd=500))

    await here.round()
    await here.reserve("b", held=1_000)

    (standing,) = await here.standings()
    assert (standing.spent, standing.reserved, standing.overrun) == (500, 1_000, 0)


@pytest.mark.parametrize(
    ("window", "closed_is_corrected"),
    [(Calendar("day"), True), (Rolling(HOUR_MS), False), (FirstUse(HOUR_MS), False)],
)
async def test_a_receipt_after_the_window_corrects_the_closed_one_and_not_the_present_one(
    redis_ledger: RedisLedger,
    connection: Connection,
    clock: FakeClock,
    window: Calendar | Rolling | FirstUse,
    closed_is_corrected: bool,
) -> None:
    short = Budget(name="short", unit=USD, limit=10**9, window=window)
    here = world(redis_ledger, connection, clock, LIFE, short)
    await here.settle()
    clock.advance(DAY_MS)
    await here.settle("b", 5)
    here.adapter.says("gen-a", BILLED)
    here.adapter.says("gen-b", Final(nano_usd=6))

    await here.round()

    assert await here.spent() == [1_008 + 6, 6]
    booked = {event[1]: event[2:] for event in here.watch.named("booked")}
    assert booked == {"a": (1_008, 1), "b": (6, 0)}
    entries = [each for each in await here.ledger.journal() if each.kind == "receipt"]
    (entry,) = [each for each in entries if each.call_id == "a"]
    life, prior = entry.movements
    assert (life.prior_period, life.spent_change) == (False, 308)
    assert (prior.prior_period, prior.spent_change) == (True, 308 if closed_is_corrected else 0)


# Once…


async def test_the_same_receipt_three_times_changes_nothing(here: World) -> None:
    await here.settle()
    here.adapter.says("gen-a", BILLED)
    await here.round()
    books = (await here.spent(), await here.sums(), len(await here.ledger.journal()))

    for _ in range(3):
        await here.commands.execute("ZADD", here.ledger.keys.receipts(PROVIDER, "due"), 0, "a")
        await here.round()

    assert (await here.spent(), await here.sums(), len(await here.ledger.journal())) == books
    assert len(here.watch.named("booked")) == 1


async def test_what_is_added_up_is_what_was_booked(here: World) -> None:
    results: dict[str, tuple[str, Result]] = {
        "a": ("exact", BILLED),
        "b": ("at_least", Final(nano_usd=50)),
        "c": ("exact", Final(nano_usd=0)),
        "d": ("exact", Never("subscription")),
        "e": ("unknown", Never("subscription")),
    }
    for call_id, (certainty, result) in results.items():
        await here.settle(call_id, certainty=certainty)
        here.adapter.says(f"gen-{call_id}", result)
    await here.expire("f")
    here.adapter.says("gen-f", Final(nano_usd=4))

    await here.round()

    sums = await here.sums()
    assert {name.removeprefix(f"{MODEL}|"): count for name, count in sums.items()} == {
        "receipted": 4,
        "billed": 1_008 + 50 + 4,
        "metered": 5 * 700,
        "compared": 2,
        "compared_metered": 2 * 700,
        "compared_billed": 1_008,
        "never": 2,
        "@1300|billed": 1_008 + 50 + 4,
        "@1300|calls": 4,
    }
    assert (await here.spent())[0] == sums[f"{MODEL}|billed"] + 2 * 700


@pytest.mark.parametrize(
    ("results", "spent", "news"),
    [
        ([BILLED], 1_008, "booked"),
        ([SetAside("odd"), BILLED], 1_008, "booked"),
        ([Never("subscription")], 700, "given_up"),
    ],
    ids=["billed", "odd-first", "never"],
)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_whatever_breaks_off_at_any_step_the_books_end_alike(
    here: World, results: list[Result], spent: int, news: str, after: bool
) -> None:
    steps = Steps()
    ledger = BreakingLedger(here.ledger, steps)
    breaking = here.desk(ledger=ledger, commands=BreakingCommands(here.commands, steps))
    broken = 0
    for at in range(STEPS_MAX):
        call_id = f"c{at}"
        await here.settle(call_id)
        here.adapter.says(f"gen-{call_id}", *results)
        steps.break_at(at, after=after)
        for _ in range(2):
            try:
                await here.round(breaking)
            except LedgerUnavailable:
                broken += 1
            here.clock.advance(2 * MINUTE_MS)
        for _ in range(3):
            await here.round()
            here.clock.advance(2 * MINUTE_MS)

        assert await here.due() == {}
        assert await here.schedule.asides(PROVIDER) == {}
        assert (await here.spent())[0] == spent * (at + 1)
    sums = await here.sums()

    assert 5 < broken < STEPS_MAX
    ends = sums.get(f"{MODEL}|receipted", 0) + sums.get(f"{MODEL}|never", 0)
    assert ends == STEPS_MAX
    assert len(here.watch.named(news)) <= STEPS_MAX


async def test_two_desks_at_the_same_queue_end_in_the_books_of_one(here: World) -> None:
    for number in range(40):
        await here.settle(f"c{number}")
        here.adapter.says(f"gen-c{number}", Final(nano_usd=1_000 + number))

    while await here.due():
        await asyncio.gather(here.round(here.desk()), here.round(here.desk()))
        here.clock.advance(MINUTE_MS)

    assert (await here.spent())[:3] == [40 * 1_000 + sum(range(40))] * 2 + [40]
    assert len(here.adapter.asked) == 40
    assert len(here.watch.named("booked")) == 40


async def test_a_call_that_two_desks_look_up_at_once_is_booked_once(here: World) -> None:
    await here.settle()
    here.adapter.says("gen-a", BILLED)
    queue = here.ledger.keys.receipts(PROVIDER, "due")

    # The claim of the first one ends while it looks the call up.
    first = here.desk()
    second_claims = asyncio.Event()

    async def wait(target: object) -> None:
        if not second_claims.is_set():
            second_claims.set()
            await here.commands.execute("ZADD", queue, 0, "a")
            await here.round(here.desk())

    here.upstream.before = wait
    await here.round(first)

    assert (await here.spent())[0] == 1_008
    assert here.adapter.asked == ["gen-a", "gen-a"]
    assert len(here.watch.named("booked")) == 1
    assert (await here.sums())[f"{MODEL}|receipted"] == 1


async def test_a_call_that_two_desks_give_up_at_once_is_given_up_once(here: World) -> None:
    await here.settle()
    queue = here.ledger.keys.receipts(PROVIDER, "due")
    here.adapter.says("gen-a", Never("subscription"))
    both = asyncio.Barrier(2)

    async def wait(target: object) -> None:
        async with both:
            pass

    async def late() -> None:
        await here.commands.execute("ZADD", queue, 0, "a")
        await here.round()

    here.upstream.before = wait
    await asyncio.gather(here.round(), late())

    assert len(here.watch.named("given_up")) == 1
    assert (await here.sums())[f"{MODEL}|never"] == 1
    assert (await here.spent())[0] == 700


@pytest.mark.parametrize(("billed", "word"), [(10**12, "booked"), (10**12 + 1, "set_aside")])
async def test_a_call_whose_price_nobody_knew_is_not_absurd_for_being_dear(
    here: World, billed: int, word: str
) -> None:
    await here.settle(nano_usd=0, certainty="unpriced", quote=False)
    here.adapter.says("gen-a", Final(nano_usd=billed))

    assert await here.round() == {word: 1}


async def test_a_late_settlement_changes_nothing_that_was_billed(here: World) -> None:
    held = await here.expire()
    here.adapter.says("gen-a", BILLED)
    await here.round()

    with pytest.raises(Exception, match="cannot settle"):
        await here.settle(reservation=held)

    assert (await here.spent())[0] == 1_008
    assert await here.due() == {}


# From the shelf…


def rows(*billed: str, at_ms: int, request_id: str = "gen-a") -> Group:
    return Group(
        request_id,
        tuple(
            Row(
                at_ms=at_ms + number,
                billed=Decimal(amount),
                currency="DIEM",
                sku="output",
                request_id=request_id,
                prompt_tokens=30,
                completion_tokens=12,
            )
            for number, amount in enumerate(billed)
        ),
    )


@pytest.fixture
def shelf(here: World) -> Shelf:
    return Shelf(here.commands, here.ledger.keys, PROVIDER)


async def test_rows_of_a_call_are_its_receipt_when_no_more_may_come(
    here: World, shelf: Shelf
) -> None:
    await here.settle(diem=700)
    await shelf.put([rows("0.0000008", "0.0000002001", at_ms=1)], here.clock.now_ms())

    assert await here.round(here.desk(shelf=shelf)) == {"pending": 1}
    here.clock.advance(here.settings.rows_settle_ms)
    assert await here.round(here.desk(shelf=shelf)) == {"booked": 1}

    # Rounded once, upwards, over all rows.
    assert await here.spent() == [1_001, 1_001, 1, 42, 1_001]
    assert json.loads((await here.record()).receipt)["source"] == "history"
    assert here.adapter.asked == []


async def test_a_call_without_rows_is_looked_for_after_the_next_scan(
    here: World, shelf: Shelf
) -> None:
    await here.settle()

    here.clock.advance(4 * HOUR_MS)
    assert await here.round(here.desk(shelf=shelf)) == {"pending": 1}

    assert await here.due() == {"a": here.settings.scan_every_ms}


async def test_a_ghost_that_a_call_explains_is_taken_back_when_it_is_booked(
    here: World, shelf: Shelf
) -> None:
    ghost = await _unclaimed(here, shelf, "0.000001")

    await here.settle()
    assert await here.round(here.desk(shelf=shelf)) == {"booked": 1}

    assert here.ghosts.taken_back == [ghost]
    assert (await here.spent())[0] == 1_000


async def test_a_ghost_stays_while_the_amount_of_its_call_does_not_add_up(
    here: World, shelf: Shelf
) -> None:
    await _unclaimed(here, shelf, "5")

    await here.settle()
    assert await here.round(here.desk(shelf=shelf)) == {"set_aside": 1}

    assert here.ghosts.taken_back == []
    assert (await here.spent())[0] == 700


async def _unclaimed(here: World, shelf: Shelf, billed: str) -> str:
    """Put rows on the shelf that become a ghost; return its id."""
    await shelf.put([rows(billed, at_ms=1)], here.clock.now_ms())
    here.clock.advance(HOUR_MS)
    (ghost,) = await shelf.unclaimed(HOUR_MS, 10, here.clock.now_ms())
    await shelf.mark_ghost(ghost)
    return ghost.id


async def test_an_expired_call_that_gets_its_receipt_counts_as_one_call(here: World) -> None:
    held = await here.expire()
    here.adapter.says("gen-a", BILLED)
    await here.round()

    record = await here.record()
    assert record.state is State.RECEIPTED
    at = [charge.unit for charge in held.charges].index(CALLS)
    assert record.charged[at] == Amounts().calls
