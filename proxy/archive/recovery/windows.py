"""Which window a counter counts over, by its name and by the last decision that looked at it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from policies.ledger.keys import FIRST_USE, FIXED, REPORTED, ROLLING, counter_parts
from policies.windows import Rolling
from proxy.archive.backtest.records import Check

_LIFETIME: Final = "lifetime"
_HOUR_MS: Final = 3_600_000
# Zones are up to 14 hours away from UTC, to either side; clocks are set back by an hour at most.
_ZONES_MS: Final = 15 * _HOUR_MS
#: How calendar windows are named (`policies.windows.Calendar`), and how long each is at most.
_FORMS: Final = (
    ("%Y-%m", timedelta(days=31)),
    ("%Y-%m-%d", timedelta(days=1)),
    ("%Y-%m-%dT%H%MZ", timedelta(hours=1)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What a counter counts over."""

    kind: str
    #: As in a charge: the length, or when a fixed window ends (0: never); None: its name does not tell.
    length_ms: int | None
    bucket_ms: int = 0


def window_of(counter: str, check: Check | None) -> Window:
    """Return the window of a counter; a check that looked at it tells when a calendar window ends."""
    if check is not None:
        return Window(kind=check.kind, length_ms=check.length_ms, bucket_ms=check.bucket_ms)
    window_id = counter_parts(counter)[3]
    kind, _, length = window_id.rpartition("-")
    if kind == ROLLING and length.isdecimal():
        rolling = Rolling(int(length))
        return Window(kind=ROLLING, length_ms=rolling.length_ms, bucket_ms=rolling.bucket_ms)
    if kind == FIRST_USE and length.isdecimal():
        return Window(kind=FIRST_USE, length_ms=int(length))
    if window_id == REPORTED:
        return Window(kind=REPORTED, length_ms=0)
    return Window(kind=FIXED, length_ms=0 if window_id == _LIFETIME else None)


def may_be_open(counter: str, last_ms: int, now_ms: int) -> bool:
    """Tell whether a window may still count something, without knowing its time zone.

    Args:
        counter: its name.
        last_ms: when anything last happened on it.
        now_ms: the ledger's time.
    """
    window = window_of(counter, None)
    if window.kind == REPORTED:
        return False
    if window.kind in (ROLLING, FIRST_USE):
        return now_ms <= last_ms + (window.length_ms or 0) + window.bucket_ms
    if window.length_ms == 0:
        return True
    ends_ms = _latest_end_ms(counter_parts(counter)[3])
    return ends_ms is None or now_ms < ends_ms


def _latest_end_ms(window_id: str) -> int | None:
    """Return when a calendar window is over in every time zone; None: its name is of no known form."""
    year, is_week, week = window_id.partition("-W")
    try:
        if is_week:
            start = datetime.fromisocalendar(int(year), int(week), 1).replace(tzinfo=UTC)
            return _ms(start + timedelta(days=7)) + _ZONES_MS
    except ValueError:
        return None
    for form, longest in _FORMS:
        try:
            start = datetime.strptime(window_id, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        return _ms(start + longest) + _ZONES_MS
    return None


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
