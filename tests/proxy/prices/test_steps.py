"""Prices with conditions on size, compiled into tiers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.pricing import Price, Tier
from policies.rates import Rates
from policies.usage import Usage
from proxy.prices.figures import NotAPrice
from proxy.prices.steps import STEPS_MAX, Step, flat, tiers_of


def test_a_flat_price_is_one_tier() -> None:
    tiers = tiers_of({"input": flat(3), "output": flat(15)})

    assert tiers == (Tier(rates=Rates.of(input=3, output=15)),)


def test_each_part_may_have_its_own_sizes() -> None:
    tiers = tiers_of(
        {
            "input": (Step(amount=3, below_input=200), Step(amount=6, from_input=200)),
            "output": flat(15),
            "cache_read": (Step(amount=1, below_input=100), Step(amount=2, from_input=100)),
        }
    )

    assert tiers == (
        Tier(rates=Rates.of(input=3, output=15, cache_read=1)),
        Tier(from_input_tokens=100, rates=Rates.of(input=3, output=15, cache_read=2)),
        Tier(from_input_tokens=200, rates=Rates.of(input=6, output=15, cache_read=2)),
    )


def test_a_part_may_depend_on_both_sizes() -> None:
    tiers = tiers_of(
        {
            "input": flat(1),
            "output": (
                Step(amount=2, below_input=32, below_output=10),
                Step(amount=3, below_input=32, from_output=10),
                Step(amount=4, from_input=32),
            ),
        }
    )

    assert [
        (tier.from_input_tokens, tier.from_output_tokens, tier.rates.output) for tier in tiers
    ] == [(0, 0, 2), (0, 10, 3), (32, 0, 4)]


def test_a_size_that_no_step_covers_has_the_dearest_price() -> None:
    tiers = tiers_of(
        {"input": (Step(amount=5, from_input=10, below_input=20), Step(amount=3, below_input=5))}
    )

    assert [(tier.from_input_tokens, tier.rates.input) for tier in tiers] == [
        (0, 3),
        (5, 5),
    ]


def test_where_two_steps_hold_the_dearer_counts() -> None:
    (tier,) = tiers_of({"input": (Step(amount=5), Step(amount=7))})

    assert tier.rates.input == 7


def test_a_surcharge_for_reasoning_comes_on_top_of_output() -> None:
    (tier,) = tiers_of({"input": flat(1), "output": flat(10), "reasoning_surcharge": flat(4)})

    assert (tier.rates.output, tier.rates.reasoning) == (10, 14)


@pytest.mark.parametrize("parts", [{}, {"output": flat(1)}, {"input": ()}])
def test_a_list_without_a_price_for_input_is_refused(parts: dict[str, tuple[Step, ...]]) -> None:
    with pytest.raises(NotAPrice, match="no price for input"):
        tiers_of(parts)


def test_a_list_of_endless_steps_is_refused() -> None:
    steps = tuple(Step(amount=1, from_input=start) for start in range(STEPS_MAX + 1))

    with pytest.raises(NotAPrice, match="more than 16"):
        tiers_of({"input": steps})


SIZES = st.integers(0, 40)
STEPS = st.lists(
    st.builds(
        Step,
        amount=st.integers(0, 9).map(lambda pico: pico * 1_000),
        from_input=SIZES,
        below_input=st.none() | SIZES,
        from_output=SIZES,
        below_output=st.none() | SIZES,
    ),
    min_size=1,
    max_size=4,
)


@given(STEPS, STEPS, SIZES, SIZES)
def test_the_tiers_say_what_the_steps_say(
    inputs: list[Step], outputs: list[Step], input_tokens: int, output_tokens: int
) -> None:
    price = Price(model="m", tiers=tiers_of({"input": inputs, "output": outputs}), source="test")

    cost = price.cost(Usage(input_tokens=input_tokens, output_tokens=output_tokens))

    def dearest(steps: list[Step]) -> int:
        holding = [step.amount for step in steps if step.holds(input_tokens, output_tokens)]
        return max(holding) if holding else max(step.amount for step in steps)

    expected = input_tokens * dearest(inputs) + output_tokens * dearest(outputs)
    assert getattr(cost, "nano_usd", None) == expected // 1_000
