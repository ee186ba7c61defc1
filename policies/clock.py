"""The one place where time is read; everything else is handed a `Clock`."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now_ms(self) -> int:
        """Return the time in milliseconds since the Unix epoch."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds of a clock that never goes back, for durations only."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Return the time in milliseconds since the Unix epoch."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Return seconds of a clock that never goes back, for durations only."""
        return time.monotonic()


def utc(at_ms: int) -> datetime:
    """Return a time in milliseconds since the Unix epoch as an aware datetime."""
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC)


def rfc3339(at_ms: int) -> str:
    """Return a time in milliseconds since the Unix epoch as RFC 3339 text, to the second, in UTC."""
    return utc(at_ms).strftime("%Y-%m-%dT%H:%M:%SZ")
