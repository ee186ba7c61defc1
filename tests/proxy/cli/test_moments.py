"""Times on the command line."""

from __future__ import annotations

import click
import pytest

from proxy.cli.moments import Moment
from tests.doubles.fake_clock import NOON_MS, FakeClock

MOMENT = Moment(FakeClock(NOON_MS))


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("90s", NOON_MS - 90_000),
        ("30d", NOON_MS - 30 * 86_400_000),
        ("2026-11-23", 1_795_392_000_000),
        ("2026-11-23T13:00:00Z", 1_795_438_800_000),
        ("2026-11-23t13:00:00z", 1_795_438_800_000),
        ("2026-11-23T14:00:00.250+01:00", 1_795_438_800_250),
        ("1950-01-01", 0),
        ("99999d", 0),
    ],
)
def test_a_time_is_milliseconds(text: str, at_ms: int) -> None:
    assert MOMENT.convert(text, None, None) == at_ms


def test_a_number_that_a_program_gives_is_unchanged() -> None:
    assert MOMENT.convert(5, None, None) == 5


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "2026-11-23T13:00:00", "30", "-5d", "2026-02-30", "d"]
)
def test_anything_else_says_what_to_write(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a time: write 30d"):
        MOMENT.convert(text, None, None)
