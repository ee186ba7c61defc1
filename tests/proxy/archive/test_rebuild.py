"""A ledger is given back what it lost, and no more. (In all variety: tests/properties/test_rebuild.py.)"""

from __future__ import annotations

import pytest

from policies.budgets import Budget
from policies.ledger.connection import Connection
from policies.ledger.redis_ledger import RedisLedger
from policies.reservations import State
from policies.units import USD
from policies.windows import Calendar, FirstUse, Lifetime, Rolling
from proxy.archive.compare import compare
from proxy.archive.database import Database
from proxy.archive.rebuild import JUST_ENDED_MS, rebuild
from tests.doubles.archived import archive_entries
from tests.doubles.emptied_redis import copy, put_back
from tests.doubles.fake_clock import FakeClock
from tests.doubles.journal_rows import entry, move
from tests.doubles.past_calls import rulebook_of
from tests.proxy.archive.recovering import DAY_MS, Kept

HOUR_MS = 3_600_000
RULES = rulebook_of(
    [
        Budget(name="life", unit=USD, limit=1_000, window=Lifetime()),
        Budget(name="day", unit=USD, limit=1_000, window=Calendar("day", "Asia/Kolkata")),
        Budget(name="roll", unit=USD, limit=1_000, window=Rolling(5 * HOUR_MS), each="user"),
        Budget(name="first", unit=USD, limit=1_000, window=FirstUse(5 * HOUR_MS)),
    ]
)
LIFE = "life:USD::lifetime"


@pytest.fixture
def kept(
    redis_ledger: RedisLedger,
    connection: Connection,
    sqlite_archive: Database,
    organization: str,
    clock: FakeClock,
) -> Kept:
    return Kept(redis_ledger, connection, sqlite_archive, organization, clock, RULES)


async def test_windows_of_every_kind_and_calls_in_flight_are_given_back(kept: Kept) -> None:
    await kept.call("settled", settled=12)
    kept.clock.advance(HOUR_MS)
    await kept.call("open")
    await kept.archive()
    before = {counter: await stands(kept, counter) for counter in await counters(kept)}
    await kept.empty()

    rebuilt = await rebuild(kept.sources)

    assert {counter: await stands(kept, counter) for counter in before} == before
    assert len(before) == 4
    assert rebuilt.counters == 4
    assert {each.counter for each in rebuilt.raised} == set(before)
    assert dict(rebuilt.calls) == {"settled": 1, "reserved": 1}
    # The worker of the call in flight may end it as if nothing had happened.
    await kept.settle("open", 7)
    assert (await kept.hash(LIFE))["spent"] == 19


async def counters(kept: Kept) -> list[str]:
    records = [await kept.ledger.find(call_id) for call_id in kept.held]
    charges = [
        charge for each in records if each is not None for charge in each.reservation.charges
    ]
    return sorted({charge.counter for charge in charges})


async def stands(kept: Kept, counter: str) -> dict[str, int]:
    # From where on sub-buckets are looked at is no part of what it has come to.
    stored = await kept.hash(counter)
    return {name: amount for name, amount in stored.items() if amount and name != "oldest"}


async def test_calls_that_wait_for_their_receipt_wait_again(kept: Kept) -> None:
    await kept.call("settled", settled=12)
    await kept.call("expired")
    await kept.ledger.expire(kept.held["expired"])
    await kept.archive()
    await kept.empty()

    rebuilt = await rebuild(kept.sources)

    assert await kept.waiting() == ["expired", "settled"]
    # The id under which a provider knows a call is told in its settlement; else it was in Redis alone.
    assert rebuilt.without_ids == 1


async def test_what_waits_no_longer_and_is_long_over_is_not_given_back(kept: Kept) -> None:
    await kept.call("long-over", settled=12)
    await kept.call("released")
    await kept.ledger.release(kept.held["released"], outcome="{}")
    kept.clock.advance(DAY_MS + 1)
    await kept.call("just-released")
    await kept.ledger.release(kept.held["just-released"], outcome="{}")
    kept.clock.advance(JUST_ENDED_MS)
    await kept.archive()
    await kept.empty()

    rebuilt = await rebuild(kept.sources)

    # Whoever books its end once more finds that it has ended.
    assert dict(rebuilt.calls) == {"released": 1}
    assert await kept.ledger.find("just-released") is not None
    assert await kept.ledger.find("long-over") is None


async def test_a_window_that_is_over_is_given_back_where_a_receipt_may_correct_it(
    kept: Kept,
) -> None:
    await kept.call("settled", settled=12)
    (day,) = [each for each in await counters(kept) if each.startswith("day:")]
    kept.clock.advance(11 * HOUR_MS)
    await kept.archive()
    await kept.empty()

    await rebuild(kept.sources)

    assert (await kept.hash(day))["spent"] == 12


async def test_an_overrun_is_not_lost_with_what_was_spent_before_redis_was_emptied(
    kept: Kept,
) -> None:
    await kept.call("over", settled=17)
    await kept.archive()
    await kept.empty()
    await kept.call("new", settled=10)
    await kept.archive()

    await rebuild(kept.sources)

    life = await kept.hash(LIFE)
    assert (life["spent"], life["overrun"]) == (27, 7)


async def test_a_very_old_copy_is_brought_up_to_date_call_by_call(kept: Kept) -> None:
    await kept.call("open")
    await kept.call("settled", settled=12)
    copied = await copy(kept.connection, kept.ledger.keys)
    await kept.settle("open", 8)
    await kept.ledger.give_up(kept.held["settled"], outcome="{}", queue="venice")
    kept.clock.advance(3 * DAY_MS)
    await kept.archive()
    await put_back(kept.connection, kept.ledger.keys, copied)
    await kept.set_time()

    rebuilt = await rebuild(kept.sources)

    assert rebuilt.moved_on == 2
    record = await kept.ledger.find("open")
    assert record is not None
    assert record.state is State.SETTLED
    life = await kept.hash(LIFE)
    assert (life["spent"], life["reserved"]) == (20, 0)
    assert not (await rebuild(kept.sources)).changed


async def test_a_window_that_nobody_can_place_is_left_alone_and_named(kept: Kept) -> None:
    # Its only entries are of a kind that says nothing of its window, and no policy knows it.
    now_ms = kept.clock.now_ms()
    month = f"gone:USD::{_month(now_ms)}"
    odd = entry("settle", None, {}, [move(month, spent=5, after=(5, 0, 0))], at_ms=now_ms)
    archive_entries(kept.database, kept.organization, [odd])

    rebuilt = await rebuild(kept.sources)

    assert rebuilt.undetermined == (month,)
    assert not rebuilt.changed
    assert (await compare(kept.sources)).undetermined == (month,)


def _month(now_ms: int) -> str:
    budget = Budget(name="b", unit=USD, limit=1, window=Calendar("month"))
    assert isinstance(budget.window, Calendar)
    return budget.window.span(now_ms).id
