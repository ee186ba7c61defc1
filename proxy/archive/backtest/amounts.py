"""What a past call came to in every unit, followed from entry to entry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from policies.ledger.keys import FIXED, REPORTED
from policies.reservations import Operation
from policies.units import CALLS, INPUT_TOKENS, OUTPUT_TOKENS, TOKENS, USD
from policies.usage import Usage
from proxy.archive.backtest.records import Check, Recorded, SaidCall, SaidEnd, said_at_end

_KEPT: Final = frozenset({FIXED, REPORTED})


@dataclass(slots=True)
class Charged:
    """What a call was charged then, by unit: from the counters where one was of that unit."""

    #: By unit: which of the call's budgets tells it, and whether its counter is kept when its window is
    #: over; one that is not tells nothing then.
    told_by: dict[str, tuple[int, bool]]
    amounts: dict[str, int]
    #: What it was quoted, in nano-dollars: it stands until the call ends.
    quoted_nano_usd: int
    ended: bool = False

    @property
    def nano_usd(self) -> int:
        """In nano-dollars: what it was charged in the end, or the quote while it has none."""
        return self.amounts.get(USD, 0) if self.ended else self.quoted_nano_usd

    def take(self, entry: Recorded, units: set[str]) -> None:
        """Follow an operation on the call; `units`: those that are asked for, beside dollars."""
        operation = entry.kind
        if operation == Operation.GIVE_UP:
            return
        self.ended = True
        if operation == Operation.RELEASE:
            self.amounts = {}
            return
        said: SaidEnd | None = None
        for unit in units | {USD}:
            change = self._change(entry, unit)
            if change is not None:
                self.amounts[unit] = self.amounts.get(unit, 0) + change
                continue
            if operation == Operation.EXPIRE:
                if unit == USD:
                    self.amounts[unit] = self.quoted_nano_usd
                continue
            said = said or said_at_end(entry.data)
            amount = _said(said, unit)
            if amount is not None:
                self.amounts[unit] = amount

    def _change(self, entry: Recorded, unit: str) -> int | None:
        at, is_kept = self.told_by.get(unit, (len(entry.moves), False))
        if at >= len(entry.moves):
            return None
        move = entry.moves[at]
        return move.spent_change if is_kept or not move.prior else None


def charged_of(said: SaidCall, checks: list[Check]) -> Charged:
    """Return what is known of an admitted call before it has ended."""
    told_by: dict[str, tuple[int, bool]] = {}
    for at, check in enumerate(checks):
        is_kept = check.kind in _KEPT
        if check.unit not in told_by or (is_kept and not told_by[check.unit][1]):
            told_by[check.unit] = at, is_kept
    quoted = said.quote.nano_usd if said.quote is not None else 0
    in_dollars = [check.held for check in checks if check.unit == USD]
    return Charged(told_by, {}, max(in_dollars, default=quoted))


def _said(end: SaidEnd, unit: str) -> int | None:
    """Return what an end comes to in one unit; None: it says nothing, and what was charged stays."""
    if unit == USD:
        return end.nano_usd
    if unit == CALLS:
        return 1
    if unit not in (TOKENS, INPUT_TOKENS, OUTPUT_TOKENS):
        return end.credits.get(unit)
    usage = _usage(end.usage)
    if usage is None:
        return None
    sent, written = usage.total_input_tokens, usage.total_output_tokens
    return {INPUT_TOKENS: sent, OUTPUT_TOKENS: written, TOKENS: sent + written}[unit]


def _usage(said: Any) -> Usage | None:  # noqa: ANN401 - A list, an object, or anything.
    """Return all tokens that an end counts; None: it counts none."""
    lines = said if isinstance(said, list) else [said]
    sums: dict[str, int] = {}
    for line in lines:
        if not isinstance(line, dict):
            continue
        for name, count in line.items():
            if name in Usage.__dataclass_fields__ and isinstance(count, int):
                sums[name] = sums.get(name, 0) + count
    return Usage(**sums) if sums else None
