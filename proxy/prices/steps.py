"""Prices that depend on a call's size: each list's own conditions, compiled into one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from policies.pricing import Tier, Tiers
from policies.rates import Rates
from proxy.prices.figures import NotAPrice

#: Steps of one part. The longest list known has four; the table grows with the square of it.
STEPS_MAX: Final = 16

#: The parts that a list may price, as `Rates.of` names them, and a surcharge for reasoning.
INPUT: Final = "input"
OUTPUT: Final = "output"
REASONING_SURCHARGE: Final = "reasoning_surcharge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One price, and the sizes of call that it holds for: from a number to below another."""

    #: Pico-dollars per token; nano-dollars for `web_search_nano` and `call_nano`.
    amount: int
    from_input: int = 0
    below_input: int | None = None
    from_output: int = 0
    below_output: int | None = None

    def holds(self, input_tokens: int, output_tokens: int) -> bool:
        """Tell whether a call of this size has this price."""
        return (
            self.from_input <= input_tokens
            and (self.below_input is None or input_tokens < self.below_input)
            and self.from_output <= output_tokens
            and (self.below_output is None or output_tokens < self.below_output)
        )


Parts = Mapping[str, Sequence[Step]]


def tiers_of(parts: Parts) -> Tiers:
    """Return the tiers that the steps of all parts make together.

    Where two steps of a part hold, the dearer one counts; where none does, the dearest of the part.

    Raises:
        NotAPrice: there is no price for input, or there are too many steps.
    """
    if not parts.get(INPUT):
        raise NotAPrice("no price for input tokens")
    if any(len(steps) > STEPS_MAX for steps in parts.values()):
        raise NotAPrice(f"more than {STEPS_MAX} prices for one part")
    every = [step for steps in parts.values() for step in steps]
    inputs = {0} | {step.from_input for step in every}
    inputs |= {step.below_input for step in every if step.below_input is not None}
    outputs = {0} | {step.from_output for step in every}
    outputs |= {step.below_output for step in every if step.below_output is not None}
    tiers: list[Tier] = []
    for from_input in sorted(inputs):
        row: list[Tier] = []
        for from_output in sorted(outputs):
            rates = _rates(parts, from_input, from_output)
            if row and row[-1].rates == rates:
                continue
            row.append(
                Tier(from_input_tokens=from_input, from_output_tokens=from_output, rates=rates)
            )
        if not _same_row(tiers, row):
            tiers.extend(row)
    return tuple(tiers)


def flat(amount: int) -> tuple[Step, ...]:
    """Return the steps of a price that does not depend on size."""
    return (Step(amount=amount),)


def _same_row(tiers: Sequence[Tier], row: Sequence[Tier]) -> bool:
    """Tell whether a row says the same as the last one of a table, so that it is not needed."""
    if not tiers:
        return False
    last = [tier for tier in tiers if tier.from_input_tokens == tiers[-1].from_input_tokens]
    return [(tier.from_output_tokens, tier.rates) for tier in last] == [
        (tier.from_output_tokens, tier.rates) for tier in row
    ]


def _rates(parts: Parts, input_tokens: int, output_tokens: int) -> Rates:
    found = {
        part: _amount(steps, input_tokens, output_tokens) for part, steps in parts.items() if steps
    }
    surcharge = found.pop(REASONING_SURCHARGE, None)
    # Without a price for output none is asked for: `Price.output_priced` sees to it.
    output = found.setdefault(OUTPUT, found[INPUT])
    if surcharge is not None:
        found["reasoning"] = output + surcharge
    return Rates.of(**found)


def _amount(steps: Sequence[Step], input_tokens: int, output_tokens: int) -> int:
    holding = [step.amount for step in steps if step.holds(input_tokens, output_tokens)]
    return max(holding or [step.amount for step in steps])
