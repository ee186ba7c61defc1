"""What `bursar ledger` prints: several looks are one report, and long lists end."""

from __future__ import annotations

import pytest

from policies.ledger.interface import Restored
from policies.units import USD
from proxy.archive.compare import Compared, Comparison, Stand
from proxy.archive.rebuild import Raised, Rebuilt
from proxy.cli.ledger_rows import Done, compared_row, show_comparison, show_rebuilt

COUNTER = "month:USD:ann:2026-11"
DOLLAR = 1_000_000_000


def raised(before: int, after: int) -> Raised:
    restored = Restored(
        spent_before=before * DOLLAR, overrun_before=0, spent=after * DOLLAR, reserved=0, overrun=0
    )
    return Raised(counter=COUNTER, unit=USD, restored=restored)


def test_of_several_looks_the_first_says_how_it_stood_and_the_last_how_it_stands() -> None:
    done = Done()

    done.add(Rebuilt(counters=2, raised=[raised(1, 5)]))
    done.add(Rebuilt(counters=2, raised=[raised(5, 6)]))

    (row,) = done.row()["raised"]
    assert (row["spent_before"], row["spent"]) == ("1 USD", "6 USD")
    assert (done.looks, done.row()["counters"]) == (2, 2)


def test_a_report_says_what_cannot_be_brought_back(capsys: pytest.CaptureFixture[str]) -> None:
    done = Done()
    done.add(Rebuilt(raised=[raised(1, 5)], moved_on=2, undetermined=("odd:USD::x",)))
    done.grants = 3

    show_rebuilt(done)

    printed = capsys.readouterr()
    assert "month" in printed.out
    assert "$5" in printed.out
    for words in ("2 calls were brought", "3 grants", "left alone", "odd:USD::x"):
        assert words in printed.err


def test_only_what_differs_has_a_row_and_many_calls_are_a_few(
    capsys: pytest.CaptureFixture[str],
) -> None:
    compared = Compared(
        counter=COUNTER,
        unit=USD,
        archived=Stand(spent=5, reserved=2 * DOLLAR),
        ledger=Stand(spent=5, reserved=DOLLAR),
    )
    calls = tuple(f"call_{number}" for number in range(12))
    found = Comparison(
        counters=(compared,), in_flight=12, lost=calls, ended=("call_x",), not_archived=7
    )

    show_comparison(found, found.counters)

    printed = capsys.readouterr()
    assert "reserved" in printed.out
    assert "overrun" not in printed.out
    assert "call_9 and 2 more" in printed.out
    assert "ended, and held: call_x" in printed.out
    assert "7 entries are not archived yet" in printed.err
    row = compared_row(compared)
    assert (row["archive"]["reserved"], row["ledger"]["reserved"]) == ("2 USD", "1 USD")
