"""Both ledgers restore alike, whatever they are given: records that fit, and records that make no sense."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from policies.ledger.interface import CallRecord, CounterRecord, Due
from policies.ledger.keys import FIRST_USE, FIXED, REPORTED, ROLLING, place
from policies.reservations import State
from tests.properties import test_ledgers_agree
from tests.properties.test_ledgers_agree import BUDGETS, MINUTE_MS, LedgersAgree, amounts, dues

COUNTED = tuple(budget for budget in BUDGETS if budget.name != "wallet")


class RestoredLedgersAgree(LedgersAgree):
    """The same operations, and restoring; what is restored here may contradict what is there."""

    money_is_sound = False

    @rule(
        budget=st.sampled_from(COUNTED),
        subject=st.sampled_from(["a", "b"]),
        spent=amounts,
        overrun=amounts,
        buckets=st.dictionaries(st.integers(-25, 0), amounts, max_size=4),
        ago_ms=st.sampled_from([0, MINUTE_MS, 6 * MINUTE_MS, 20 * MINUTE_MS]),
    )
    def restore_counter(
        self, budget: Any, subject: str, spent: int, overrun: int, buckets: Any, ago_ms: int
    ) -> None:
        now_ms = self.clock.now_ms()
        at = place(budget, subject if budget.each else "", now_ms)
        assert at.kind in (FIXED, ROLLING, FIRST_USE)
        rolling = at.kind == ROLLING
        record = CounterRecord(
            counter=at.counter,
            kind=at.kind,
            length_ms=at.end_ms if at.kind == FIXED else at.length_ms,
            bucket_ms=at.bucket_ms,
            spent=spent,
            overrun=overrun,
            buckets={now_ms // at.bucket_ms + back: n for back, n in buckets.items()}
            if rolling
            else {},
            start_ms=now_ms - ago_ms if at.kind == FIRST_USE else 0,
        )
        first = self._both(lambda ledger: ledger.restore_counter(record))
        again = self._both(lambda ledger: ledger.restore_counter(record))
        assert not again.changed
        assert first.spent >= first.spent_before
        assert first.overrun >= first.overrun_before

    def _record(self, data: st.DataObject) -> CallRecord:
        call_id = data.draw(st.sampled_from(self.calls)).call_id
        record: CallRecord = self._both(lambda ledger: ledger.find(call_id))
        return record

    @precondition(lambda self: self.calls)
    @rule(
        data=st.data(),
        state=st.sampled_from(State),
        new=amounts,
        due=dues,
        is_lost=st.booleans(),
        ago_ms=st.sampled_from([0, 6 * MINUTE_MS]),
    )
    def restore_call(
        self,
        data: st.DataObject,
        state: State,
        new: int,
        due: Due | None,
        is_lost: bool,
        ago_ms: int,
    ) -> None:
        record = self._record(data)
        reservation = record.reservation
        charges = tuple(
            replace(each, slot=each.slot - ago_ms) if each.kind == FIRST_USE else each
            for each in reservation.charges
        )
        if is_lost:
            reservation = replace(reservation, call_id=f"call-{len(self.calls)}", charges=charges)
            self.calls.append(reservation)
        reserved = state is State.RESERVED
        record = replace(
            record,
            state=state,
            reservation=reservation,
            charged=() if reserved else (new,) * len(reservation.charges),
            outcome="" if reserved else '{"s":1}',
            ended_ms=0 if reserved else self.clock.now_ms(),
        )
        self._both(lambda ledger: ledger.restore_call(record, due=due))
        assert not self._both(lambda ledger: ledger.restore_call(record, due=due))
        self._both(lambda ledger: ledger.find(reservation.call_id))


def test_the_ledgers_restore_alike(redis_url: str) -> None:
    RestoredLedgersAgree.redis_url = redis_url
    case = RestoredLedgersAgree.TestCase
    case.settings = settings(
        max_examples=40,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    case().runTest()


def test_a_providers_window_is_among_the_budgets_that_calls_are_restored_on() -> None:
    kinds = {place(budget, "", 1).kind for budget in test_ledgers_agree.BUDGETS}

    assert kinds == {FIXED, ROLLING, FIRST_USE, REPORTED}
