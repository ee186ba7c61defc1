"""The latest entries of a long journal."""

from __future__ import annotations

import pytest

from policies.ledger.redis_ledger import RedisLedger
from proxy.admin import journal_tail
from proxy.admin.journal_tail import latest
from tests.doubles.fake_clock import FakeClock


async def _write(ledger: RedisLedger, count: int) -> None:
    for number in range(count):
        await ledger.journal_once("numbers", "n", str(number), kind="number", data=str(number))


async def test_an_empty_journal_has_none(redis_ledger: RedisLedger) -> None:
    assert list(await latest(redis_ledger, 5)) == []


async def test_the_latest_are_found_oldest_first(
    redis_ledger: RedisLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_tail, "PAGE_ENTRIES", 3)
    await _write(redis_ledger, 10)

    found = await latest(redis_ledger, 4)

    assert [entry.data for entry in found] == ["6", "7", "8", "9"]


async def test_all_are_found_when_there_are_fewer(redis_ledger: RedisLedger) -> None:
    await _write(redis_ledger, 3)

    assert [entry.data for entry in await latest(redis_ledger, 100)] == ["0", "1", "2"]


async def test_entries_of_long_ago_are_found(redis_ledger: RedisLedger, clock: FakeClock) -> None:
    await _write(redis_ledger, 3)

    clock.advance(4_000 * 86_400_000)

    assert len(await latest(redis_ledger, 2)) == 2
