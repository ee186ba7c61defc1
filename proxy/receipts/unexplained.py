"""What of a bill by minutes our calls do not explain: decided here, purely, day by day.

A call of ours and the row that bills it need not lie in the same minute: it may be billed when it
ends, and clocks differ. Minutes are therefore not compared one by one. All that was billed up to a
minute is compared with all calls that were reserved until a little later, so that a call on the edge
is never taken for a ghost; the next comparison makes good what this one leaves out. Days are kept
apart, so that what was counted too high on one does not hide ghosts for ever; a day leaves to the
next only what calls at its end can be the reason of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

MINUTES_PER_DAY: Final = 1_440
#: So long after its reservation a call may be billed. Research in the background takes an hour.
BILLED_WITHIN_MIN: Final = 180


@dataclass(frozen=True, slots=True)
class Sum:
    """Money and requests, added up."""

    nano_usd: int = 0
    calls: int = 0

    def __add__(self, other: Sum) -> Sum:
        """Return both together."""
        return Sum(self.nano_usd + other.nano_usd, self.calls + other.calls)

    def __sub__(self, other: Sum) -> Sum:
        """Return the difference."""
        return Sum(self.nano_usd - other.nano_usd, self.calls - other.calls)

    def __neg__(self) -> Sum:
        """Return the opposite."""
        return Sum(-self.nano_usd, -self.calls)

    def up_to(self, most: Sum) -> Sum:
        """Return the lesser of either part."""
        return Sum(min(self.nano_usd, most.nano_usd), min(self.calls, most.calls))

    def above_zero(self) -> Sum:
        """Return it without what is negative."""
        return Sum(max(0, self.nano_usd), max(0, self.calls))


NOTHING: Final = Sum()


class Minutes:
    """Sums by minute, minutes counted since the epoch."""

    __slots__ = ("_sums",)

    def __init__(self, sums: Mapping[int, Sum]) -> None:
        self._sums = sums

    def between(self, first: int, end: int) -> Sum:
        """Return the sum of the minutes from the first on that lie before the end."""
        nano_usd = calls = 0
        for minute, each in self._sums.items():
            if first <= minute < end:
                nano_usd += each.nano_usd
                calls += each.calls
        return Sum(nano_usd, calls)

    def last(self, first: int, end: int) -> int | None:
        """Return the last of these minutes in which there was money; None: there was none."""
        paid = (m for m, each in self._sums.items() if first <= m < end and each.nano_usd)
        return max(paid, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One day, as far as it is compared."""

    #: By its number since the epoch.
    day: int
    #: What is to be booked besides what was booked already; never below zero.
    ghost: Sum
    #: What of the next day is explained already; below zero: what of its calls is used up here.
    #: None: the day is not over.
    carry: Sum | None


def compare(
    billed: Minutes,
    explained: Minutes,
    *,
    first: int,
    until: int,
    ahead: int,
    carry: Sum,
    booked: Mapping[int, Sum],
) -> Iterator[Comparison]:
    """Yield what of each day is explained by nothing.

    It never comes to more than the true ghosts, if each call that `explained` will ever tell of is
    in it, or was reserved after the last compared minute and `ahead` more, or is billed later.

    Args:
        billed: what the provider billed, by its own minutes.
        explained: what of it receipts of our calls explain, by the minutes of their reservations.
        first: the minute at which the comparison begins.
        until: the minute at which it ends, itself left out.
        ahead: by how many minutes a reservation may seem to come after the row that bills it.
        carry: what of the first day is explained by calls before.
        booked: what was booked of each day.
    """
    for day in range(first // MINUTES_PER_DAY, -(-until // MINUTES_PER_DAY)):
        begin, end = max(first, day * MINUTES_PER_DAY), (day + 1) * MINUTES_PER_DAY
        known = carry + booked.get(day, NOTHING)
        if until < end:
            rest = billed.between(begin, until) - explained.between(begin, until + ahead) - known
            yield Comparison(day=day, ghost=rest.above_zero(), carry=None)
            return
        rest = billed.between(begin, end) - explained.between(begin, end) - known
        # Calls that seem to be reserved after midnight may be billed before, and the other way round.
        early = rest.above_zero().up_to(explained.between(end, end + ahead))
        late = (-rest).above_zero().up_to(explained.between(end - BILLED_WITHIN_MIN, end))
        carry = late - early
        yield Comparison(day=day, ghost=rest.above_zero() - early, carry=carry)
