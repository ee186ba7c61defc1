"""The spans that budgets count over: pure functions of the policy, the time and the time zone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

#: What is done without a report, as `Reported.flags` has it.
REFUSE_UNKNOWN: Final = 1
REFUSE_STALE: Final = 2

Period = Literal["hour", "day", "week", "month"]

# A rolling window is kept as this many sub-buckets. A sub-bucket leaves the window when all of it
# is older than the window, so the count covers up to 1/60 more time than asked and never less.
ROLLING_BUCKETS: Final = 60


@dataclass(frozen=True, slots=True)
class Span:
    """One concrete window: its name within the budget, and its half-open [start_ms, end_ms)."""

    id: str
    start_ms: int
    #: None: it never ends.
    end_ms: int | None


@dataclass(frozen=True, slots=True)
class Calendar:
    """An hour, a day, a week (from Monday) or a month by the wall clock of one time zone."""

    period: Period
    timezone: str = "UTC"

    def span(self, now_ms: int) -> Span:
        """Return the window that contains this time.

        Daylight saving makes days of 23 or 25 hours; hours are named by UTC, because the local hour
        comes twice in autumn.
        """
        latest = _LATEST.get(self)
        if latest is None or not latest[0] <= now_ms < latest[1]:
            zone = ZoneInfo(self.timezone)
            latest = _hour(now_ms, zone) if self.period == "hour" else self._dated(now_ms, zone)
            _LATEST[self] = latest
        return latest[2]

    def _dated(self, now_ms: int, zone: ZoneInfo) -> _Found:
        today = _local(now_ms, zone).replace(tzinfo=None, fold=0)
        found, next_day = self._from(today, zone)
        # Where the clock is set back over midnight (St. John's, until 2011), the date goes back
        # too. The new window has begun all the same: money that was counted in it stays there.
        return found if now_ms < found[1] else self._from(next_day, zone)[0]

    def _from(self, local: datetime, zone: ZoneInfo) -> tuple[_Found, datetime]:
        """Return the window of a wall-clock time, and when the next one begins."""
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        if self.period == "month":
            start = midnight.replace(day=1)
            end = (start + timedelta(days=32)).replace(day=1)
            name = f"{start:%Y-%m}"
        elif self.period == "week":
            start = midnight - timedelta(days=midnight.weekday())
            end = start + timedelta(days=7)
            name = f"{start:%G-W%V}"
        else:
            start, end = midnight, midnight + timedelta(days=1)
            name = f"{start:%Y-%m-%d}"
        start_ms, end_ms = _epoch_ms(start, zone), _epoch_ms(end, zone)
        return (start_ms, end_ms, Span(name, start_ms, end_ms)), end


# The latest span of each window, with its bounds: nearly all calls fall into the same one. There
# are as many entries as policies name calendar windows.
_Found = tuple[int, int, Span]
_LATEST: Final[dict[Calendar, _Found]] = {}


@dataclass(frozen=True, slots=True)
class Lifetime:
    """One window that never ends."""

    def span(self, now_ms: int) -> Span:
        """Return the only window there is."""
        del now_ms
        return Span("lifetime", 0, None)


@dataclass(frozen=True, slots=True)
class Rolling:
    """The last `length_ms`, at every moment."""

    length_ms: int

    @property
    def bucket_ms(self) -> int:
        """The width of one sub-bucket, in milliseconds."""
        return max(1, -(-self.length_ms // ROLLING_BUCKETS))

    @property
    def id(self) -> str:
        """The window's name within its budget."""
        return f"rolling-{self.length_ms}"


@dataclass(frozen=True, slots=True)
class FirstUse:
    """A window that begins with the first call after the last one ended, as providers have them."""

    length_ms: int

    @property
    def id(self) -> str:
        """The window's name within its budget."""
        return f"first-use-{self.length_ms}"


@dataclass(frozen=True, slots=True)
class Reported:
    """A window of the provider's own: it says how much is left, and nothing ends it here.

    The counter goes up for ever. Each report moves its limit to what is left beyond what was counted
    when the report was asked for, so that between reports our own calls count against it.
    """

    #: An older report says nothing any more.
    stale_after_ms: int
    #: Whether calls are refused while nothing was reported yet, or no longer.
    refuse_unknown: bool = False
    refuse_stale: bool = False

    @property
    def id(self) -> str:
        """The window's name within its budget."""
        return "reported"

    @property
    def flags(self) -> int:
        """What to do without a report, as one number: 1 refuses the unknown, 2 what is stale."""
        return REFUSE_UNKNOWN * self.refuse_unknown | REFUSE_STALE * self.refuse_stale


Window = Calendar | Lifetime | Rolling | FirstUse | Reported

HOUR_MS: Final = 3_600_000
_UNITS_MS: Final = {
    "ms": 1,
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
}
# Ten digits are more than a century of seconds, and short enough for any arithmetic.
_DURATION: Final = re.compile(r"\s*([0-9]{1,10})\s*(ms|s|m|h|d|w)\s*")
LENGTH_MS_MIN: Final = 1_000
# A year and a day: a longer rolling window is a lifetime with extra steps.
LENGTH_MS_MAX: Final = 366 * 86_400_000


def parse_duration_ms(text: str) -> int:
    """Return milliseconds for a text such as `30s`, `5h` or `7d`.

    Raises:
        ValueError: the text is not a whole number with one of the units ms, s, m, h, d, w.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        message = (
            f"'{text}' is not a duration: write a whole number and ms, s, m, h, d or w, such as 5h"
        )
        raise ValueError(message)
    return int(match[1]) * _UNITS_MS[match[2]]


def duration_text(milliseconds: int) -> str:
    """Return a duration as policies write it, in the largest unit that it is a multiple of."""
    unit, worth_ms = max(
        ((unit, worth) for unit, worth in _UNITS_MS.items() if milliseconds % worth == 0),
        key=lambda found: found[1],
    )
    return f"{milliseconds // worth_ms}{unit}"


def parse_window(text: str, timezone: str) -> Window:
    """Return the window that a policy names: `month`, `lifetime`, `rolling 5h`, `first-use 5h`.

    Raises:
        ValueError: the text names no window, or its length is below a second or above a year.
    """
    words = text.split()
    match words:
        case ["hour" | "day" | "week" | "month" as period]:
            return Calendar(period, timezone)
        case ["lifetime"]:
            return Lifetime()
        case ["rolling" | "first-use" as kind, length]:
            length_ms = parse_duration_ms(length)
            if not LENGTH_MS_MIN <= length_ms <= LENGTH_MS_MAX:
                message = f"'{text}': a window lasts from one second to 366 days"
                raise ValueError(message)
            return Rolling(length_ms) if kind == "rolling" else FirstUse(length_ms)
        case _:
            message = (
                f"'{text}' is not a window: use hour, day, week, month, lifetime, "
                "'rolling 5h' or 'first-use 5h'"
            )
            raise ValueError(message)


def _local(at_ms: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, tz=zone)


def _epoch_ms(local: datetime, zone: ZoneInfo) -> int:
    """Return the instant of a midnight; one that the clock skips is the instant of the jump.

    Midnights are skipped in Beirut, Havana and Cairo; Apia once skipped a whole day. All of these
    jumps begin at midnight, where the offset before the jump (`fold=0`) leads to the jump itself.
    """
    return int(local.replace(tzinfo=zone).timestamp() * 1000)


def _hour(now_ms: int, zone: ZoneInfo) -> _Found:
    offset_ms = _offset_ms(now_ms, zone)
    start_ms = (now_ms + offset_ms) // HOUR_MS * HOUR_MS - offset_ms
    end_ms = start_ms + HOUR_MS
    # A change by less than an hour (Lord Howe: 30 minutes) ends the hour, and begins another.
    if _offset_ms(start_ms, zone) != offset_ms:
        start_ms = _change_ms(start_ms, now_ms, zone)
    if _offset_ms(end_ms - 1, zone) != offset_ms:
        end_ms = _change_ms(now_ms, end_ms - 1, zone)
    start = datetime.fromtimestamp(start_ms / 1000, tz=UTC)
    return start_ms, end_ms, Span(f"{start:%Y-%m-%dT%H%MZ}", start_ms, end_ms)


def _offset_ms(at_ms: int, zone: ZoneInfo) -> int:
    local = _local(at_ms, zone)
    return int((local.replace(tzinfo=UTC) - local).total_seconds() * 1000)


def _change_ms(before_ms: int, after_ms: int, zone: ZoneInfo) -> int:
    """Return the instant at which the zone's offset changes between two times."""
    offset_ms = _offset_ms(before_ms, zone)
    while after_ms - before_ms > 1:
        middle_ms = (before_ms + after_ms) // 2
        if _offset_ms(middle_ms, zone) == offset_ms:
            before_ms = middle_ms
        else:
            after_ms = middle_ms
    return after_ms
