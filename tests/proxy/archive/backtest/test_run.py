"""A backtest over an archive: from where it begins, what it counts, and under which policy."""

from __future__ import annotations

import json

import pytest

from policies.budgets import Budget, Caller
from policies.grants import Grant
from policies.ledger.memory import MemoryLedger
from policies.rulebook import Rulebook
from policies.units import USD, Amounts
from policies.windows import Calendar, FirstUse, Lifetime, Reported, Rolling, Window
from proxy.archive.backtest.run import LEAD_MS, Asked, begin_of, look_ahead, reproduce
from proxy.archive.database import Database
from tests.doubles.archived import archive_entries
from tests.doubles.archived_rows import stream_of
from tests.doubles.fake_clock import NOON_MS, FakeClock
from tests.doubles.past_calls import PastCall, outcome, rulebook_of

ORG = "acme"
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def policy(limit: int, window: Window) -> Rulebook:
    return rulebook_of([Budget(name="b", unit=USD, limit=limit, window=window)])


async def archived(
    database: Database, rulebook: Rulebook, calls: int = 10, every_ms: int = HOUR_MS
) -> FakeClock:
    """Archive calls of ten each, settled at eight at once; the clock stands at the last one."""
    clock = FakeClock()
    ledger = MemoryLedger(clock)
    grant = Grant(
        id="g",
        budget="b",
        unit=USD,
        amount=50,
        made_ms=clock.now_ms(),
        expires_ms=clock.now_ms() + 300 * DAY_MS,
        reason="why",
        actor="ann",
    )
    await ledger.note("grant_made", json.dumps(grant.journalled("cli")))
    for number in range(calls):
        clock.advance(every_ms if number else 0)
        call = PastCall(f"call-{number}", Caller(key_id="k", team="red"), 10, 10, 1, 1)
        held = await call.reserve(ledger, rulebook)
        if held is not None:
            amounts = Amounts(nano_usd=8)
            await ledger.settle(held, amounts, outcome=outcome(amounts))
    archive_entries(database, ORG, stream_of(await ledger.journal(count_max=10_000)))
    return clock


@pytest.mark.parametrize(
    "window",
    [Lifetime(), Calendar("week", "Asia/Kolkata"), Rolling(60 * HOUR_MS), FirstUse(60 * HOUR_MS)],
)
async def test_the_policy_in_force_is_reproduced_from_any_time_on(
    database: Database, window: Window
) -> None:
    # Half a day between two calls: more than is read of the time before.
    clock = await archived(database, policy(30, window), every_ms=DAY_MS // 2)

    for calls in (0, 1, 4, 9, 20):
        since_ms = clock.now_ms() - calls * DAY_MS // 2
        found, read = reproduce(database, ORG, Asked(since_ms=since_ms))
        assert (found.different, found.unaccounted) == (0, 0)
        assert found.decisions == min(calls + 1, 10)
        assert read.unreadable == 0
    found, read = reproduce(database, ORG, Asked())
    assert (found.decisions, found.different, read.from_the_beginning) == (10, 0, True)
    assert found.refusals > 0


async def test_only_what_a_time_needs_is_read(database: Database) -> None:
    clock = await archived(database, policy(1_000, Rolling(HOUR_MS)), calls=20, every_ms=DAY_MS)
    since_ms = clock.now_ms() - DAY_MS

    _, by_rolling = reproduce(database, ORG, Asked(since_ms=since_ms))
    _, ahead = look_ahead(database, ORG, policy(5, Calendar("day")), Asked(since_ms=since_ms))
    _, all_of_it = look_ahead(database, ORG, policy(5, Lifetime()), Asked(since_ms=since_ms))

    assert by_rolling.entries <= 8
    assert ahead.entries <= 8
    assert all_of_it.entries == 41


async def test_another_policy_is_looked_at_between_two_times(database: Database) -> None:
    # The budget of the day stands at 24 when the time begins that is asked for.
    clock = await archived(database, policy(1_000, Calendar("day")), calls=6)
    since_ms, until_ms = clock.now_ms() - 2 * HOUR_MS, clock.now_ms()

    found, _ = look_ahead(
        database, ORG, policy(45, Calendar("day")), Asked(since_ms=since_ms, until_ms=until_ms)
    )

    assert (found.calls, found.refused) == (2, 0)


async def test_a_grant_from_before_the_first_entry_that_is_read_still_counts(
    database: Database,
) -> None:
    clock = await archived(database, policy(1_000, Calendar("day")), calls=4, every_ms=3 * DAY_MS)
    asked = Asked(since_ms=clock.now_ms() - 1)

    found, read = look_ahead(database, ORG, policy(0, Calendar("day")), asked)

    assert not read.from_the_beginning
    assert (found.calls, found.refused) == (1, 0)


async def test_an_archive_without_entries_has_nothing_to_decide(database: Database) -> None:
    found, read = reproduce(database, "nobody", Asked(since_ms=1))
    ahead, _ = look_ahead(database, "nobody", policy(1, Lifetime()), Asked())

    assert (found.decisions, ahead.calls, read.entries) == (0, 0, 0)


@pytest.mark.parametrize(
    ("window", "before_ms"),
    [
        (Calendar("day"), 13 * HOUR_MS),
        (Rolling(6 * HOUR_MS), 6 * HOUR_MS + 6 * 60_000),
        (FirstUse(5 * HOUR_MS), 10 * HOUR_MS),
        (Reported(60_000), 0),
    ],
)
def test_it_begins_where_the_window_did(window: Window, before_ms: int) -> None:
    assert begin_of(policy(1, window), NOON_MS) == NOON_MS - before_ms - LEAD_MS


def test_a_lifetime_began_with_the_first_call() -> None:
    assert begin_of(policy(1, Lifetime()), NOON_MS) is None
