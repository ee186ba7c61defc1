"""Amounts, times and spans as people read them."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.money import EXACT_MAX
from proxy.dashboard import wording
from proxy.dashboard.wording import DAY_MS, HOUR_MS, MINUS, NOTHING, SPACE
from tests.doubles.fake_clock import NOON_MS

USD = 1_000_000_000


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (0, "$0.00"),
        (1, "$0.000000001"),
        (812_345, "$0.00081"),
        (8_123_450, "$0.0081"),
        (51_000_000, "$0.051"),
        (99_999_999, "$0.100"),
        (100_000_000, "$0.10"),
        (999_999_999, "$1.00"),
        (1_234_567_890_000, "$1,234.57"),
        (9_007_199 * USD, "$9,007,199.00"),
        (-5 * USD, f"{MINUS}$5.00"),
        (None, NOTHING),
    ],
)
def test_money_is_short_and_never_takes_a_little_for_nothing(nano: int | None, text: str) -> None:
    assert wording.short("USD", nano) == text


@given(st.integers(1, EXACT_MAX))
def test_what_is_there_is_never_shown_as_zero(nano: int) -> None:
    digits = wording.short("USD", nano).strip("$").replace(",", "")

    assert set(digits) - set("0.")
    assert abs(float(digits) * USD - nano) <= max(5_000_000, nano * 0.06)


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (0, "$0.0000"),
        (30_000_000, "$0.0300"),
        (2_610_000_000, "$2.6100"),
        (50_000, "$0.0001"),
        (12_000, "$0.000012"),
        (-1_000_000, f"{MINUS}$0.0010"),
        (None, NOTHING),
    ],
)
def test_costs_of_calls_stand_below_each_other(nano: int | None, text: str) -> None:
    assert wording.cost(nano) == text


def test_other_units_say_what_they_are() -> None:
    assert wording.short("tokens", 2_000_000) == "2,000,000 tokens"
    assert wording.short("DIEM", 612 * USD) == "612 DIEM"
    assert wording.short("DIEM", 3_500_000_000) == "3.50 DIEM"
    assert wording.bare("tokens", 1_200) == "1,200"
    assert wording.bare("DIEM", 2 * USD) == "2"
    assert wording.bare("USD", 2 * USD) == "$2.00"
    assert wording.bare("USD", None) == NOTHING
    assert wording.exact("USD", 812_345) == "$0.000812345"
    assert wording.exact("USD", None) == NOTHING


@pytest.mark.parametrize(
    ("unit", "amount", "text"),
    [
        ("USD", 0, "$0"),
        ("USD", 1_500 * USD, "$1.5k"),
        ("USD", 50_000_000, "$0.05"),
        ("USD", 20 * USD, "$20"),
        ("tokens", 2_000_000, "2M"),
        ("tokens", 250, "250"),
        ("calls", 10**15, "1P"),
        ("DIEM", 3_000 * USD, "3k"),
    ],
)
def test_marks_of_an_axis_are_compact(unit: str, amount: int, text: str) -> None:
    assert wording.axis(unit, amount) == text


def test_shares_are_whole_percents_and_little_is_not_nothing() -> None:
    assert wording.percent(62, 100) == f"62{SPACE}%"
    assert wording.percent(1, 1_000) == f"<1{SPACE}%"
    assert wording.percent(0, 1_000) == f"0{SPACE}%"
    assert wording.percent(300, 100) == f"300{SPACE}%"
    assert wording.percent(5, 0) == NOTHING


@pytest.mark.parametrize(
    ("length_ms", "text"),
    [
        (-5, "0 ms"),
        (812, "812 ms"),
        (21_000, "21 s"),
        (61_000, "1 min 1 s"),
        (5 * HOUR_MS, "5 h"),
        (3 * DAY_MS + 4 * HOUR_MS + 59_000, "3 d 4 h"),
    ],
)
def test_spans_are_told_in_their_two_largest_units(length_ms: int, text: str) -> None:
    assert wording.span(length_ms) == text


@pytest.mark.parametrize(
    ("ahead_ms", "text"),
    [
        (30_000, "in 1 min"),
        (12 * 60_000, "in 12 min"),
        (3 * HOUR_MS, "today at 16:00"),
        (30 * HOUR_MS, "on Tue 24 Nov at 19:00"),
        (4 * DAY_MS, "on Fri 27 Nov"),
        (90 * DAY_MS, "on 21 Feb 2027"),
    ],
)
def test_a_moment_is_named_as_exactly_as_it_is_near(ahead_ms: int, text: str) -> None:
    assert wording.moment(NOON_MS + ahead_ms, NOON_MS) == text


def test_times_are_those_of_a_zone() -> None:
    berlin = wording.zone_of("Europe/Berlin")

    assert berlin == ZoneInfo("Europe/Berlin")
    assert wording.minute(NOON_MS, berlin) == "23 Nov, 14:00"
    assert wording.minute(NOON_MS) == "23 Nov, 13:00"
    assert wording.second(NOON_MS) == "23 Nov, 13:00:00"
    assert wording.stamp(NOON_MS) == "23 Nov 2026, 13:00:00"
    assert wording.day(NOON_MS) == "Mon 23 Nov"
    assert wording.iso(NOON_MS) == "2026-11-23T13:00:00Z"
    assert wording.stamp(0) == wording.minute(None) == wording.second(None) == NOTHING
