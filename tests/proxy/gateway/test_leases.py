"""Leases: calls in flight keep theirs, calls of dead workers lose it and are charged as reserved."""

from __future__ import annotations

import asyncio

import pytest

from policies.decisions import Admitted
from policies.errors import LedgerRefused, LedgerUnavailable, UnknownCall
from policies.ledger.interface import Admission, Ask
from policies.ledger.memory import LEASE_MS, MemoryLedger
from policies.units import Amounts
from proxy.gateway.leases import EXTENDED_AT_ONCE_MAX, SWEPT_AT_ONCE_MAX, Leases
from tests.doubles.calls import MONTH
from tests.doubles.fake_clock import FakeClock
from tests.doubles.flaky_ledger import FlakyLedger
from tests.doubles.recorders import Recorder


@pytest.fixture
def ledger(clock: FakeClock) -> FlakyLedger:
    return FlakyLedger(MemoryLedger(clock))


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def leases(ledger: FlakyLedger, recorder: Recorder) -> Leases:
    return Leases(ledger, LEASE_MS, recorder)


async def reserve(ledger: FlakyLedger, *call_ids: str) -> None:
    for call_id in call_ids:
        asks = [Ask(budget=MONTH, subject="", held=5, bound=5)]
        found = await ledger.behind.reserve(call_id, asks, data="{}", admission=Admission.DECIDE)
        assert isinstance(found, Admitted)


async def state(ledger: FlakyLedger, call_id: str) -> str:
    record = await ledger.behind.find(call_id)
    assert record is not None
    return record.state.value


async def test_a_call_in_flight_is_never_swept(
    ledger: FlakyLedger, leases: Leases, clock: FakeClock
) -> None:
    await reserve(ledger, "alive", "dead")
    leases.begin("alive")
    clock.advance(LEASE_MS - 1)
    await leases.extend()
    clock.advance(1)

    assert await leases.sweep() == 1

    assert await state(ledger, "alive") == "reserved"
    assert await state(ledger, "dead") == "expired"


async def test_a_swept_call_is_charged_as_reserved_and_seen(
    ledger: FlakyLedger, leases: Leases, clock: FakeClock, recorder: Recorder
) -> None:
    await reserve(ledger, "dead")
    clock.advance(LEASE_MS)

    await leases.sweep()

    asks = [Ask(budget=MONTH, subject="", held=0, bound=0)]
    (standing,) = await ledger.behind.standings(asks)
    assert (standing.spent, standing.reserved) == (5, 0)
    assert recorder.events == [("expired", "dead")]


async def test_a_call_that_goes_on_in_the_background_is_in_flight_until_both_stretches_ended(
    leases: Leases,
) -> None:
    leases.begin("a")
    leases.begin("a")

    leases.end("a")
    assert len(leases) == 1
    leases.end("a")
    assert len(leases) == 0
    leases.end("a")
    assert len(leases) == 0


async def test_many_calls_are_extended_in_portions(ledger: FlakyLedger, leases: Leases) -> None:
    for number in range(EXTENDED_AT_ONCE_MAX + 1):
        leases.begin(f"call_{number}")

    await leases.extend()

    assert ledger.asked == ["extend", "extend"]


async def test_no_call_needs_no_extension(ledger: FlakyLedger, leases: Leases) -> None:
    await leases.extend()

    assert ledger.asked == []


async def test_more_than_one_sweep_holds_are_swept_by_the_next(
    ledger: FlakyLedger, leases: Leases, clock: FakeClock
) -> None:
    await reserve(ledger, *(f"call_{number}" for number in range(SWEPT_AT_ONCE_MAX + 1)))
    clock.advance(LEASE_MS)

    assert await leases.sweep() == SWEPT_AT_ONCE_MAX
    assert await leases.sweep() == 1


async def test_what_ended_since_it_was_looked_at_is_left_as_it_is(
    clock: FakeClock, recorder: Recorder
) -> None:
    ledger = _Late(MemoryLedger(clock))
    await reserve(ledger, "settled", "swept")
    for call_id in ("settled", "swept"):
        record = await ledger.behind.find(call_id)
        assert record is not None
        if call_id == "settled":
            await ledger.behind.settle(record.reservation, Amounts(nano_usd=1), outcome="{}")
        else:
            await ledger.behind.expire(record.reservation)

    assert await Leases(ledger, LEASE_MS, recorder).sweep() == 0

    assert recorder.events == []
    assert await state(ledger, "settled") == "settled"


class _Late(FlakyLedger):
    """A ledger whose list of overdue calls is older than their records."""

    async def overdue(self, count_max: int) -> list[str]:
        return ["settled", "swept", "gone"]


async def test_a_record_that_vanishes_in_between_is_no_fault(
    ledger: FlakyLedger, leases: Leases, clock: FakeClock
) -> None:
    await reserve(ledger, "a", "b")
    clock.advance(LEASE_MS)
    ledger.fail("expire", fault=UnknownCall("a"))

    assert await leases.sweep() == 1


@pytest.mark.parametrize("operation", ["find", "expire"])
async def test_a_record_that_the_ledger_cannot_use_does_not_keep_back_the_others(
    ledger: FlakyLedger, leases: Leases, clock: FakeClock, operation: str
) -> None:
    await reserve(ledger, "broken", "dead")
    clock.advance(LEASE_MS)
    ledger.fail(operation, fault=LedgerRefused("WRONGTYPE Operation"))

    assert await leases.sweep() == 1

    assert await state(ledger, "dead") == "expired"


# Running…


class _Pauses:
    """A sleep that ends at once, so many times; then it is cancelled."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> asyncio.Future[None]:
        self.seconds.append(seconds)
        if len(self.seconds) > self._rounds:
            raise asyncio.CancelledError
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


@pytest.mark.parametrize("operation", ["extend", "overdue"])
async def test_a_round_without_the_ledger_is_made_up_for_by_the_next(
    ledger: FlakyLedger, leases: Leases, operation: str
) -> None:
    leases.begin("a")
    ledger.fail(operation, fault=LedgerUnavailable("away"))
    pauses = _Pauses(2)

    with pytest.raises(asyncio.CancelledError):
        await leases.run(pauses)

    assert ledger.asked[-2:] == ["extend", "overdue"]
    assert pauses.seconds == [LEASE_MS / 1000 / 3] * 3


async def test_it_pauses_by_itself_where_nothing_else_is_handed_in(leases: Leases) -> None:
    running = asyncio.ensure_future(leases.run())
    done, _ = await asyncio.wait([running], timeout=0)
    running.cancel()

    assert not done
