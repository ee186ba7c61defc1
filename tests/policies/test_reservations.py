"""The life of a call's money: the table, read as a specification."""

from __future__ import annotations

import itertools

import pytest

from policies.reservations import DONE, TRANSITIONS, Operation, State, leading_to, sources

START = State.RESERVED


def reachable(start: State) -> set[State]:
    """Every state that can follow, at any distance."""
    found, new = set[State](), {start}
    while new:
        found |= new
        new = {to for (source, _), to in TRANSITIONS.items() if source in new} - found
    return found


def test_every_state_can_be_reached_from_a_reservation() -> None:
    assert reachable(START) == set(State)


def test_nothing_becomes_a_reservation_again() -> None:
    assert START not in TRANSITIONS.values()


@pytest.mark.parametrize("final", [State.RELEASED, State.RECEIPTED])
def test_what_is_known_for_good_stays(final: State) -> None:
    assert reachable(final) == {final}


@pytest.mark.parametrize("state", [s for s in State if s not in ("released", "receipted")])
def test_money_that_may_be_spent_can_always_get_its_receipt(state: State) -> None:
    assert State.RECEIPTED in reachable(state)


def test_only_a_reservation_can_be_let_go() -> None:
    assert sources(Operation.RELEASE) == (State.RESERVED,)


@pytest.mark.parametrize("operation", Operation)
def test_an_operation_leads_to_one_state_from_wherever_it_is_legal(operation: Operation) -> None:
    targets = {to for (_, at), to in TRANSITIONS.items() if at is operation}

    assert targets == {DONE[operation]}
    assert set(sources(operation)) == {s for s, at in TRANSITIONS if at is operation}


@pytest.mark.parametrize(("state", "operation"), [*itertools.product(State, Operation)])
def test_no_repetition_is_a_transition(state: State, operation: Operation) -> None:
    if state is DONE[operation]:
        assert (state, operation) not in TRANSITIONS


def test_the_table_is_the_drawing_in_the_design() -> None:
    drawn = {
        "reserved settle settled",
        "reserved release released",
        "reserved expire expired",
        "expired settle settled",
        "expired receipt receipted",
        "expired give_up unreceipted",
        "settled receipt receipted",
        "settled give_up unreceipted",
        "unreceipted receipt receipted",
    }

    assert {
        f"{source} {operation} {to}" for (source, operation), to in TRANSITIONS.items()
    } == drawn


@pytest.mark.parametrize("state", State)
def test_states_that_lead_to_one_are_those_that_it_can_be_reached_from(state: State) -> None:
    assert set(leading_to(state)) == {
        other for other in State if other is not state and state in reachable(other)
    }
