"""Windows: concrete spans, wherever and however the clock jumps."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from policies.windows import (
    Calendar,
    FirstUse,
    Lifetime,
    Period,
    Rolling,
    Span,
    Window,
    duration_text,
    parse_duration_ms,
    parse_window,
)

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def at(text: str) -> int:
    """Return milliseconds since the epoch for a time such as `2026-11-23T10:00:00+01:00`."""
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def span(period: Period, timezone: str, now: str) -> tuple[str, str, str]:
    """Return a span's id, and its bounds in UTC, to the second."""
    found = Calendar(period, timezone).span(at(now))
    assert found.end_ms is not None
    start, end = (
        datetime.fromtimestamp(each / 1000, UTC).isoformat().removesuffix("+00:00")
        for each in (found.start_ms, found.end_ms)
    )
    return found.id, start, end


@pytest.mark.parametrize(
    ("period", "timezone", "now", "expected"),
    [
        (
            "hour", "UTC", "2026-11-23T10:59:59.999Z",
            ("2026-11-23T1000Z", "2026-11-23T10:00:00", "2026-11-23T11:00:00"),
        ),
        (
            "hour", "Asia/Kolkata", "2026-11-23T10:15:00+05:30",
            ("2026-11-23T0430Z", "2026-11-23T04:30:00", "2026-11-23T05:30:00"),
        ),
        (
            "day", "UTC", "2026-11-23T00:00:00Z",
            ("2026-11-23", "2026-11-23T00:00:00", "2026-11-24T00:00:00"),
        ),
        (
            "day", "Europe/Berlin", "2026-11-23T23:30:00Z",
            ("2026-11-24", "2026-11-23T23:00:00", "2026-11-24T23:00:00"),
        ),
        (
            "day", "Pacific/Kiritimati", "2026-12-31T10:00:00Z",
            ("2027-01-01", "2026-12-31T10:00:00", "2027-01-01T10:00:00"),
        ),
        (
            "week", "UTC", "2027-01-03T12:00:00Z",
            ("2026-W53", "2026-12-28T00:00:00", "2027-01-04T00:00:00"),
        ),
        (
            "month", "America/New_York", "2026-03-01T04:59:59Z",
            ("2026-02", "2026-02-01T05:00:00", "2026-03-01T05:00:00"),
        ),
        (
            "month", "UTC", "2028-02-29T12:00:00Z",
            ("2028-02", "2028-02-01T00:00:00", "2028-03-01T00:00:00"),
        ),
        (
            "month", "UTC", "2026-12-31T12:00:00Z",
            ("2026-12", "2026-12-01T00:00:00", "2027-01-01T00:00:00"),
        ),
    ],
)  # fmt: skip
def test_calendar_windows_follow_the_wall_clock_of_their_zone(
    period: Period, timezone: str, now: str, expected: tuple[str, str, str]
) -> None:
    assert span(period, timezone, now) == expected


@pytest.mark.parametrize(
    ("timezone", "now", "expected"),
    [
        # 23 and 25 hours.
        (
            "Europe/Berlin", "2026-03-29T12:00:00Z",
            ("2026-03-29", "2026-03-28T23:00:00", "2026-03-29T22:00:00"),
        ),
        (
            "Europe/Berlin", "2026-10-25T12:00:00Z",
            ("2026-10-25", "2026-10-24T22:00:00", "2026-10-25T23:00:00"),
        ),
        # Midnight is skipped: the day begins at one o'clock.
        (
            "America/Havana", "2026-03-08T12:00:00Z",
            ("2026-03-08", "2026-03-08T05:00:00", "2026-03-09T04:00:00"),
        ),
        (
            "Asia/Beirut", "2026-03-29T12:00:00Z",
            ("2026-03-29", "2026-03-28T22:00:00", "2026-03-29T21:00:00"),
        ),
        # The hour after midnight comes twice: the day begins with the first one.
        (
            "America/Havana", "2026-11-01T05:30:00Z",
            ("2026-11-01", "2026-11-01T04:00:00", "2026-11-02T05:00:00"),
        ),
        # The 30th of December never came to Apia.
        (
            "Pacific/Apia", "2011-12-30T09:59:59Z",
            ("2011-12-29", "2011-12-29T10:00:00", "2011-12-30T10:00:00"),
        ),
        (
            "Pacific/Apia", "2011-12-30T10:00:00Z",
            ("2011-12-31", "2011-12-30T10:00:00", "2011-12-31T10:00:00"),
        ),
        # One minute past midnight the clock went back to the day before; the new day goes on.
        (
            "America/St_Johns", "2010-11-07T03:00:00Z",
            ("2010-11-07", "2010-11-07T02:30:00", "2010-11-08T03:30:00"),
        ),
    ],
)  # fmt: skip
def test_days_are_whole_where_the_clock_jumps(
    timezone: str, now: str, expected: tuple[str, str, str]
) -> None:
    assert span("day", timezone, now) == expected


def test_both_hours_of_an_autumn_night_count_apart() -> None:
    first = span("hour", "Europe/Berlin", "2026-10-25T00:30:00Z")
    second = span("hour", "Europe/Berlin", "2026-10-25T01:30:00Z")

    assert first == ("2026-10-25T0000Z", "2026-10-25T00:00:00", "2026-10-25T01:00:00")
    assert second == ("2026-10-25T0100Z", "2026-10-25T01:00:00", "2026-10-25T02:00:00")


def test_half_an_hour_of_daylight_saving_ends_one_hour_and_begins_another() -> None:
    lord_howe = "Australia/Lord_Howe"

    in_spring = [
        span("hour", lord_howe, f"2026-10-03T{time}:00Z") for time in ("15:29", "15:30", "16:00")
    ]
    in_autumn = [
        span("hour", lord_howe, f"2026-04-04T{time}:00Z") for time in ("14:59", "15:00", "15:30")
    ]

    assert in_spring == [
        ("2026-10-03T1430Z", "2026-10-03T14:30:00", "2026-10-03T15:30:00"),
        ("2026-10-03T1530Z", "2026-10-03T15:30:00", "2026-10-03T16:00:00"),
        ("2026-10-03T1600Z", "2026-10-03T16:00:00", "2026-10-03T17:00:00"),
    ]
    assert in_autumn == [
        ("2026-04-04T1400Z", "2026-04-04T14:00:00", "2026-04-04T15:00:00"),
        ("2026-04-04T1500Z", "2026-04-04T15:00:00", "2026-04-04T15:30:00"),
        ("2026-04-04T1530Z", "2026-04-04T15:30:00", "2026-04-04T16:30:00"),
    ]


def test_a_span_does_not_depend_on_what_was_asked_before() -> None:
    window = Calendar("day", "Asia/Tokyo")
    today, tomorrow = at("2026-11-23T12:00:00Z"), at("2026-11-24T12:00:00Z")

    asked = [window.span(now_ms).id for now_ms in (today, tomorrow, today, today)]

    assert asked == ["2026-11-23", "2026-11-24", "2026-11-23", "2026-11-23"]


def test_a_lifetime_never_ends() -> None:
    assert Lifetime().span(0) == Lifetime().span(10**15) == Span("lifetime", 0, None)


@pytest.mark.parametrize(
    ("length_ms", "bucket_ms"), [(1_000, 17), (60_000, 1_000), (5 * HOUR_MS, 300_000), (7, 1)]
)
def test_sixty_buckets_cover_a_rolling_window(length_ms: int, bucket_ms: int) -> None:
    window = Rolling(length_ms)

    assert window.bucket_ms == bucket_ms
    assert window.bucket_ms * 60 >= length_ms
    assert window.id == f"rolling-{length_ms}"


def test_a_first_use_window_has_a_name() -> None:
    assert FirstUse(5 * HOUR_MS).id == "first-use-18000000"


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("250ms", 250),
        ("30s", 30_000),
        (" 5m ", 300_000),
        ("5 h", 5 * HOUR_MS),
        ("7d", 7 * DAY_MS),
        ("2w", 14 * DAY_MS),
        ("0s", 0),
    ],
)
def test_a_duration_is_a_whole_number_and_a_unit(text: str, milliseconds: int) -> None:
    assert parse_duration_ms(text) == milliseconds


@pytest.mark.parametrize(
    "text", ["", "5", "h", "1.5h", "-5h", "5 months", "5hm", "٣h", "9" * 11 + "s"]
)
def test_other_texts_are_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration_ms(text)


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("hour", Calendar("hour", "Asia/Tokyo")),
        ("day", Calendar("day", "Asia/Tokyo")),
        (" week ", Calendar("week", "Asia/Tokyo")),
        ("month", Calendar("month", "Asia/Tokyo")),
        ("lifetime", Lifetime()),
        ("rolling 5h", Rolling(5 * HOUR_MS)),
        ("rolling  1m", Rolling(60_000)),
        ("first-use 7d", FirstUse(7 * DAY_MS)),
        ("rolling 366d", Rolling(366 * DAY_MS)),
        ("rolling 1s", Rolling(1_000)),
    ],
)
def test_a_policy_names_its_window(text: str, window: Window) -> None:
    assert parse_window(text, "Asia/Tokyo") == window


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("5h", "is not a window"),
        ("daily", "is not a window"),
        ("Day", "is not a window"),
        ("", "is not a window"),
        ("rolling", "is not a window"),
        ("rolling 5 h", "is not a window"),
        ("rolling day", "is not a duration"),
        ("rolling 0s", "from one second to 366 days"),
        ("first-use 999ms", "from one second to 366 days"),
        ("rolling 367d", "from one second to 366 days"),
    ],
)
def test_other_texts_are_no_windows(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_window(text, "UTC")


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (1, "1ms"),
        (1_500, "1500ms"),
        (90_000, "90s"),
        (5 * HOUR_MS, "5h"),
        (DAY_MS, "1d"),
        (14 * DAY_MS, "2w"),
        (366 * DAY_MS, "366d"),
    ],
)
def test_a_duration_is_written_as_it_is_read(milliseconds: int, text: str) -> None:
    assert duration_text(milliseconds) == text
    assert parse_duration_ms(text) == milliseconds
