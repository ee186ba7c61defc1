"""The journal's entries: one form for every ledger, with names that operations do not have."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from policies import journal
from policies.journal import (
    ADMITTED,
    CALL_KINDS,
    REFUSED,
    RESTORE,
    VERSION,
    Check,
    Entry,
    Movement,
    act,
    checks_of,
    movements_of,
)
from policies.ledger.interface import Admission, Ask
from policies.ledger.memory import MemoryLedger
from policies.reservations import Operation
from tests.doubles.calls import MONTH

CHECK = Check(
    budget="month",
    subject="",
    unit="USD",
    counter="month:USD::2026-11",
    kind="fixed",
    length_ms=1_796_083_200_000,
    bucket_ms=0,
    slot=0,
    held=5,
    bound=5,
    limit=10**9,
    mode="enforce",
    overrun_max=0,
    short=False,
)


def test_kinds_are_names_of_their_own() -> None:
    kinds = {
        value
        for name, value in vars(journal).items()
        if name.isupper() and isinstance(value, str) and not name.startswith("_")
    }

    assert {ADMITTED, REFUSED, RESTORE} <= kinds <= CALL_KINDS
    assert not kinds & {operation.value for operation in Operation}


def test_the_form_of_entries_has_a_version() -> None:
    assert VERSION == 1


async def test_an_entry_says_what_it_did_to_each_counter(memory_ledger: MemoryLedger) -> None:
    asks = [Ask(budget=MONTH, subject="", held=5, bound=5)]
    await memory_ledger.reserve("call_a", asks, data='{"team":"red"}', admission=Admission.DECIDE)

    (entry,) = await memory_ledger.journal()

    assert entry == Entry(
        id=entry.id,
        kind=ADMITTED,
        call_id="call_a",
        at_ms=memory_ledger.now_ms(),
        data='{"team":"red"}',
        movements=(
            Movement(
                counter="month:USD::2026-11",
                unit="USD",
                spent_change=0,
                reserved_change=5,
                spent=0,
                reserved=5,
                overrun=0,
            ),
        ),
        checks=(CHECK,),
    )
    assert CHECK.charge.counter == entry.movements[0].counter


# What a stream holds…

MOVES = '["month:USD::2026-11","USD",0,5,0,5,0]'
CHECKS = (
    '["month","","USD","month:USD::2026-11","fixed",1796083200000,0,0,5,5,1000000000,"enforce",0,0]'
)


def test_rows_of_a_stream_are_read_as_what_they_say() -> None:
    prior = MOVES.replace("0]", "0,1]")

    assert [each.prior_period for each in movements_of(f"[{MOVES},{prior}]")] == [False, True]
    assert checks_of(f"[{CHECKS}]") == (CHECK,)
    assert (movements_of("[]"), checks_of("[]")) == ((), ())


def test_a_later_versions_longer_rows_are_read_as_far_as_they_are_known() -> None:
    longer_moves, longer_checks = (row.replace("]", ',0,"new"]') for row in (MOVES, CHECKS))

    assert movements_of(f"[{longer_moves}]") == movements_of(f"[{MOVES}]")
    assert checks_of(f"[{longer_checks}]") == (CHECK,)


@pytest.mark.parametrize("read", [movements_of, checks_of])
@pytest.mark.parametrize("text", ["", "{}", "null", "7", "[7]", "[[]]", '[["month","USD"]]', "[["])
def test_what_is_no_list_of_rows_is_said_to_be_none(
    read: Callable[[str], object], text: str
) -> None:
    with pytest.raises(ValueError, match=r"row|Expecting"):
        read(text)


def test_an_act_has_a_kind_of_its_own() -> None:
    assert act("policies_loaded") == "policies_loaded"
    for kind in CALL_KINDS:
        with pytest.raises(ValueError, match="never by itself"):
            act(kind)
