"""Whatever calls do under whatever policy: decided again under the same policy, nothing comes out otherwise."""

from __future__ import annotations

import asyncio

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from policies.budgets import Budget
from policies.ledger.memory import MemoryLedger
from proxy.archive.backtest.in_force import InForce, Reproduction
from proxy.archive.backtest.records import Recorded
from tests.doubles.fake_clock import FakeClock
from tests.doubles.ledger_stories import MINUTE_MS, WALLET, Story, budgets


def story_of(data: DataObject, chosen: list[Budget]) -> Story:
    clock = FakeClock()
    return Story(data, chosen, MemoryLedger(clock), clock)


def decided_again(entries: list[Recorded]) -> Reproduction:
    engine = InForce()
    for entry in entries:
        engine.take(entry)
    return engine.found


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), budgets())
def test_every_decision_and_every_balance_is_reproduced(
    data: DataObject, chosen: list[Budget]
) -> None:
    async def told() -> list[Recorded]:
        story = story_of(data, chosen)
        for _ in range(data.draw(st.integers(1, 40))):
            await story.step()
        return await story.entries()

    entries = asyncio.run(told())

    found = decided_again(entries)

    assert found.told == []
    assert (found.different, found.unaccounted, found.without_checks) == (0, 0, 0)
    event(f"refusals: {min(found.refusals, 3)}")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), budgets())
def test_decisions_from_some_time_on_are_reproduced_with_what_came_shortly_before(
    data: DataObject, chosen: list[Budget]
) -> None:
    async def told() -> tuple[list[Recorded], int]:
        story = story_of(data, [each for each in chosen if each.quote == "bound"] or [WALLET])
        for _ in range(20):
            await story.step()
        story.clock.advance(data.draw(st.sampled_from([0, MINUTE_MS, 25 * MINUTE_MS])))
        since_ms = story.clock.now_ms()
        for _ in range(20):
            await story.step()
        return await story.entries(), since_ms

    entries, since_ms = asyncio.run(told())
    lead = [entry for entry in entries if entry.at_ms >= since_ms - 24 * MINUTE_MS]

    # Longer than any window that slides: what was spent before has left it.
    engine = InForce(report_from_ms=since_ms, from_the_beginning=False)
    for entry in lead:
        engine.take(entry)

    assert engine.found.told == []
    assert engine.found.unaccounted == 0


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), budgets())
def test_a_decision_that_was_changed_afterwards_is_found(
    data: DataObject, chosen: list[Budget]
) -> None:
    async def told() -> list[Recorded]:
        story = story_of(data, chosen)
        for _ in range(30):
            await story.step()
        return await story.entries()

    entries = asyncio.run(told())
    refused = [entry for entry in entries if entry.kind == "refused"]
    if not refused:
        return
    refused[0].kind = "admitted"

    found = decided_again(entries)

    assert found.different >= 1
    assert found.told[0].number == refused[0].number
    assert found.told[0].recorded == "admitted"
