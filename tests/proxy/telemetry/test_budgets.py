"""Budgets as numbers: in whole units, one row for each, whatever subjects they have."""

from __future__ import annotations

from policies.decisions import Standing
from proxy.telemetry.budgets import BudgetSeries

USD = 1_000_000_000


def standing(budget: str = "b", unit: str = "USD", **more: int | str) -> Standing:
    fields = {"subject": "", "mode": "enforce", "window": "day", "overrun": 0, "start_ms": 0}
    amounts = {"limit": 10 * USD, "spent": 2 * USD, "reserved": USD, "end_ms": None}
    return Standing(**{"budget": budget, "unit": unit, **fields, **amounts, **more})  # type: ignore[arg-type]  # The fields of one.


def numbers(series: BudgetSeries, name: str) -> dict[tuple[str, ...], float]:
    return {labels: seen[0] for labels, seen in getattr(series, name).rows()}


def test_money_is_in_dollars_and_tokens_are_tokens() -> None:
    series = BudgetSeries()
    series.see([standing(), standing("t", "tokens", limit=100, spent=7, reserved=0)], 1)

    assert numbers(series, "spent") == {("b", "USD"): 2.0, ("t", "tokens"): 7}
    assert numbers(series, "limit") == {("b", "USD"): 10.0, ("t", "tokens"): 100}


def test_subjects_are_added_up_and_the_fullest_one_is_told() -> None:
    series = BudgetSeries()
    series.see([standing(subject="a"), standing(subject="b", spent=8 * USD)], 1)

    assert numbers(series, "spent") == {("b", "USD"): 10.0}
    assert numbers(series, "used") == {("b", "USD"): 0.9}
    assert numbers(series, "subjects") == {("b", "USD"): 2}


def test_a_limit_of_nothing_is_used_up() -> None:
    series = BudgetSeries()
    series.see([standing(limit=0, spent=0, reserved=0)], 1)

    assert numbers(series, "used") == {("b", "USD"): 1.0}


def test_budgets_that_are_gone_are_forgotten() -> None:
    series = BudgetSeries()
    series.see([standing("old"), standing("kept")], 1)
    series.see([standing("kept")], 2)

    assert set(numbers(series, "limit")) == {("kept", "USD")}
