"""Times on the command line: `30d` ago, a date, or a time with its zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

import click

from policies.clock import Clock, SystemClock
from policies.windows import parse_duration_ms

_AGO: Final = re.compile(r"[0-9]{1,9}(ms|s|m|h|d)")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ZONED: Final = re.compile(r".*(Z|[+-][0-9]{2}:?[0-9]{2})", re.IGNORECASE)


class Moment(click.ParamType[int]):
    """Becomes milliseconds since 1970."""

    name = "TIME"

    def __init__(self, clock: Clock) -> None:
        """Take the clock that says what `ago` is."""
        self._clock = clock

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return a time, or end the command with what is wrong with it."""
        if isinstance(value, int):
            return value
        text = str(value).strip()
        if _AGO.fullmatch(text):
            return max(0, self._clock.now_ms() - parse_duration_ms(text))
        if _DATE.fullmatch(text):
            text += "T00:00:00Z"
        try:
            if not _ZONED.fullmatch(text):
                raise ValueError("no zone")
            found = datetime.fromisoformat(text.upper()).astimezone(UTC)
            return max(0, int(found.timestamp() * 1000))
        except (ValueError, OverflowError):
            self.fail(
                f"'{value}' is not a time: write 30d (ago), 2026-11-23 (UTC) or 2026-11-23T13:00:00Z",
                param,
                ctx,
            )


MOMENT: Final = Moment(SystemClock())
