"""Columns of days: nothing is lost when names are put together."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from proxy.dashboard.charts.days import SERIES_MAX, days_chart, stacked

DAYS = ["2026-11-21", "2026-11-22", "2026-11-23"]
USD = 10**9


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=5),
        st.dictionaries(st.sampled_from(DAYS), st.integers(0, 10**15)),
        max_size=15,
    )
)
def test_series_add_up_to_all_that_was_spent(amounts: dict[str, dict[str, int]]) -> None:
    series = stacked(amounts, DAYS)

    assert len(series) <= SERIES_MAX + 1
    assert sum(each.total for each in series) == sum(sum(by.values()) for by in amounts.values())
    assert all(each.total > 0 for each in series)


def test_the_largest_comes_first_and_the_smallest_are_put_together() -> None:
    amounts = {f"team-{number}": {DAYS[0]: number} for number in range(1, 10)}

    series = stacked(amounts, DAYS)

    assert [each.name for each in series[:2]] == ["team-9", "team-8"]
    assert (series[-1].name, series[-1].total, series[-1].colour) == ("3 others", 6, SERIES_MAX)


def test_columns_lie_on_each_other_and_below_their_title() -> None:
    series = stacked({"a": {DAYS[0]: 30 * USD}, "b": {DAYS[0]: 10 * USD}}, DAYS)

    drawn = days_chart(series, DAYS, DAYS, "USD", "spent")
    wide, narrow = ET.fromstring(f"<div>{drawn}</div>")

    assert (wide.get("class"), narrow.get("class")) == ("chart wide", "chart narrow")
    first = wide.findall("g")[0]
    below, above = (rect for rect in first.findall("rect") if "series" in rect.get("class", ""))
    assert float(above.get("y", "")) + float(above.get("height", "")) == float(below.get("y", ""))
    assert first.findtext("title") == f"{DAYS[0]}: $40.00"


def test_days_without_spending_can_be_drawn() -> None:
    drawn = days_chart([], DAYS, DAYS, "tokens", "spent")

    assert "2026-11-23: 0 tokens" in drawn
    assert "style=" not in drawn
