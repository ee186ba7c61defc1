"""The machine's clock, and times as text."""

from __future__ import annotations

from datetime import UTC, datetime

from policies.clock import SystemClock, rfc3339, utc


def test_the_system_clock_tells_milliseconds_since_the_epoch() -> None:
    before = datetime.now(UTC).timestamp() * 1000

    now_ms = SystemClock().now_ms()

    assert before - 1 <= now_ms <= datetime.now(UTC).timestamp() * 1000


def test_the_monotonic_clock_never_goes_back() -> None:
    clock = SystemClock()

    first = clock.monotonic_s()

    assert clock.monotonic_s() >= first


def test_a_time_as_a_datetime_is_aware() -> None:
    assert utc(1_500) == datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)


def test_a_time_as_text_is_rfc_3339_in_utc() -> None:
    assert rfc3339(1_790_000_000_999) == "2026-09-21T14:13:20Z"
