"""What calls of one team with one model usually come to: learned from those that have ended.

A quote of kind `likely` reserves this instead of the bound. Quantile and margin were chosen on a
trace of 8,819 calls; docs/decisions/0002-quotes.md has the numbers and the command.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from typing import Final, NamedTuple

#: Calls remembered per team and model: enough for a quantile, few enough to follow a new habit.
CALLS_MAX: Final = 256
#: Before so many calls have ended nothing is said, and the quote is the bound.
CALLS_MIN: Final = 20
#: The quantile is taken anew after so many calls: sorting costs more than counting.
CALLS_PER_REFRESH: Final = 16
# Of 256 calls the 99 % quantile is the third largest, which is mostly chance: 95 % with a wide margin
# is as rarely exceeded, for less held.
QUANTILE_PERCENT: Final = 95
OUTPUT_MARGIN_PERCENT: Final = 200
#: Tokens per byte vary little between calls of one kind.
INPUT_MARGIN_PERCENT: Final = 125
#: Teams × models that one worker remembers, at about 4 KiB each. The least recently used goes.
PAIRS_MAX: Final = 2_048

#: Input tokens are learned per byte of the body, in millionths of a token.
_MILLION: Final = 1_000_000
#: What the rings can hold; no token count comes near.
_RING_VALUE_MAX: Final = 2**63 - 1


class Likely(NamedTuple):
    """What a call will hardly exceed, in tokens; it may, and then there is an overrun."""

    input_tokens: int
    output_tokens: int
    #: How many calls say so.
    calls: int


class Learned:
    """The last calls of one team with one model."""

    __slots__ = ("_input_ppm", "_input_ppm_likely", "_observed", "_output", "_output_likely")

    def __init__(self) -> None:
        self._observed = 0
        # Rings of `CALLS_MAX`: the call observed as number n stands at n modulo that.
        self._output = array("q")
        self._input_ppm = array("q")
        self._output_likely = 0
        self._input_ppm_likely = 0

    def observe(self, *, body_bytes: int, input_tokens: int, output_tokens: int) -> None:
        """Learn from a call that has ended, whose usage the provider said exactly.

        A cut call teaches too little and must not be handed in.
        """
        input_ppm = -(-input_tokens * _MILLION // max(body_bytes, 1))
        self._put(self._output, output_tokens)
        self._put(self._input_ppm, input_ppm)
        self._observed += 1
        if self._observed >= CALLS_MIN and (self._observed - CALLS_MIN) % CALLS_PER_REFRESH == 0:
            self._output_likely = _quantile(self._output, OUTPUT_MARGIN_PERCENT)
            self._input_ppm_likely = _quantile(self._input_ppm, INPUT_MARGIN_PERCENT)

    def likely(self, body_bytes: int) -> Likely | None:
        """Return what a call of this size will hardly exceed; None while too few have ended."""
        if self._observed < CALLS_MIN:
            return None
        return Likely(
            input_tokens=-(-self._input_ppm_likely * body_bytes // _MILLION),
            output_tokens=self._output_likely,
            calls=min(self._observed, CALLS_MAX),
        )

    def _put(self, ring: array[int], value: int) -> None:
        kept = min(value, _RING_VALUE_MAX)
        if len(ring) < CALLS_MAX:
            ring.append(kept)
        else:
            ring[self._observed % CALLS_MAX] = kept


class Learning:
    """What is learned about every team and model; each worker learns for itself."""

    def __init__(self, pairs_max: int = PAIRS_MAX) -> None:
        self._pairs_max = pairs_max
        self._learned: OrderedDict[tuple[str, str], Learned] = OrderedDict()

    def of(self, team: str, model: str) -> Learned:
        """Return what is learned about a team with a model, which may be nothing yet."""
        pair = (team, model)
        learned = self._learned.get(pair)
        if learned is None:
            learned = self._learned[pair] = Learned()
            if len(self._learned) > self._pairs_max:
                self._learned.popitem(last=False)
            return learned
        self._learned.move_to_end(pair)
        return learned


def _quantile(ring: array[int], margin_percent: int) -> int:
    """Return the smallest value that `QUANTILE_PERCENT` do not exceed, times the margin."""
    rank = -(-len(ring) * QUANTILE_PERCENT // 100)
    return -(-sorted(ring)[rank - 1] * margin_percent // 100)
