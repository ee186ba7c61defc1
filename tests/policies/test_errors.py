"""Faults: what each says, and which of them mean that the ledger gave no answer."""

from __future__ import annotations

import pytest

from policies.errors import (
    AmountOutOfRange,
    BursarError,
    IllegalTransition,
    LedgerRefused,
    LedgerUnavailable,
    LedgerUntouched,
    UnknownCall,
)
from policies.reservations import Operation, State


@pytest.mark.parametrize(
    "fault",
    [
        AmountOutOfRange,
        IllegalTransition,
        LedgerRefused,
        LedgerUnavailable,
        LedgerUntouched,
        UnknownCall,
    ],
)
def test_all_faults_have_one_root(fault: type[Exception]) -> None:
    assert issubclass(fault, BursarError)


@pytest.mark.parametrize(
    ("fault", "no_answer"),
    [
        (LedgerUntouched, True),
        (LedgerRefused, True),
        (IllegalTransition, False),
        (UnknownCall, False),
        (AmountOutOfRange, False),
    ],
)
def test_what_is_no_answer_is_tried_again_and_what_is_one_is_not(
    fault: type[Exception], no_answer: bool
) -> None:
    assert issubclass(fault, LedgerUnavailable) is no_answer


def test_a_refusal_may_have_taken_place_in_part() -> None:
    assert not issubclass(LedgerRefused, LedgerUntouched)


def test_an_illegal_transition_says_that_nothing_was_changed() -> None:
    fault = IllegalTransition("call_a", State.RELEASED, Operation.SETTLE)

    assert str(fault) == "call call_a is released: it cannot settle; nothing was changed"
    assert (fault.call_id, fault.state, fault.operation) == (
        "call_a",
        State.RELEASED,
        Operation.SETTLE,
    )


def test_an_unknown_call_is_named() -> None:
    fault = UnknownCall("call_a")

    assert fault.call_id == "call_a"
    assert "no record of call call_a" in str(fault)
