"""What the ledger answers: values that say what is left, and cannot be changed."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.decisions import Admitted, Duplicate, Moved, Refused, Standing
from policies.reservations import Reservation, State
from policies.units import USD

amounts = st.integers(0, 2**53 - 1)


def standing(limit: int = 10, spent: int = 0, reserved: int = 0) -> Standing:
    return Standing(
        budget="b",
        subject="",
        unit=USD,
        mode="enforce",
        limit=limit,
        spent=spent,
        reserved=reserved,
        overrun=0,
        start_ms=0,
        end_ms=None,
        window="lifetime",
    )


@given(amounts, amounts, amounts)
def test_what_is_left_is_what_was_neither_spent_nor_reserved(
    limit: int, spent: int, reserved: int
) -> None:
    left = standing(limit, spent, reserved).remaining

    assert left >= 0
    assert left == max(0, limit - spent - reserved)


def test_decisions_are_values() -> None:
    duplicate = Duplicate(state=State.SETTLED)
    reservation = Reservation(call_id="call_a", at_ms=1, charges=())

    with pytest.raises(FrozenInstanceError):
        duplicate.state = State.RELEASED  # type: ignore[misc]  # That is the point.

    assert duplicate == Duplicate(state=State.SETTLED)
    assert Moved(state=State.SETTLED, changed=True) != Moved(state=State.SETTLED, changed=False)
    assert Admitted(reservation=reservation, standings=()).would_refuse == ()
    assert Refused(standing=standing(), asked=1, standings=()).retry_at_ms is None
