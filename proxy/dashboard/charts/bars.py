"""Bars: how full a budget is, what share somebody has, by how much a bill differs."""

from __future__ import annotations

from markupsafe import Markup

from proxy.dashboard.svg import element

# Bars are stretched to the width of their place; these are parts of a thousand.
_WIDTH = 1_000
_HEIGHT = 12
_MARK = 3


def fill_bar(*, limit: int, spent: int, reserved: int, passed: int | None, title: str) -> Markup:
    """Return how much of a limit is spent and reserved.

    Args:
        limit: in the same unit as `spent` and `reserved`.
        spent: what is gone.
        reserved: what is held for calls in flight.
        passed: how much of the window has passed, in thousandths: a mark stands there. None: no mark.
        title: what a screen reader says.
    """
    spent_to = _part(spent, limit)
    held_to = _part(spent + reserved, limit)
    tone = "over" if spent + reserved >= limit else "used"
    drawn = [
        element("title", title),
        element("rect", class_="track", width=_WIDTH, height=_HEIGHT),
        element("rect", class_=tone, width=spent_to, height=_HEIGHT),
        element("rect", class_="held", x=spent_to, width=held_to - spent_to, height=_HEIGHT),
    ]
    if passed is not None:
        x = min(max(0, passed), _WIDTH - _MARK)
        drawn.append(element("rect", class_="passed", x=x, width=_MARK, height=_HEIGHT))
    return _stretched("fill", drawn)


def share_bar(part: int, whole: int, title: str, kind: str = "used") -> Markup:
    """Return what share of a whole something is."""
    drawn = [
        element("title", title),
        element("rect", class_="track", width=_WIDTH, height=_HEIGHT),
        element("rect", class_=kind, width=_part(part, whole), height=_HEIGHT),
    ]
    return _stretched("share", drawn)


def difference_bar(difference: int, most: int, title: str) -> Markup:
    """Return a difference as a bar from the middle: more to the right, less to the left."""
    middle = _WIDTH // 2
    length = _part(abs(difference), most) // 2
    x = middle if difference >= 0 else middle - length
    drawn = [
        element("title", title),
        element("rect", class_="track", width=_WIDTH, height=_HEIGHT),
        element(
            "rect",
            class_="more" if difference > 0 else "less",
            x=x,
            width=length,
            height=_HEIGHT,
        ),
        element("rect", class_="middle", x=middle - 1, width=2, height=_HEIGHT),
    ]
    return _stretched("difference", drawn)


def _stretched(kind: str, drawn: list[Markup]) -> Markup:
    return element(
        "svg",
        *drawn,
        class_=f"bar {kind}",
        role="img",
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        preserveAspectRatio="none",
    )


def _part(part: int, whole: int) -> int:
    """Return a share in thousandths; what is there is seen, however little it is."""
    if whole <= 0:
        return _WIDTH if part > 0 else 0
    return min(_WIDTH, max(_MARK if part > 0 else 0, part * _WIDTH // whole))
