"""Calendar windows tile time, in every zone: no gap, no overlap, no name twice.

A gap would be time in which nothing is counted, an overlap would count twice, and two windows of
one name would share a counter.
"""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.windows import HOUR_MS, Calendar, Period, Span

PERIODS: tuple[Period, ...] = ("hour", "day", "week", "month")
ZONES = sorted(zoneinfo.available_timezones())
# From the epoch on; the hours around each of these jumps are the hardest there are.
EARLIEST_MS = 40 * 24 * HOUR_MS
LATEST_MS = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp() * 1000)
JUMPS = {
    # Midnight is skipped in spring and comes twice in autumn.
    "America/Havana": ("2026-03-08T05:00Z", "2026-11-01T05:00Z"),
    "Asia/Beirut": ("2026-03-28T22:00Z", "2026-10-24T21:00Z"),
    "Africa/Cairo": ("2026-04-23T22:00Z", "2026-10-29T21:00Z"),
    # A day is skipped.
    "Pacific/Apia": ("2011-12-30T10:00Z",),
    "Pacific/Kiritimati": ("1994-12-31T10:00Z",),
    # The clock is set by half an hour, by 20 minutes and by 44 minutes and 30 seconds.
    "Australia/Lord_Howe": ("2026-04-04T15:00Z", "2026-10-03T15:30Z"),
    "America/Caracas": ("2007-12-09T07:00Z", "2016-05-01T07:00Z"),
    "Asia/Pyongyang": ("2015-08-14T15:00Z", "2018-05-04T15:00Z"),
    "Africa/Monrovia": ("1972-01-07T00:44Z",),
    # One minute past midnight the date goes back.
    "America/St_Johns": ("2010-11-07T02:31Z",),
    "Antarctica/Casey": ("2010-03-04T15:00Z",),
    "Antarctica/Troll": ("2026-03-29T01:00Z", "2026-10-25T01:00Z"),
}

calendars = st.builds(Calendar, st.sampled_from(PERIODS), st.sampled_from(ZONES))
times_ms = st.integers(EARLIEST_MS, LATEST_MS)
hard = st.sampled_from([(zone, text) for zone, texts in JUMPS.items() for text in texts])


def end_of(span: Span) -> int:
    assert span.end_ms is not None
    return span.end_ms


def check_tiles(window: Calendar, now_ms: int) -> None:
    """Check the span of a time, and its neighbours on both sides."""
    span = window.span(now_ms)
    after = window.span(end_of(span))
    before = window.span(span.start_ms - 1)

    assert span.start_ms <= now_ms < end_of(span)
    assert after.start_ms == span.end_ms
    assert before.end_ms == span.start_ms
    assert window.span(span.start_ms) == window.span(end_of(span) - 1) == span
    assert len({before.id, span.id, after.id}) == 3
    assert before.id < span.id < after.id


@given(window=calendars, now_ms=times_ms)
def test_windows_tile_time(window: Calendar, now_ms: int) -> None:
    check_tiles(window, now_ms)


@given(
    jump=hard,
    period=st.sampled_from(PERIODS),
    offset_ms=st.integers(-26 * HOUR_MS, 26 * HOUR_MS) | st.integers(-2, 2),
)
def test_windows_tile_time_around_jumps(
    jump: tuple[str, str], period: Period, offset_ms: int
) -> None:
    zone, text = jump
    jump_ms = int(datetime.fromisoformat(text).timestamp() * 1000)

    check_tiles(Calendar(period, zone), jump_ms + offset_ms)


@pytest.mark.parametrize("zone", sorted(JUMPS))
@pytest.mark.parametrize("period", PERIODS)
def test_a_walk_from_window_to_window_passes_the_jump(zone: str, period: Period) -> None:
    window = Calendar(period, zone)
    for text in JUMPS[zone]:
        jump_ms = int(datetime.fromisoformat(text).timestamp() * 1000)
        spans = [window.span(jump_ms - 50 * HOUR_MS)]
        while spans[-1].start_ms <= jump_ms + 50 * HOUR_MS:
            spans.append(window.span(end_of(spans[-1])))

        assert [span.start_ms for span in spans[1:]] == [span.end_ms for span in spans[:-1]]
        assert len({span.id for span in spans}) == len(spans)


@given(window=calendars, now_ms=times_ms, earlier_ms=times_ms)
def test_a_span_depends_on_the_time_alone(window: Calendar, now_ms: int, earlier_ms: int) -> None:
    span = window.span(now_ms)

    window.span(earlier_ms)

    assert window.span(now_ms) == span
