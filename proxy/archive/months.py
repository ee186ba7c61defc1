"""Months as numbers, such as 202611: what entries and calls are filed by."""

from __future__ import annotations

from typing import Final

from policies.call_ids import came_in_ms
from policies.clock import utc

#: Where calls are filed whose id tells no time that can be true.
NO_MONTH: Final = 0
# A clock that is off by more than that tells nothing; each month of a call is a partition.
FIRST: Final = 202_001
LAST: Final = 209_912
_LAST_MS: Final = 4_102_444_799_999
_MONTHS_A_YEAR: Final = 12


def month_of(at_ms: int) -> int:
    """Return the month (UTC) of a time in ms since the epoch; the first or last one beyond these."""
    moment = utc(min(max(at_ms, 0), _LAST_MS))
    return max(FIRST, moment.year * 100 + moment.month)


def month_of_call(call_id: str) -> int:
    """Return the month in which a call is filed, by the time in its id; `NO_MONTH`: it tells none."""
    at_ms = came_in_ms(call_id)
    if at_ms is None or not 0 <= at_ms <= _LAST_MS:
        return NO_MONTH
    moment = utc(at_ms)
    month = moment.year * 100 + moment.month
    return month if month >= FIRST else NO_MONTH


def next_month(month: int) -> int:
    """Return the month after one."""
    year, number = divmod(month, 100)
    return (year + 1) * 100 + 1 if number == _MONTHS_A_YEAR else month + 1
