"""A clock that moves only when a test says so."""

from __future__ import annotations

from collections.abc import Callable

# A Monday in November, an hour after noon in UTC: in the middle of every calendar window.
NOON_MS = 1_795_438_800_000


class FakeClock:
    """A `Clock` that a test advances; those who listen are told."""

    def __init__(self, now_ms: int = NOON_MS) -> None:
        self._now_ms = now_ms
        self.listeners: list[Callable[[int], None]] = []

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic_s(self) -> float:
        return self._now_ms / 1000

    def advance(self, milliseconds: int) -> None:
        self._now_ms += milliseconds
        for tell in self.listeners:
            tell(self._now_ms)
