"""A worker's own allowance is never exceeded, whatever calls come and end in whatever order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from policies.budgets import Budget
from policies.units import USD
from policies.windows import Lifetime
from proxy.gateway.allowance import Allowance

PLAIN = Budget(name="a", unit=USD, limit=10**9, window=Lifetime(), when_ledger_down_nano_usd=100)
SMALL = replace(PLAIN, name="b", when_ledger_down_nano_usd=40)
NONE = replace(PLAIN, name="none", when_ledger_down_nano_usd=None)
ALL = (PLAIN, SMALL, NONE)


@dataclass
class Model:
    """What an allowance should be: what is in flight, and what ended since the ledger was there."""

    flight: dict[str, tuple[frozenset[str], int]] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)

    def used(self, budget: str) -> int:
        held = sum(nano for names, nano in self.flight.values() if budget in names)
        return held + self.ended.get(budget, 0)


OPERATIONS = st.one_of(
    st.tuples(
        st.just("take"),
        st.lists(st.sampled_from(ALL), unique_by=lambda budget: budget.name, max_size=3),
        st.integers(0, 60),
    ),
    st.tuples(st.just("end"), st.integers(0, 20), st.integers(0, 100)),
    st.tuples(st.just("reset"), st.none(), st.none()),
)


@given(st.lists(OPERATIONS, max_size=40))
@settings(max_examples=200)
def test_no_budget_is_taken_from_beyond_its_bound(operations: list[tuple[object, ...]]) -> None:
    allowance, model = Allowance(), Model()
    for number, operation in enumerate(operations):
        match operation:
            case ("take", list(budgets), int(nano)):
                names = frozenset(budget.name for budget in budgets)
                room = bool(budgets) and all(
                    budget.when_ledger_down_nano_usd is not None
                    and model.used(budget.name) + nano <= budget.when_ledger_down_nano_usd
                    for budget in budgets
                )
                assert allowance.take(f"call_{number}", budgets, nano) is room
                if room:
                    model.flight[f"call_{number}"] = names, nano
            case ("end", int(at), int(percent)):
                if model.flight:
                    call_id = list(model.flight)[at % len(model.flight)]
                    names, nano = model.flight.pop(call_id)
                    came_to = nano * percent // 100
                    allowance.correct(call_id, came_to)
                    for name in names:
                        model.ended[name] = model.ended.get(name, 0) + came_to
            case _:
                allowance.reset()
                model.ended.clear()
        for budget in (PLAIN, SMALL):
            allowed = budget.when_ledger_down_nano_usd or 0
            assert model.used(budget.name) <= allowed
        assert allowance.used_nano_usd == max(model.used("a"), model.used("b"))


def test_a_call_that_no_budget_counts_has_no_allowance() -> None:
    assert not Allowance().take("call_a", [], 0)


def test_a_budget_without_room_keeps_the_others_untouched() -> None:
    allowance = Allowance()

    assert not allowance.take("call_a", [PLAIN, SMALL], 41)

    assert allowance.used_nano_usd == 0
    assert allowance.take("call_b", [PLAIN], 100)


def test_what_cost_more_than_its_bound_counts_in_full() -> None:
    allowance = Allowance()
    allowance.take("call_a", [PLAIN], 60)

    allowance.correct("call_a", 90)

    assert not allowance.take("call_b", [PLAIN], 11)
    assert allowance.take("call_c", [PLAIN], 10)


def test_a_call_is_corrected_once_and_a_stranger_never() -> None:
    allowance = Allowance()
    allowance.take("call_a", [PLAIN], 60)

    for call_id in ("call_a", "call_a", "stranger"):
        allowance.correct(call_id, 5)

    assert allowance.used_nano_usd == 5
