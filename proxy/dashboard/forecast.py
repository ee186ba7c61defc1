"""Whether a budget will hold: a pure function of how it stands and of how fast it was spent lately."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final, Literal, Protocol, assert_never

from proxy.dashboard.wording import DAY_MS, MINUTE_MS, SPACE, moment

#: The pace is that of the last week, so that a weekend is neither feast nor famine.
LOOK_BACK_MS: Final = 7 * DAY_MS
# Sooner than after a fiftieth of the window, one call would decide what the month looks like.
EARLY_SHARE: Final = 50
EARLY_MS: Final = 5 * MINUTE_MS
#: What runs out later than that lasts.
FAR_MS: Final = 5 * 365 * DAY_MS

Tone = Literal["good", "warn", "bad", "quiet"]


class Hour(Protocol):
    """What was booked on a counter in one hour."""

    @property
    def hour_ms(self) -> int:
        """When the hour began."""
        ...

    @property
    def spent(self) -> int:
        """In the counter's unit."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How much was spent since when, in the budget's unit."""

    spent: int
    since_ms: int


@dataclass(frozen=True, slots=True)
class UsedUp:
    """Nothing is left, until the window ends (None: it never does)."""

    until_ms: int | None


@dataclass(frozen=True, slots=True)
class RunsOut:
    """At this pace nothing is left from then on."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Holds:
    """At this pace, so much of the limit is used when the window ends."""

    percent: int


@dataclass(frozen=True, slots=True)
class Lasts:
    """At this pace it lasts for years."""


@dataclass(frozen=True, slots=True)
class Flows:
    """A rolling window: what is used now leaves again by itself."""

    percent: int


@dataclass(frozen=True, slots=True)
class Unused:
    """Nothing was spent yet."""


@dataclass(frozen=True, slots=True)
class TooEarly:
    """So little of the window has passed that a pace would be a guess."""


Forecast = UsedUp | RunsOut | Holds | Lasts | Flows | Unused | TooEarly


def pace_of(spent: int, hours: Iterable[Hour], start_ms: int, now_ms: int) -> Pace:
    """Return the pace of the last week, or of the window if that is younger.

    Args:
        spent: of the window so far, by the ledger.
        hours: what was booked in each hour, by the archive; it may be a little behind.
        start_ms: when the window began; 0: it always was there, and began when it was first used.
        now_ms: the present.
    """
    booked = list(hours)
    began_ms = start_ms or min((hour.hour_ms for hour in booked if hour.spent), default=now_ms)
    since_ms = now_ms - LOOK_BACK_MS
    if began_ms >= since_ms or not booked:
        return Pace(spent=spent, since_ms=began_ms)
    lately = sum(hour.spent for hour in booked if hour.hour_ms >= since_ms)
    return Pace(spent=max(0, lately), since_ms=since_ms)


def forecast(
    *, limit: int, used: int, end_ms: int | None, now_ms: int, pace: Pace, length_ms: int = 0
) -> Forecast:
    """Return what will become of a budget.

    Args:
        limit: in the budget's unit, with grants.
        used: spent and reserved.
        end_ms: when the window ends; None: never.
        now_ms: the present.
        pace: how fast it was spent lately.
        length_ms: of the window; 0: it has none.
    """
    if used >= limit:
        return UsedUp(end_ms)
    passed_ms = now_ms - pace.since_ms
    if used == 0:
        return Unused()
    if passed_ms < max(EARLY_MS, length_ms // EARLY_SHARE):
        return TooEarly()
    if pace.spent == 0:
        return Lasts() if end_ms is None else Holds(_percent(used, limit))
    out_ms = now_ms + (limit - used) * passed_ms // pace.spent
    if end_ms is None:
        return RunsOut(out_ms) if out_ms - now_ms < FAR_MS else Lasts()
    if out_ms < end_ms:
        return RunsOut(out_ms)
    return Holds(_percent(used + pace.spent * (end_ms - now_ms) // passed_ms, limit))


def flow(*, limit: int, used: int) -> Forecast:
    """Return how full a rolling window is, in the budget's unit."""
    if used == 0 < limit:
        return Unused()
    return UsedUp(None) if used >= limit else Flows(_percent(used, limit))


@dataclass(frozen=True, slots=True)
class Said:
    """A forecast in words, and how much it should worry."""

    text: str
    tone: Tone


def sentence(
    outcome: Forecast, *, now_ms: int, zone: tzinfo | None, refuses: bool, window: str = ""
) -> Said:
    """Return a forecast as people say it.

    Args:
        outcome: the forecast.
        now_ms: the present.
        zone: in which its dates are meant.
        refuses: whether the budget refuses calls (mode `enforce`) or only tells.
        window: the length of a rolling window, in words.
    """
    match outcome:
        case UsedUp(until_ms=None) if window:
            effect = "calls wait until older ones leave the window" if refuses else "nothing waits"
            return Said(f"full: {effect}", "bad" if refuses else "warn")
        case UsedUp(until_ms=until_ms):
            if not refuses:
                return Said("above its limit; it only tells, and refuses nothing", "warn")
            when = "until it is raised" if until_ms is None else f"until {_until(until_ms, zone)}"
            return Said(f"used up: calls are refused {when}", "bad")
        case RunsOut(at_ms=at_ms):
            verb = "runs out" if refuses else "passes its limit"
            return Said(f"{verb} {moment(at_ms, now_ms, zone)} at this pace", "warn")
        case Holds(percent=percent):
            return Said(f"will hold: {_told(percent)} at the end", "good")
        case Lasts():
            return Said("will hold: years at this pace", "good")
        case Flows(percent=percent):
            return Said(f"{_told(percent)} came in the last {window}", "good")
        case Unused():
            return Said("nothing spent yet", "quiet")
        case TooEarly():
            return Said("too early to say", "quiet")
        case unreachable:
            assert_never(unreachable)


def _until(at_ms: int, zone: tzinfo | None) -> str:
    return moment(at_ms, at_ms - 2 * DAY_MS, zone).removeprefix("on ")


def _told(percent: int) -> str:
    """Return a share of what is used: little is not nothing."""
    return f"{percent:,}{SPACE}%" if percent else f"<1{SPACE}%"


def _percent(part: int, whole: int) -> int:
    return part * 100 // whole if whole else 0
