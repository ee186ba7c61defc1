"""What the oracle keeps of a call, and which record of it is a later one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.ledger.interface import Ask, CallRecord
from policies.ledger.memory_call import MemoryCall, lost_call
from policies.reservations import State
from tests.doubles.calls import MONTH, reservation_of

RESERVATION = reservation_of("a", [Ask(budget=MONTH, subject="", held=5, bound=5)])
SETTLED = CallRecord(
    state=State.SETTLED,
    reservation=RESERVATION,
    charged=(3,),
    data="{}",
    outcome='{"s":1}',
    generation_ids=(),
    ended_ms=7,
)


def reserved() -> MemoryCall:
    return MemoryCall(state=State.RESERVED, reservation=RESERVATION, charged=[0], data="{}")


def test_a_reserved_call_is_charged_nothing_yet() -> None:
    assert reserved().record().charged == ()


def test_a_call_that_is_put_back_is_as_its_record_says() -> None:
    assert lost_call(SETTLED, RESERVATION, 0).record() == SETTLED


def test_a_call_goes_on_to_a_later_record_and_keeps_what_that_does_not_know() -> None:
    call = reserved()
    call.generation_ids = ("gen-1",)

    call.take(SETTLED)

    assert call.record() == replace(SETTLED, generation_ids=("gen-1",))


@pytest.mark.parametrize(
    ("state", "later", "leads"),
    [
        (State.RESERVED, State.SETTLED, True),
        (State.RESERVED, State.RECEIPTED, True),
        (State.EXPIRED, State.SETTLED, True),
        (State.SETTLED, State.SETTLED, False),
        (State.SETTLED, State.EXPIRED, False),
        (State.RECEIPTED, State.SETTLED, False),
        (State.RELEASED, State.SETTLED, False),
    ],
)
def test_only_a_later_state_is_gone_on_to(state: State, later: State, leads: bool) -> None:
    call = reserved()
    call.state = state

    assert call.leads_to(replace(SETTLED, state=later)) is leads


def test_a_record_on_other_counters_is_not_of_this_call() -> None:
    elsewhere = reservation_of("a", [Ask(budget=MONTH, subject="", held=5, bound=5)], 0)

    assert not reserved().leads_to(replace(SETTLED, reservation=elsewhere))
