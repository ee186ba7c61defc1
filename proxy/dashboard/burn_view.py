"""What the picture of a budget's window shows, from its counter and from what was booked each hour."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import Final

from markupsafe import Markup

from policies.windows import Rolling
from proxy.archive.lines import HourLine
from proxy.dashboard.budget_rows import Counted
from proxy.dashboard.charts.burn import Burn, burn_chart, curve_of
from proxy.dashboard.charts.days import ALONE, Series, days_chart
from proxy.dashboard.forecast import pace_of
from proxy.dashboard.wording import DAY_MS, HOUR_MS, iso, minute, span

#: A window without an end is shown with half as much future as it has past.
_FUTURE: Final = 2
#: Of a rolling window, at least a day is shown: what left it says how it comes and goes.
_HOURS_MIN: Final = 24
_HOURS_MAX: Final = 72


def burn_of(counted: Counted, hours: Sequence[HourLine], now_ms: int) -> Burn | None:
    """Return what the picture shows; None: the window rolls, or nothing was spent in it yet."""
    standing, budget = counted.standing, counted.budget
    if isinstance(budget.window, Rolling):
        return None
    if not standing.spent and not hours:
        return None
    start_ms = standing.start_ms or min((hour.hour_ms for hour in hours), default=0)
    if not start_ms:
        return None
    end_ms = standing.end_ms or now_ms + max(DAY_MS, (now_ms - start_ms) // _FUTURE)
    pace = pace_of(standing.spent, hours, standing.start_ms, now_ms)
    return Burn(
        unit=standing.unit,
        limit=standing.limit,
        start_ms=start_ms,
        end_ms=end_ms,
        now_ms=now_ms,
        curve=curve_of(
            [(hour.hour_ms, hour.spent) for hour in hours],
            start_ms=start_ms,
            now_ms=now_ms,
            spent=standing.spent,
            hour_ms=HOUR_MS,
        ),
        ahead=_ahead(counted, pace.spent, now_ms - pace.since_ms, now_ms, end_ms),
        refusals=tuple((hour.hour_ms, hour.refused) for hour in hours if hour.refused),
        has_pace=standing.end_ms is not None,
    )


def picture(
    counted: Counted,
    burn: Burn | None,
    said: str,
    zone: tzinfo | None,
    hours: Sequence[HourLine],
    now_ms: int,
) -> Markup | None:
    """Return the picture of a window; None: there is nothing to draw yet."""
    name = counted.budget.name
    if burn is not None:
        return burn_chart(burn, f"What was spent of {name} over its window: {said}", zone)
    if isinstance(counted.budget.window, Rolling):
        return _hours_chart(counted, counted.budget.window, hours, now_ms, zone)
    return None


def _hours_chart(
    counted: Counted,
    window: Rolling,
    hours: Sequence[HourLine],
    now_ms: int,
    zone: tzinfo | None,
) -> Markup:
    """Return what was booked in each of the last hours: a rolling window has no beginning."""
    shown = min(_HOURS_MAX, max(_HOURS_MIN, -(-window.length_ms // HOUR_MS)))
    first_ms = (now_ms // HOUR_MS - shown + 1) * HOUR_MS
    starts = [first_ms + index * HOUR_MS for index in range(shown)]
    booked = {iso(hour.hour_ms): hour.spent for hour in hours if hour.hour_ms >= first_ms}
    names = [iso(start) for start in starts]
    amounts = tuple(booked.get(name, 0) for name in names)
    return days_chart(
        [Series(name=counted.budget.name, amounts=amounts, colour=ALONE)],
        names,
        [minute(start, zone).partition(", ")[2] for start in starts],
        counted.standing.unit,
        f"What was booked in each of the last {span(shown * HOUR_MS)}",
    )


def _ahead(
    counted: Counted, lately: int, passed_ms: int, now_ms: int, end_ms: int
) -> tuple[int, int] | None:
    """Return where the pace of late leads: to the limit, or to the end of what is shown."""
    spent, limit = counted.standing.spent, counted.standing.limit
    if lately <= 0 or passed_ms <= 0 or spent >= limit or end_ms <= now_ms:
        return None
    out_ms = now_ms + (limit - spent) * passed_ms // lately
    if out_ms <= end_ms:
        return out_ms, limit
    return end_ms, spent + lately * (end_ms - now_ms) // passed_ms
