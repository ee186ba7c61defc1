"""Calls are remembered for as long as something may come of them, and no longer."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.archive.backtest.in_flight import HELD_KEPT_MS, SETTLED_KEPT_MS, CallsInFlight


@dataclass
class Call:
    pending: bool = True


def calls() -> CallsInFlight[Call]:
    return CallsInFlight(lambda call: call.pending)


def test_the_last_operation_forgets_a_call() -> None:
    kept = calls()
    for call_id in ("a", "b", "c", "d"):
        kept.put(call_id, Call(), 0)

    for call_id, operation in zip("abcd", ("settle", "receipt", "release", "give_up"), strict=True):
        kept.ended(call_id, operation)

    # A receipt may follow both: after it was settled, and after it was given up.
    assert [kept.get(call_id) is not None for call_id in "abcd"] == [True, False, False, True]


def test_a_call_without_a_receipt_is_forgotten_when_none_can_come_any_more() -> None:
    kept = calls()
    kept.put("settled", Call(pending=False), 0)
    kept.put("held", Call(), 1)

    kept.put("later", Call(), SETTLED_KEPT_MS + 1)
    assert kept.get("settled") is None
    assert kept.get("held") is not None

    kept.put("last", Call(), HELD_KEPT_MS + 1)
    assert kept.get("held") is None
    assert len(kept) == 2


def test_how_many_there_are_depends_on_their_rate_alone() -> None:
    kept = calls()

    for number in range(20_000):
        kept.put(f"call-{number}", Call(pending=False), number * SETTLED_KEPT_MS // 100)

    assert len(kept) <= 101


def test_a_call_that_comes_again_is_the_new_one() -> None:
    kept, again = calls(), Call()
    kept.put("a", Call(), 0)
    kept.put("a", again, 5)

    assert kept.get("a") is again
    assert len(kept) == 1
