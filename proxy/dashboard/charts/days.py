"""Money spent on each day, stacked by who or what it was spent on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from proxy.dashboard.charts.axes import NARROW, WIDE, Frame, amount_axis, amount_marks
from proxy.dashboard.svg import element, group
from proxy.dashboard.wording import short

#: More than these cannot be told apart; the smallest become one.
SERIES_MAX: Final = 6
OTHERS: Final = "others"
_MARKS: Final = 4
_HEADROOM_PERCENT: Final = 104
#: What stands alone has the colour of everything that is ours.
ALONE: Final = SERIES_MAX + 1
_GAP: Final = 0.22
# What is written below columns must not touch: this many columns lie between two texts.
_EVERY: Final = {WIDE.width: 5, NARROW.width: 10}


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """What one name came to on each day, in the order of the days."""

    name: str
    amounts: tuple[int, ...]
    #: Its colour, by number; the one of what is left over is `SERIES_MAX`.
    colour: int

    @property
    def total(self) -> int:
        """Over all days."""
        return sum(self.amounts)


def stacked(amounts: Mapping[str, Mapping[str, int]], days: Sequence[str]) -> list[Series]:
    """Return series, the largest first, from amounts by name and day; the smallest are put together."""
    totals = {name: sum(by_day.get(day, 0) for day in days) for name, by_day in amounts.items()}
    # The name breaks ties, so that colours do not change places from one look to the next.
    names = sorted((name for name in totals if totals[name] > 0), key=lambda n: (-totals[n], n))
    kept = names if len(names) <= SERIES_MAX + 1 else names[:SERIES_MAX]
    series = [
        Series(
            name=name,
            amounts=tuple(amounts[name].get(day, 0) for day in days),
            colour=min(index, SERIES_MAX),
        )
        for index, name in enumerate(kept)
    ]
    rest = names[len(kept) :]
    if rest:
        left = tuple(sum(amounts[name].get(day, 0) for name in rest) for day in days)
        series.append(Series(name=f"{len(rest)} {OTHERS}", amounts=left, colour=SERIES_MAX))
    return series


def days_chart(
    series: Sequence[Series], days: Sequence[str], labels: Sequence[str], unit: str, title: str
) -> Markup:
    """Return the picture, for a desk's screen and for a phone's.

    Args:
        series: the largest first; it lies at the bottom.
        days: for titles, such as `2026-11-23`.
        labels: the same as they are written below, such as `23 Nov`.
        unit: of the amounts.
        title: what a screen reader says.
    """
    return Markup("").join(
        _drawn(frame, name, series, days, labels, unit, title)
        for frame, name in ((WIDE, "wide"), (NARROW, "narrow"))
    )


def _drawn(
    frame: Frame,
    name: str,
    series: Sequence[Series],
    days: Sequence[str],
    labels: Sequence[str],
    unit: str,
    title: str,
) -> Markup:
    totals = [sum(each.amounts[index] for each in series) for index in range(len(days))]
    top = max(1, max(totals, default=0)) * _HEADROOM_PERCENT // 100 + 1
    marks = amount_marks(top, _MARKS)
    columns = [
        _column(frame, series, index, f"{days[index]}: {short(unit, total)}", top, len(days))
        for index, total in enumerate(totals)
    ]
    texts = [
        element(
            "text",
            label,
            class_="mark middle",
            x=frame.x(2 * index + 1, 2 * len(days)),
            y=frame.height - 8,
        )
        for index, label in enumerate(labels)
        if (len(labels) - 1 - index) % _EVERY[frame.width] == 0
    ]
    return element(
        "svg",
        element("title", title),
        *amount_axis(frame, marks, top, unit),
        *columns,
        *texts,
        class_=f"chart {name}",
        role="img",
        viewBox=f"0 0 {frame.width} {frame.height}",
    )


def _column(
    frame: Frame, series: Sequence[Series], index: int, total: str, top: int, count: int
) -> Markup:
    width = frame.plot_width / count * (1 - _GAP)
    x = frame.x(index, count) + frame.plot_width / count * _GAP / 2
    drawn, below = [element("title", total)], 0
    for each in series:
        amount = each.amounts[index]
        if amount <= 0:
            continue
        y = frame.y(below + amount, top)
        drawn.append(
            element(
                "rect",
                class_=f"series s{each.colour}",
                x=x,
                y=y,
                width=width,
                height=max(0.5, frame.y(below, top) - y),
            )
        )
        below += amount
    # Days without spending can be pointed at too.
    target = element(
        "rect", class_="target", x=x, y=frame.top, width=width, height=frame.plot_height
    )
    return group([*drawn, target], class_="column")
