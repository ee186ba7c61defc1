"""The journal's entries: one form for every ledger, with names that operations do not have."""

from __future__ import annotations

from policies import journal
from policies.journal import ADMITTED, REFUSED, VERSION, Entry, Movement
from policies.ledger.interface import Admission, Ask
from policies.ledger.memory import MemoryLedger
from policies.reservations import Operation
from tests.doubles.calls import MONTH


def test_kinds_are_names_of_their_own() -> None:
    kinds = {value for name, value in vars(journal).items() if name.isupper() and name != "VERSION"}

    assert {ADMITTED, REFUSED} <= kinds
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
    )
