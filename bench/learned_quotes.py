"""What `likely` quotes hold back and what they let through, on a trace of real calls.

    python -m bench.learned_quotes --trace ../shared/traces/azure2023_code.csv

The trace has tokens and no bytes: `--bytes-per-token` makes a body of them. Calls count as one team
with one model, and a call teaches when the next one begins. Columns: dollars held for each dollar
used; tokens of output held for each one used; how many calls exceed what was held, by how much on
average and at most, all of it as a share of what was spent, and at most in 64 calls in a row.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Final, NamedTuple

from policies import learning
from policies.demand import Demand
from policies.learning import Learned
from policies.pricing import Price, Tier
from policies.quotes import Quote, quote
from policies.rates import Rates, pico_per_token
from policies.usage import Usage

TRACE: Final = Path(__file__).parent.parent.parent / "shared/traces/azure2023_code.csv"
QUANTILES_PERCENT: Final = (90, 95, 99)
MARGINS_PERCENT: Final = (100, 125, 150, 200, 300)
#: GPT-4o by published prices: $2.50 and $10 per million tokens.
RATES: Final = Rates.of(input=pico_per_token(Decimal("2.5")), output=pico_per_token(Decimal(10)))


class Call(NamedTuple):
    """One row of the trace."""

    body_bytes: int
    input_tokens: int
    output_tokens: int


@dataclass
class Tally:
    """What quotes of one kind came to over the trace."""

    calls: int = 0
    held_nano: int = 0
    used_nano: int = 0
    held_output: int = 0
    used_output: int = 0
    over: int = 0
    over_nano: int = 0
    over_nano_max: int = 0
    #: The worst sum of overruns of so many calls in a row: those that are in flight together.
    window: int = 64
    worst_window_nano: int = 0

    def __post_init__(self) -> None:
        self._last: list[int] = []

    def add(self, made: Quote, used: Usage, nano: int) -> None:
        self.calls += 1
        self.held_nano += made.amounts.nano_usd
        self.used_nano += nano
        self.held_output += made.amounts.output_tokens
        self.used_output += used.output_tokens
        overrun = nano - made.amounts.nano_usd
        if overrun > 0:
            self.over += 1
            self.over_nano += overrun
            self.over_nano_max = max(self.over_nano_max, overrun)
        self._last = [*self._last[1 - self.window :], max(overrun, 0)]
        self.worst_window_nano = max(self.worst_window_nano, sum(self._last))

    def row(self, name: str) -> str:
        over = f"{100 * self.over / self.calls:.2f} %"
        mean = self.over_nano / self.over / 1e9 if self.over else 0
        return (
            f"| {name} | {self.held_nano / self.used_nano:.2f} | "
            f"{self.held_output / self.used_output:.2f} | {over} | ${mean:.6f} | "
            f"${self.over_nano_max / 1e9:.6f} | {100 * self.over_nano / self.used_nano:.3f} % | "
            f"${self.worst_window_nano / 1e9:.6f} |"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one table for each output limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trace", type=Path, default=TRACE)
    parser.add_argument("--bytes-per-token", type=Fraction, default=Fraction("4.2"))
    parser.add_argument("--output-limits", type=int, nargs="+", default=[2_048, 16_384])
    options = parser.parse_args(arguments)
    calls = list(read(options.trace, options.bytes_per_token))
    print(f"{len(calls)} calls of {options.trace.name}; {options.bytes_per_token} bytes per token")
    for limit in options.output_limits:
        print(f"\noutput limit {limit}\n")
        print("| quote | held ÷ used | of output | over | mean | max | of spend | in 64 |")
        print("|---|---|---|---|---|---|---|---|")
        print(replay(calls, limit, None).row("bound"))
        for percent in QUANTILES_PERCENT:
            for margin in MARGINS_PERCENT:
                learning.QUANTILE_PERCENT = percent  # type: ignore[misc] # The study varies it.
                learning.OUTPUT_MARGIN_PERCENT = margin  # type: ignore[misc] # The study varies it.
                print(replay(calls, limit, Learned()).row(f"likely, p{percent} × {margin} %"))


def read(path: Path, bytes_per_token: Fraction) -> Iterator[Call]:
    """Yield the calls of a trace in their order."""
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            input_tokens = int(row["ContextTokens"])
            body_bytes = -(-input_tokens * bytes_per_token.numerator // bytes_per_token.denominator)
            yield Call(body_bytes, input_tokens, int(row["GeneratedTokens"]))


def replay(calls: Sequence[Call], output_limit: int, learned: Learned | None) -> Tally:
    """Quote each call before it is known, then learn from it."""
    price = Price(model="m", tiers=(Tier(rates=RATES),), context_window=128_000, source="study")
    tally = Tally()
    for call in calls:
        made = quote(
            Demand(model="m", body_bytes=call.body_bytes, output_limit=output_limit),
            price,
            default_max_output_tokens=None,
            hidden_input="context_window",
            tool_rounds_max=0,
            learned=learned,
        )
        used = Usage(input_tokens=call.input_tokens, output_tokens=call.output_tokens)
        cost = price.amounts(used)
        if not isinstance(made, Quote) or not hasattr(cost, "nano_usd"):
            raise SystemExit(f"{call}: no price")
        tally.add(made, used, cost.nano_usd)
        if learned is not None:
            learned.observe(
                body_bytes=call.body_bytes,
                input_tokens=call.input_tokens,
                output_tokens=call.output_tokens,
            )
    return tally


if __name__ == "__main__":
    main()
