"""What counters must have is told by what was booked, and by the entries of windows that slide."""

from __future__ import annotations

import pytest

from policies.budgets import Budget
from policies.ledger.connection import Connection
from policies.ledger.redis_ledger import RedisLedger
from policies.rulebook import Rulebook
from policies.units import USD
from policies.windows import Calendar, FirstUse, Rolling
from proxy.archive.backtest.records import recorded
from proxy.archive.database import Database
from proxy.archive.recovery.picture import Picture, closed_counters, picture_of
from tests.doubles.archived import archive_entries
from tests.doubles.archived_rows import row_of
from tests.doubles.fake_clock import FakeClock
from tests.doubles.journal_rows import entry, move
from tests.doubles.past_calls import rulebook_of
from tests.proxy.archive.recovering import Kept

HOUR_MS = 3_600_000
RULES = rulebook_of(
    [
        Budget(name="day", unit=USD, limit=1_000, window=Calendar("day", "Asia/Kolkata")),
        Budget(name="roll", unit=USD, limit=1_000, window=Rolling(5 * HOUR_MS)),
        Budget(name="first", unit=USD, limit=1_000, window=FirstUse(5 * HOUR_MS)),
    ]
)
ROLL = f"roll:USD::rolling-{5 * HOUR_MS}"
FIRST = f"first:USD::first-use-{5 * HOUR_MS}"


@pytest.fixture
def kept(
    redis_ledger: RedisLedger,
    connection: Connection,
    database: Database,
    organization: str,
    clock: FakeClock,
) -> Kept:
    return Kept(redis_ledger, connection, database, organization, clock, RULES)


def pictured(kept: Kept, rulebook: Rulebook = RULES) -> Picture:
    now_ms = kept.clock.now_ms()
    return picture_of(kept.database, kept.organization, now_ms, rulebook)


async def test_what_has_left_a_window_that_slides_is_left_out(kept: Kept) -> None:
    await kept.call("a", settled=12)
    kept.clock.advance(3 * HOUR_MS)
    await kept.call("b", settled=5)
    kept.clock.advance(3 * HOUR_MS)
    await kept.archive()

    picture = pictured(kept)

    records = {record.counter: record for record in picture.records(kept.clock.now_ms())}
    assert records[ROLL].spent == 5
    assert list(records[ROLL].buckets.values()) == [5]
    assert FIRST not in records


async def test_a_window_that_began_with_its_use_has_its_beginning(kept: Kept) -> None:
    began_ms = kept.clock.now_ms()
    await kept.call("a", settled=12)
    kept.clock.advance(HOUR_MS)
    await kept.archive()

    (first,) = [
        each for each in pictured(kept).records(kept.clock.now_ms()) if "first" in each.counter
    ]

    assert (first.start_ms, first.spent, first.overrun) == (began_ms, 12, 2)


async def test_when_a_day_ends_is_told_by_the_call_that_was_booked_on_it(kept: Kept) -> None:
    await kept.call("a", settled=12)
    await kept.archive()
    window = Calendar("day", "Asia/Kolkata")

    picture = pictured(kept, Rulebook())

    (day,) = [each for each in picture.records(kept.clock.now_ms()) if "day" in each.counter]
    assert day.length_ms == window.span(kept.clock.now_ms()).end_ms
    # It is over in India, and not yet in UTC.
    assert day.counter not in {each.counter for each in picture.records(day.length_ms)}


async def test_or_by_the_policies_where_no_entry_tells_it(kept: Kept) -> None:
    now_ms = kept.clock.now_ms()
    name = f"day:USD::{Calendar('day', 'Asia/Kolkata').span(now_ms).id}"
    odd = entry("restore", None, {}, [move(name, spent=5, after=(5, 0, 0))], at_ms=now_ms)
    archive_entries(kept.database, kept.organization, [odd])

    known, unknown = pictured(kept), pictured(kept, Rulebook())

    (record,) = known.records(now_ms)
    # What a rebuild put back was booked by nobody that the archive knows.
    assert (record.counter, record.spent) == (name, 0)
    assert (unknown.undetermined, unknown.records(now_ms)) == ([name], [])


async def test_entries_that_are_not_archived_yet_go_on_from_there(kept: Kept) -> None:
    await kept.call("a", settled=12)
    await kept.archive()
    picture = pictured(kept)
    await kept.call("b", settled=5)
    await kept.call("c")
    tail = [each for each in await kept.ledger.journal(count_max=100) if each.call_id != "a"]

    for number, each in enumerate(tail, 3):
        read = recorded(row_of(each, number))
        assert read is not None
        picture.take(read)

    records = {each.counter: each.spent for each in picture.records(kept.clock.now_ms())}
    assert (records[ROLL], records[FIRST]) == (17, 17)
    assert set(picture.holding) == {"c"}
    assert picture.reserved()[FIRST] == 10


async def test_counters_of_windows_that_are_over_are_found_by_name(kept: Kept) -> None:
    await kept.call("a", settled=12)
    (day,) = [each.counter for each in kept.held["a"].charges if each.counter.startswith("day")]
    kept.clock.advance(48 * HOUR_MS)
    await kept.archive()

    assert [each for each in pictured(kept).known if "day" in each] == []
    (known,) = closed_counters(kept.database, kept.organization, [day, "stranger:USD::x"])
    assert (known.counter, known.booked, known.overrun) == (day, 12, 2)


def test_of_an_organisation_without_an_archive_nothing_is_known(database: Database) -> None:
    picture = picture_of(database, "nobody", 1, RULES)

    assert (picture.known, picture.undetermined, picture.records(1)) == ({}, [], [])
