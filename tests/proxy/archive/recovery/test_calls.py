"""Calls as the ledger kept them are told by their entries."""

from __future__ import annotations

import pytest

from policies.budgets import Caller
from policies.ledger.interface import CallRecord
from policies.ledger.memory import MemoryLedger
from policies.reservations import State
from policies.units import Amounts
from proxy.archive.backtest.records import Recorded
from proxy.archive.database import Database
from proxy.archive.recovery import calls as module
from proxy.archive.recovery.calls import ArchivedCall, call_of, calls_by_id, calls_since
from proxy.archive.scan import DISORDER_MS
from tests.doubles.archived import archive_entries
from tests.doubles.archived_rows import recorded_of, stream_of
from tests.doubles.fake_clock import FakeClock
from tests.doubles.ledger_stories import WALLET
from tests.doubles.past_calls import PastCall, outcome, rulebook_of

DAY_MS = 86_400_000
RULES = rulebook_of([WALLET])


class Past:
    """A ledger with calls in every state."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.ledger = MemoryLedger(self.clock)

    async def call(self, call_id: str, *operations: str) -> None:
        call = PastCall(call_id, Caller(key_id="k", team="red"), 10, 10, 1, 1)
        held = await call.reserve(self.ledger, RULES)
        assert held is not None
        amounts = Amounts(nano_usd=8)
        for operation in operations:
            self.clock.advance(5)
            match operation:
                case "settle":
                    await self.ledger.settle(held, amounts, outcome=outcome(amounts))
                case "receipt":
                    billed = Amounts(nano_usd=11)
                    await self.ledger.receipt(held, billed, outcome='{"nano_usd":11}')
                case "expire":
                    await self.ledger.expire(held)
                case "release":
                    await self.ledger.release(held, outcome='{"reason":"x"}')
                case _:
                    await self.ledger.give_up(held, outcome='{"given_up":"x"}')

    async def entries(self) -> list[Recorded]:
        return recorded_of(await self.ledger.journal(count_max=1_000))

    async def archived(self, database: Database) -> None:
        entries = stream_of(await self.ledger.journal(count_max=1_000))
        archive_entries(database, "acme", entries)


@pytest.mark.parametrize(
    "operations",
    [
        (),
        ("settle",),
        ("settle", "receipt"),
        ("settle", "give_up"),
        ("settle", "give_up", "receipt"),
        ("expire",),
        ("expire", "settle"),
        ("expire", "receipt"),
        ("release",),
    ],
    ids="-".join,
)
async def test_its_record_is_what_the_ledger_has(operations: tuple[str, ...]) -> None:
    past = Past()
    await past.call("call-1", *operations)

    made = call_of("call-1", await past.entries())

    record = await past.ledger.find("call-1")
    assert made is not None
    assert made.record == record
    assert (made.id, made.provider) == ("call-1", "venice")


async def test_a_call_that_was_not_admitted_has_none() -> None:
    past = Past()
    await past.call("call-1", "settle")
    entries = await past.entries()

    assert call_of("call-1", entries[1:]) is None
    entries[0].checks = []
    assert call_of("call-1", entries) is None


async def test_a_call_that_was_booked_anew_is_the_new_one() -> None:
    past, again = Past(), Past()
    await past.call("call-1", "settle")
    again.clock.advance(1_000)
    await again.call("call-1")

    made = call_of("call-1", [*await past.entries(), *await again.entries()])

    assert made is not None
    assert (made.record.state, made.record.charged) == (State.RESERVED, ())


def found(database: Database, since_ms: int) -> dict[str, ArchivedCall]:
    batches = calls_since(database, "acme", since_ms)
    calls = [call for batch in batches for call in batch]
    assert len({call.id for call in calls}) == len(calls)
    return {call.id: call for call in calls}


async def test_calls_of_a_time_are_found_and_all_that_have_not_ended(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    past = Past()
    await past.call("old-open-1")
    await past.call("old-settled", "settle")
    await past.call("old-open-2")
    await past.call("old-open-3")
    past.clock.advance(DAY_MS)
    since_ms = past.clock.now_ms()
    await past.call("settled", "settle")
    await past.call("open")
    await past.call("receipted", "settle", "receipt")
    await past.archived(database)

    calls = found(database, since_ms + DISORDER_MS)

    assert set(calls) == {
        "old-open-1",
        "old-open-2",
        "old-open-3",
        "settled",
        "open",
        "receipted",
    }
    records: dict[str, CallRecord | None] = {
        call_id: await past.ledger.find(call_id) for call_id in calls
    }
    assert {call_id: call.record for call_id, call in calls.items()} == records


async def test_calls_are_found_by_their_ids(database: Database) -> None:
    past = Past()
    await past.call("a", "settle")
    await past.call("b")
    await past.archived(database)

    calls = calls_by_id(database, "acme", ["a", "b", "stranger"])

    assert {call.id: call.record.state for call in calls} == {
        "a": State.SETTLED,
        "b": State.RESERVED,
    }
    assert calls_by_id(database, "nobody", ["a"]) == []


def test_of_an_organisation_without_an_archive_there_are_none(database: Database) -> None:
    assert list(calls_since(database, "nobody", 0)) == []
