"""Scales of charts: round marks for amounts, and marks in time where people expect them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from typing import Final

from markupsafe import Markup

from policies.clock import utc
from policies.units import is_nano
from proxy.dashboard.svg import element
from proxy.dashboard.wording import DAY_MS, HOUR_MS, MINUTE_MS, axis

#: Marks come at these multiples of a power of ten.
_ROUND: Final = (1, 2, 5, 10)
_STEPS_MS: Final = (
    5 * MINUTE_MS,
    10 * MINUTE_MS,
    15 * MINUTE_MS,
    30 * MINUTE_MS,
    HOUR_MS,
    3 * HOUR_MS,
    6 * HOUR_MS,
    12 * HOUR_MS,
)
_DAY_STEPS: Final = (1, 2, 7, 14, 30, 91, 182, 365)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Where the picture lies within its margins, in the units of the viewBox."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int

    @property
    def plot_width(self) -> int:
        """The width between the margins."""
        return self.width - self.left - self.right

    @property
    def plot_height(self) -> int:
        """The height between the margins."""
        return self.height - self.top - self.bottom

    @property
    def floor(self) -> int:
        """Where zero is drawn."""
        return self.height - self.bottom

    def x(self, part: int, whole: int) -> float:
        """Return where a share of the width lies."""
        return self.left + (self.plot_width * part / whole if whole else 0.0)

    def y(self, part: int, whole: int) -> float:
        """Return where a share of the height lies."""
        return self.floor - (self.plot_height * part / whole if whole else 0.0)


#: A desk's screen, and a phone's; a style sheet shows one of them.
WIDE: Final = Frame(width=760, height=260, left=56, right=16, top=24, bottom=28)
NARROW: Final = Frame(width=340, height=220, left=46, right=10, top=22, bottom=26)


def amount_marks(top: int, count_max: int) -> list[int]:
    """Return round amounts from zero up to the top."""
    top = max(top, 1)
    power = 1
    while True:
        for factor in _ROUND:
            step = factor * power
            if step * count_max >= top:
                return list(range(0, top + 1, step))
        power *= 10


def time_marks(
    start_ms: int, end_ms: int, count_max: int, zone: tzinfo | None
) -> list[tuple[int, str]]:
    """Return times within a span where marks are expected, and what is written there."""
    for step_ms in _STEPS_MS:
        if (end_ms - start_ms) // step_ms < count_max:
            first = -(-start_ms // step_ms) * step_ms
            return [(at, _clock(at, zone)) for at in range(first, end_ms, step_ms)]
    midnight = utc(start_ms).astimezone(zone) if zone else utc(start_ms)
    midnight = midnight.replace(hour=0, minute=0, second=0, microsecond=0)
    days = next(
        (step for step in _DAY_STEPS if (end_ms - start_ms) // (step * DAY_MS) < count_max),
        _DAY_STEPS[-1],
    )
    marks = []
    at_ms = int(midnight.timestamp() * 1000)
    while at_ms < end_ms:
        if at_ms >= start_ms:
            marks.append((at_ms, f"{midnight:%-d %b}"))
        # The wall clock's midnight, whatever daylight saving does on the way.
        midnight += timedelta(days=days)
        at_ms = int(midnight.timestamp() * 1000)
    return marks[-count_max * 2 :]


def amount_axis(frame: Frame, marks: Sequence[int], top: int, unit: str) -> list[Markup]:
    """Return horizontal lines with their amounts."""
    drawn = []
    for mark in marks:
        y = frame.y(mark, top)
        drawn.append(
            element(
                "line",
                class_="grid",
                x1=frame.left,
                x2=frame.width - frame.right,
                y1=y,
                y2=y,
            )
        )
        drawn.append(
            element(
                "text",
                axis(unit, mark),
                class_="mark end",
                x=frame.left - 6,
                y=y + 4,
            )
        )
    if not is_nano(unit):
        drawn.append(element("text", unit, class_="mark", x=frame.left, y=11))
    return drawn


def _clock(at_ms: int, zone: tzinfo | None) -> str:
    return f"{utc(at_ms).astimezone(zone) if zone else utc(at_ms):%H:%M}"
