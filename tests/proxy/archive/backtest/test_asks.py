"""What a past call asks of other budgets: as it was asked then, else by its quote."""

from __future__ import annotations

import pytest

from policies.budgets import Budget
from policies.units import CALLS, INPUT_TOKENS, OUTPUT_TOKENS, TOKENS, USD
from policies.windows import Calendar, Lifetime, Rolling
from proxy.archive.backtest.asks import Unpriced, caller_of, checks_of
from proxy.archive.backtest.records import Check, SaidCall, SaidQuote
from tests.doubles.fake_clock import NOON_MS

QUOTE = SaidQuote(nano_usd=30, bound_nano_usd=50, input_tokens=7, output_tokens=9, kind="likely")
PRICED = SaidCall(team="red", user="ann", key="k", quote=QUOTE, body_bytes=400)
UNPRICED = SaidCall(team="red", key="k", body_bytes=400)


def budget(unit: str = USD, **more: object) -> Budget:
    fields = {"name": "b", "unit": unit, "limit": 100, "window": Lifetime(), **more}
    return Budget(**fields)  # type: ignore[arg-type]  # Fields by name.


def checked(unit: str, held: int, bound: int) -> Check:
    counter = f"then:{unit}::lifetime"
    return Check("then", "", unit, counter, "fixed", 0, 0, 0, held, bound, 9, "enforce", 0, 0)


def asked(said: SaidCall, one: Budget, *recorded: Check) -> tuple[int, int]:
    found = checks_of(said, list(recorded), [(one, "")], NOON_MS)
    assert not isinstance(found, Unpriced)
    return found[0].held, found[0].bound


@pytest.mark.parametrize(
    ("unit", "amount"),
    [(USD, 50), (INPUT_TOKENS, 7), (OUTPUT_TOKENS, 9), (TOKENS, 16), (CALLS, 1), ("flows", 0)],
)
def test_a_unit_that_nobody_counted_is_told_by_the_quote(unit: str, amount: int) -> None:
    assert asked(PRICED, budget(unit)) == (amount, amount)


def test_a_likely_quote_holds_less_than_its_bound() -> None:
    assert asked(PRICED, budget(quote="likely")) == (30, 50)


def test_what_was_asked_of_a_budget_of_the_same_unit_is_asked_now() -> None:
    # The model's bills are a tenth above its list.
    then = (checked(USD, 33, 55), checked("flows", 4, 4), checked(USD, 55, 55))

    assert asked(PRICED, budget(), *then) == (55, 55)
    assert asked(PRICED, budget(quote="likely"), *then) == (33, 55)
    assert asked(PRICED, budget("flows"), *then) == (4, 4)


def test_a_call_without_a_price_is_held_as_the_budget_says_or_refused() -> None:
    assert asked(UNPRICED, budget(when_unpriced_nano_usd=70)) == (70, 70)
    assert asked(UNPRICED, budget(CALLS)) == (1, 1)
    assert asked(UNPRICED, budget(INPUT_TOKENS, when_unpriced_nano_usd=1)) == (400, 400)
    then = checked(TOKENS, 450, 450)
    assert asked(UNPRICED, budget(TOKENS, when_unpriced_nano_usd=1), then) == (450, 450)
    assert checks_of(UNPRICED, [], [(budget(), "")], NOON_MS) == Unpriced("b")


def test_each_budget_is_asked_at_its_place_in_time() -> None:
    day = budget(window=Calendar("day", "Asia/Kolkata"))
    rolling = budget(window=Rolling(3_600_000), name="r")

    found = checks_of(PRICED, [], [(day, "ann"), (rolling, "")], NOON_MS)

    assert not isinstance(found, Unpriced)
    in_day, in_hour = found
    assert (in_day.counter, in_day.kind) == ("b:USD:ann:2026-11-23", "fixed")
    assert in_day.length_ms > NOON_MS
    assert (in_hour.kind, in_hour.slot) == ("rolling", NOON_MS // 60_000)


def test_who_called_is_who_the_rules_are_for() -> None:
    caller = caller_of(SaidCall(team="red", user="ann", key="k", tags={"app": "x"}, session="s"))

    assert (caller.team, caller.user, caller.key_id) == ("red", "ann", "k")
    assert (caller.tags, caller.session) == ((("app", "x"),), "s")
