"""Balances of the past are the ledger's, and those that count no longer are forgotten."""

from __future__ import annotations

import pytest

from proxy.archive.backtest import balances as module
from proxy.archive.backtest.balances import Balances, has_no_room
from proxy.archive.backtest.records import Check

MINUTE_MS = 60_000


def check(
    kind: str = "fixed",
    *,
    name: str = "c",
    length_ms: int = 0,
    bucket_ms: int = 0,
    slot: int = 0,
    held: int = 5,
    bound: int = 5,
    limit: int = 10,
    overrun_max: int = 0,
) -> Check:
    amounts = (slot, held, bound, limit, "enforce", overrun_max, 0)
    return Check("b", "", "USD", name, kind, length_ms, bucket_ms, *amounts)


def test_what_is_held_is_charged_in_its_place() -> None:
    balances, one = Balances(), check(held=5, bound=8)
    counter = balances.opened(one, 1_000)

    call = balances.hold([one], 1_000, forced=False)
    assert (counter.reserved, counter.excess, counter.spent) == (5, 3, 0)
    balances.charge(call, [7], 2_000)
    assert (counter.reserved, counter.excess, counter.spent, counter.overrun) == (0, 0, 7, 2)
    balances.charge(call, [4], 3_000)
    assert (counter.spent, counter.overrun) == (4, 0)


def test_what_was_forced_beyond_the_limit_is_an_overrun() -> None:
    balances, one = Balances(), check(held=15)
    counter = balances.opened(one, 1_000)

    balances.hold([one], 1_000, forced=True)

    assert counter.overrun == 5


@pytest.mark.parametrize(
    ("held", "bound", "overrun_max", "short"),
    [(6, 6, 0, False), (7, 7, 0, True), (0, 0, 0, False), (6, 9, 2, True), (6, 9, 3, False)],
)
def test_a_call_fits_or_not(held: int, bound: int, overrun_max: int, *, short: bool) -> None:
    balances = Balances()
    full = check(held=4, bound=4)
    counter = balances.opened(full, 0)
    balances.hold([full], 0, forced=False)

    asked = check(held=held, bound=bound, overrun_max=overrun_max)

    assert has_no_room(asked, counter) is short


def test_a_call_of_a_window_that_is_over_is_charged_nowhere() -> None:
    balances, first = Balances(), check("first-use", length_ms=MINUTE_MS, slot=1_000)
    balances.opened(first, 1_000)
    call = balances.hold([first], 1_000, forced=False)
    counter = balances.opened(first, 1_000 + MINUTE_MS)

    balances.charge(call, [3], 1_001 + MINUTE_MS)

    assert (counter.start_ms, counter.spent, counter.reserved) == (1_000 + MINUTE_MS, 0, 0)


def test_windows_that_are_over_are_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SWEEP_EVERY", 1)
    balances = Balances()
    over, ever = check(name="over", length_ms=5_000), check(name="ever")
    rolling = check("rolling", name="rolling", length_ms=60_000, bucket_ms=1_000, slot=1)
    for each in (over, ever, rolling):
        balances.opened(each, 1_000)
    call = balances.hold([rolling], 1_000, forced=False)

    balances._until_sweep = 1
    balances.sweep(200_000)
    assert set(balances.counters) == {"ever", "rolling"}

    # Now that nothing is held on it any more.
    balances.charge(call, [0], 200_000)
    balances.sweep(200_001)
    assert set(balances.counters) == {"ever"}
    balances.charge(call, [3], 200_002)
