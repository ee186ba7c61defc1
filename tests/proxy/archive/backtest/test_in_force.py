"""Decisions are made again as they were recorded; what is odd about the record is said."""

from __future__ import annotations

import json
from dataclasses import replace

from policies.budgets import Budget
from policies.ledger.interface import Admission, Ask
from policies.ledger.memory import MemoryLedger
from policies.units import USD, Amounts
from policies.windows import FirstUse, Lifetime, Rolling
from proxy.archive.backtest.in_force import TOLD_MAX, InForce, Reproduction
from proxy.archive.backtest.records import Recorded
from tests.doubles.archived_rows import recorded_of
from tests.doubles.fake_clock import FakeClock

LIFE = Budget(name="life", unit=USD, limit=20, window=Lifetime())
HOUR_MS = 3_600_000


class Past:
    """A ledger, and what its journal says."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.ledger = MemoryLedger(self.clock)
        self.made = 0

    async def call(
        self, held: int, *budgets: Budget, admission: Admission = Admission.DECIDE
    ) -> None:
        self.made += 1
        asks = [Ask(budget=each, subject="", held=held, bound=held) for each in budgets or (LIFE,)]
        await self.ledger.reserve(f"call-{self.made}", asks, data="{}", admission=admission)

    async def settle(self, number: int, nano_usd: int) -> None:
        record = await self.ledger.find(f"call-{number}")
        assert record is not None
        await self.ledger.settle(record.reservation, Amounts(nano_usd=nano_usd), outcome="{}")

    async def entries(self) -> list[Recorded]:
        return recorded_of(await self.ledger.journal(count_max=1_000))


def decided(
    entries: list[Recorded], *, report_from_ms: int = 0, first: bool = True
) -> Reproduction:
    engine = InForce(report_from_ms=report_from_ms, from_the_beginning=first)
    for entry in entries:
        engine.take(entry)
    return engine.found


async def test_a_refusal_by_a_hair_comes_out_again() -> None:
    past = Past()
    for held in (10, 10, 1):
        await past.call(held)

    found = decided(await past.entries())

    assert (found.decisions, found.refusals, found.different) == (3, 1, 0)


async def test_a_forced_call_passes_and_leaves_its_overrun() -> None:
    past = Past()
    await past.call(30, admission=Admission.FORCE)
    await past.call(1)

    found = decided(await past.entries())

    assert (found.refusals, found.different, found.unaccounted) == (1, 0, 0)


async def test_a_first_use_window_that_began_unseen_is_taken_from_the_record() -> None:
    first = Budget(name="first", unit=USD, limit=5, window=FirstUse(HOUR_MS))
    past = Past()
    await past.call(9, first, admission=Admission.TRY)
    past.clock.advance(HOUR_MS - 1)
    await past.call(5, first)
    past.clock.advance(1)
    await past.call(5, first)

    found = decided(await past.entries())

    assert (found.decisions, found.refusals, found.different) == (2, 0, 0)


async def test_a_limit_that_was_changed_in_the_record_is_found() -> None:
    past = Past()
    await past.call(15)
    entries = await past.entries()
    entries[0].checks[0].limit = 5

    (difference,) = decided(entries).told

    assert difference.recorded == "admitted"
    assert difference.decided == "refused by life (no room: life)"


async def test_money_that_a_ledger_lost_is_said_and_decided_on_as_it_stood() -> None:
    before, after = Past(), Past()
    await before.call(15)
    await before.settle(1, 15)
    # Redis was emptied: the same budget begins at nothing.
    after.made = 1
    await after.call(15)
    entries = [*await before.entries(), *await after.entries()]

    found = decided(entries)

    assert (found.different, found.unaccounted) == (0, 1)
    assert found.first_unaccounted == entries[-1].number


async def test_what_is_before_the_time_that_is_asked_for_is_not_counted() -> None:
    rolling = Budget(name="rolling", unit=USD, limit=20, window=Rolling(HOUR_MS))
    past = Past()
    await past.call(15, rolling, LIFE)
    past.clock.advance(HOUR_MS // 2)
    since_ms = past.clock.now_ms()
    await past.call(10, rolling, LIFE)

    found = decided(await past.entries(), report_from_ms=since_ms)

    assert (found.decisions, found.refusals, found.different) == (1, 1, 0)


async def test_a_journal_without_its_beginning_is_taken_over_where_it_begins() -> None:
    past = Past()
    await past.call(15)
    await past.settle(1, 12)
    await past.call(8)
    entries = (await past.entries())[1:]

    found = decided(entries, first=False)

    assert (found.different, found.unaccounted) == (0, 0)


async def test_decisions_from_before_they_said_what_they_looked_at_are_left_out() -> None:
    past = Past()
    await past.call(15)
    entries = [replace(entry, checks=[]) for entry in await past.entries()]

    found = decided(entries)

    assert (found.decisions, found.without_checks) == (0, 1)


async def test_of_many_differences_some_are_told_and_all_are_counted() -> None:
    past = Past()
    for _ in range(TOLD_MAX + 5):
        await past.call(0)
    entries = await past.entries()
    for entry in entries:
        entry.kind = "refused"

    found = decided(entries)

    assert (found.different, len(found.told)) == (TOLD_MAX + 5, TOLD_MAX)
    assert json.dumps(found.told[0].decided) == '"admitted"'
