"""What an address asks for, and whether a call that just came in is one of them."""

from __future__ import annotations

import pytest

from proxy.admin.schemas import CallRow
from proxy.archive.filters import BadFilter
from proxy.dashboard.call_filters import cursor_of, time_of, wanted_of
from proxy.dashboard.wording import DAY_MS, HOUR_MS
from tests.doubles.fake_clock import NOON_MS

MIDNIGHT_MS = NOON_MS - 13 * HOUR_MS


def row(**fields: str | None) -> CallRow:
    given = {
        "id": "call_1",
        "state": "settled",
        "at": "2026-11-23T13:00:00Z",
        "team": "red",
        "user": "al",
        "key_id": "key_1",
        "provider": "sim",
        "model": "acme/mini",
        "dialect": "messages",
        **fields,
    }
    return CallRow.model_validate(
        {
            **given,
            "streamed": False,
            "generation_id": None,
            "usage": {},
            "quoted": None,
            "settled": None,
            "receipted": None,
            "status": 200,
        }
    )


def test_an_address_is_a_filter_and_the_filter_an_address() -> None:
    query = {"team": " red ", "model": "*mini*", "user": "", "since": "3h", "other": "x"}

    wanted = wanted_of(query, frozenset({"red"}), NOON_MS)

    assert wanted.fields == {"team": "red", "model": "*mini*", "since": "3h"}
    assert wanted.calls.teams == frozenset({"red"})
    assert wanted.calls.since_ms == NOON_MS - 3 * HOUR_MS
    assert (
        wanted.address("/calls", before=7) == "/calls?team=red&model=%2Amini%2A&since=3h&before=7"
    )
    assert wanted_of({}, None, NOON_MS).address("/calls") == "/calls"


@pytest.mark.parametrize(
    ("field", "text", "at_ms"),
    [
        ("since", None, None),
        ("since", "2026-11-23", MIDNIGHT_MS),
        ("until", "2026-11-23", MIDNIGHT_MS + DAY_MS),
        ("since", "2026-11-23T14:00", MIDNIGHT_MS + 14 * HOUR_MS),
        ("until", "2026-11-23T14:00+01:00", MIDNIGHT_MS + 13 * HOUR_MS),
        ("since", "30d", NOON_MS - 30 * DAY_MS),
        ("since", "9999999999w", 0),
    ],
)
def test_times_are_dates_or_durations(field: str, text: str | None, at_ms: int | None) -> None:
    assert time_of(field, text, NOON_MS) == at_ms


@pytest.mark.parametrize("text", ["tomorrow", "2026-13-01", "1e3", "-3h", "99999-01-01", "\ud800"])
def test_another_text_is_no_time(text: str) -> None:
    with pytest.raises(BadFilter, match="is no time"):
        time_of("since", text, NOON_MS)


@pytest.mark.parametrize(
    "query",
    [
        {"state": "odd"},
        {"team": "x" * 1_000},
        {"since": "2026-11-24", "until": "2026-11-01"},
        {"since": "1700-01-01"},
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(BadFilter):
        wanted_of(query, None, NOON_MS)


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "٣", "0x1"])
def test_a_cursor_of_garbage_is_refused(text: str) -> None:
    with pytest.raises(BadFilter, match="before"):
        cursor_of(text)


def test_a_cursor_is_a_number() -> None:
    assert cursor_of("") is None
    assert cursor_of("42") == 42


@pytest.mark.parametrize(
    ("query", "takes"),
    [
        ({}, True),
        ({"team": "red", "user": "al", "key": "key_1", "provider": "sim"}, True),
        ({"team": "blue"}, False),
        ({"user": "bo"}, False),
        ({"state": "refused"}, False),
        ({"model": "*mini"}, True),
        ({"model": "acme/mini"}, True),
        ({"model": "acme/min?"}, False),
        ({"model": "[a]cme/mini"}, False),
        ({"model": "*opus*"}, False),
    ],
)
def test_a_call_that_came_in_is_wanted_or_not(query: dict[str, str], takes: bool) -> None:
    assert wanted_of(query, None, NOON_MS).takes(row()) is takes
