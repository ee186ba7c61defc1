"""Bars: what is there is seen, and nothing reaches beyond its place."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from proxy.dashboard.charts.bars import difference_bar, fill_bar, share_bar


def rects(bar: Markup) -> dict[str, tuple[int, int]]:
    """Return beginnings and widths by class."""
    return {
        rect.get("class", ""): (int(rect.get("x", "0")), int(rect.get("width", "0")))
        for rect in ET.fromstring(str(bar)).iter("rect")
    }


def test_a_budget_is_spent_then_reserved_with_a_mark_for_the_time() -> None:
    bar = fill_bar(limit=200, spent=50, reserved=20, passed=400, title="so full")

    assert rects(bar) == {
        "track": (0, 1000),
        "used": (0, 250),
        "held": (250, 100),
        "passed": (400, 3),
    }
    assert "<title>so full</title>" in bar


def test_a_budget_that_is_used_up_looks_so() -> None:
    drawn = rects(fill_bar(limit=100, spent=250, reserved=0, passed=None, title=""))

    assert drawn["over"] == (0, 1000)
    assert "passed" not in drawn


@given(st.integers(0, 10**16), st.integers(0, 10**16), st.integers(0, 10**16))
def test_bars_stay_within_their_place(limit: int, spent: int, reserved: int) -> None:
    drawn = rects(fill_bar(limit=limit, spent=spent, reserved=reserved, passed=999, title=""))

    assert all(x >= 0 and width >= 0 and x + width <= 1000 for x, width in drawn.values())


def test_a_share_is_seen_however_little_it_is() -> None:
    assert rects(share_bar(1, 10**12, "")) == {"track": (0, 1000), "used": (0, 3)}
    assert rects(share_bar(0, 10**12, ""))["used"] == (0, 0)
    assert rects(share_bar(1, 4, "", kind="settled"))["settled"] == (0, 250)


@pytest.mark.parametrize(
    ("difference", "name", "place"),
    [(50, "more", (500, 250)), (-100, "less", (0, 500)), (0, "less", (500, 0))],
)
def test_a_difference_goes_right_when_more_was_billed(
    difference: int, name: str, place: tuple[int, int]
) -> None:
    assert rects(difference_bar(difference, 100, ""))[name] == place


def test_no_bar_has_a_style_of_its_own() -> None:
    bars = [
        fill_bar(limit=1, spent=1, reserved=0, passed=None, title=""),
        share_bar(1, 2, ""),
        difference_bar(1, 2, ""),
    ]

    assert not any("style=" in bar for bar in bars)
