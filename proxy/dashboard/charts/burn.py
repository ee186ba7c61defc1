"""How a budget is used up over its window: what was spent, its limit, the even pace and what is ahead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

from markupsafe import Markup

from proxy.dashboard.charts.axes import (
    NARROW,
    WIDE,
    Frame,
    amount_axis,
    amount_marks,
    time_marks,
)
from proxy.dashboard.svg import element, group, points

_MARKS: Final = 4
_TIMES: Final = {WIDE.width: 9, NARROW.width: 5}
_HEADROOM_PERCENT: Final = 108
_REFUSAL_HEIGHT: Final = 5
# A limit that is far away would press the curve flat; then it is named and not drawn.
_FAR_LIMIT: Final = 20
#: Places a time and an amount in the picture.
_Place = Callable[[int, int], tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Burn:
    """What the picture shows; amounts in the budget's unit."""

    unit: str
    limit: int
    start_ms: int
    end_ms: int
    now_ms: int
    #: What was spent up to a time, ascending; the last is the present.
    curve: tuple[tuple[int, int], ...]
    #: Where the pace leads: up to the limit, or to the end of the window. None: no pace is known.
    ahead: tuple[int, int] | None
    #: Hours in which calls were refused, and how many.
    refusals: tuple[tuple[int, int], ...]
    #: Whether the limit is meant for the window as a whole, so that an even pace makes sense.
    has_pace: bool


def burn_chart(burn: Burn, title: str, zone: tzinfo | None) -> Markup:
    """Return the picture, for a desk's screen and for a phone's."""
    return Markup("").join(
        _drawn(frame, name, burn, title, zone)
        for frame, name in ((WIDE, "wide"), (NARROW, "narrow"))
    )


def limit_is_near(burn: Burn) -> bool:
    """Tell whether the limit is drawn: it is not when what was spent would be a flat line."""
    return burn.limit <= _highest(burn) * _FAR_LIMIT or burn.has_pace


def _highest(burn: Burn) -> int:
    spent = max((amount for _, amount in burn.curve), default=0)
    return max(spent, burn.ahead[1] if burn.ahead else 0, 1)


def _drawn(frame: Frame, name: str, burn: Burn, title: str, zone: tzinfo | None) -> Markup:
    top_amount = max(burn.limit, _highest(burn)) if limit_is_near(burn) else _highest(burn)
    top = top_amount * _HEADROOM_PERCENT // 100 + 1
    marks = amount_marks(top, _MARKS)

    def place(at_ms: int, amount: int) -> tuple[float, float]:
        within = min(max(at_ms, burn.start_ms), burn.end_ms) - burn.start_ms
        return frame.x(within, burn.end_ms - burn.start_ms), frame.y(min(amount, top), top)

    lines = [*_lines(frame, burn, top, place), *_refusals(frame, burn, place)]
    return element(
        "svg",
        element("title", title),
        *amount_axis(frame, marks, top, burn.unit),
        *_times(frame, burn, zone, place),
        *lines,
        class_=f"chart {name}",
        role="img",
        viewBox=f"0 0 {frame.width} {frame.height}",
    )


def _lines(frame: Frame, burn: Burn, top: int, place: _Place) -> list[Markup]:
    curve = [place(at_ms, amount) for at_ms, amount in burn.curve]
    drawn: list[Markup] = []
    if curve:
        area = [(curve[0][0], float(frame.floor)), *curve, (curve[-1][0], float(frame.floor))]
        drawn.append(element("path", class_="area", d=points(area) + "Z"))
    if burn.has_pace:
        even = points([place(burn.start_ms, 0), place(burn.end_ms, burn.limit)])
        drawn.append(element("path", class_="even", d=even))
    if limit_is_near(burn):
        y = frame.y(burn.limit, top)
        right = frame.width - frame.right
        drawn.append(element("line", class_="limit", x1=frame.left, x2=right, y1=y, y2=y))
        drawn.append(element("text", "limit", class_="mark end limit-text", x=right, y=y - 5))
    if burn.ahead is not None and curve:
        drawn.append(element("path", class_="ahead", d=points([curve[-1], place(*burn.ahead)])))
    if curve:
        drawn.append(element("path", class_="curve", d=points(curve)))
        drawn.append(element("circle", class_="present", cx=curve[-1][0], cy=curve[-1][1], r=4))
    return drawn


def _times(frame: Frame, burn: Burn, zone: tzinfo | None, place: _Place) -> list[Markup]:
    drawn = [
        element("text", text, class_="mark middle", x=x, y=frame.height - 8)
        for at_ms, text in time_marks(burn.start_ms, burn.end_ms, _TIMES[frame.width], zone)
        # At the very edge the text would be cut off.
        if frame.left + 8 <= (x := place(at_ms, 0)[0]) <= frame.width - frame.right - 12
    ]
    if burn.start_ms < burn.now_ms < burn.end_ms:
        x = place(burn.now_ms, 0)[0]
        drawn.append(element("line", class_="now", x1=x, x2=x, y1=frame.top, y2=frame.floor))
    return drawn


def _refusals(frame: Frame, burn: Burn, place: _Place) -> list[Markup]:
    return [
        group(
            [
                element("title", f"{count} refused"),
                element(
                    "rect",
                    class_="refused",
                    x=place(at_ms, 0)[0] - 1,
                    y=frame.floor - _REFUSAL_HEIGHT,
                    width=3,
                    height=_REFUSAL_HEIGHT,
                ),
            ]
        )
        for at_ms, count in burn.refusals
    ]


def curve_of(
    hours: Sequence[tuple[int, int]], *, start_ms: int, now_ms: int, spent: int, hour_ms: int
) -> tuple[tuple[int, int], ...]:
    """Return what was spent up to each hour's end, and up to the present.

    Args:
        hours: beginnings of hours and what was booked in them, ascending.
        start_ms: when the window began.
        now_ms: the present.
        spent: up to the present, by the ledger: what the archive has not booked yet is in it.
        hour_ms: how long one of `hours` is.
    """
    total, curve = 0, [(start_ms, 0)]
    for at_ms, amount in hours:
        if at_ms > curve[-1][0]:
            # Nothing was spent in between: the line stays level.
            curve.append((at_ms, total))
        total += amount
        curve.append((min(at_ms + hour_ms, now_ms), total))
    curve.append((now_ms, spent))
    return tuple(curve)
