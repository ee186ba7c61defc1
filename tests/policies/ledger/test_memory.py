"""What is the oracle's alone: it says early what would be wrong late; the rest is test_ledger.py's."""

from __future__ import annotations

import pytest

from policies.budgets import Budget
from policies.decisions import Admitted, Refused
from policies.ledger.interface import Admission, Ask
from policies.ledger.memory import MemoryLedger
from policies.ledger.redis_ledger import RedisLedger
from policies.units import CALLS, Amounts
from policies.windows import Rolling
from tests.doubles.calls import MONTH
from tests.doubles.fake_clock import FakeClock

MINUTE_MS = 60_000
RATE = Budget(name="rate", unit=CALLS, limit=3, window=Rolling(60 * MINUTE_MS))


async def test_what_is_journalled_is_json(memory_ledger: MemoryLedger) -> None:
    asks = [Ask(budget=MONTH, subject="", held=1, bound=1)]

    with pytest.raises(ValueError, match="Expecting"):
        await memory_ledger.reserve("call_a", asks, data="no JSON", admission=Admission.DECIDE)


async def test_the_version_of_the_keys_is_told_with_each_decision(
    memory_ledger: MemoryLedger,
) -> None:
    memory_ledger.keys_version = 7

    decision = await memory_ledger.reserve("call_a", [], data="{}", admission=Admission.DECIDE)

    assert isinstance(decision, Admitted)
    assert decision.keys_version == 7


async def test_there_is_room_again_when_enough_has_left(
    ledger: MemoryLedger | RedisLedger, clock: FakeClock
) -> None:
    """Three calls, ten minutes apart; one that counts for two has to wait for the second of them."""
    began_ms = clock.now_ms() // MINUTE_MS * MINUTE_MS
    for number in range(3):
        asks = [Ask(budget=RATE, subject="", held=1, bound=1)]
        decision = await ledger.reserve(
            f"call_{number}", asks, data="{}", admission=Admission.DECIDE
        )
        assert isinstance(decision, Admitted)
        await ledger.settle(decision.reservation, Amounts(), outcome="{}")
        clock.advance(10 * MINUTE_MS)

    asks = [Ask(budget=RATE, subject="", held=2, bound=2)]
    refused = await ledger.reserve("call_x", asks, data="{}", admission=Admission.DECIDE)

    assert isinstance(refused, Refused)
    assert refused.retry_at_ms == began_ms + (10 + 1 + 60) * MINUTE_MS
