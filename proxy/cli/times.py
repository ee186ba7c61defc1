"""Times and spans, for people."""

from __future__ import annotations

from typing import Final

from policies.clock import rfc3339

_UNITS: Final = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000))


def span(length_ms: int) -> str:
    """Return a span by its two largest units: `3d 4h`, `12m 30s`, `0s`."""
    parts: list[str] = []
    for name, unit_ms in _UNITS:
        count, length_ms = divmod(length_ms, unit_ms)
        if count or parts:
            parts.append(f"{count}{name}" if count else "")
    return " ".join(part for part in parts[:2] if part) or "0s"


def until(at_ms: int | None, now_ms: int) -> str:
    """Return when a window ends."""
    return "never" if at_ms is None else f"in {span(max(0, at_ms - now_ms))}"


def clock_time(at_ms: int) -> str:
    """Return a time to the second, in UTC, without what a reader can do without."""
    return rfc3339(at_ms).replace("T", " ").removesuffix("Z")
