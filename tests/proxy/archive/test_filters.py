"""Questions that make no sense name what is wrong with them, and what to ask instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from proxy.archive.filters import (
    CALL_STATES,
    PAGE_MAX,
    AuditFilter,
    BadFilter,
    CallFilter,
    kept_names,
    refuse_odd_page,
)

BAD_CALLS: dict[str, dict[str, Any]] = {
    "state": {"state": "paid"},
    "until": {"since_ms": 2_000, "until_ms": 2_000},
    "since": {"since_ms": -1},
    "team": {"team": ""},
    "user": {"user": "a\0b"},
    "key_id": {"key_id": "\ud800"},
    "model": {"model": "m" * 501},
    "provider": {"provider": ""},
}
BAD_AUDIT: dict[str, dict[str, Any]] = {
    "call_id": {"call_id": "call_1", "acts_only": True},
    "actor": {"call_id": "call_1", "actor": "ann"},
    "kind": {"kind": ""},
    "until": {"since_ms": 5, "until_ms": 4},
    "since": {"since_ms": 2**63},
}


@pytest.mark.parametrize("field", BAD_CALLS)
def test_a_filter_of_calls_that_makes_no_sense(field: str) -> None:
    with pytest.raises(BadFilter) as refused:
        CallFilter(teams=None, **BAD_CALLS[field])

    assert refused.value.field == field
    assert str(refused.value) == f"{field}: {refused.value.text}"


@pytest.mark.parametrize("field", BAD_AUDIT)
def test_a_filter_of_entries_that_makes_no_sense(field: str) -> None:
    with pytest.raises(BadFilter) as refused:
        AuditFilter(teams=None, **BAD_AUDIT[field])

    assert refused.value.field == field


def test_an_unknown_state_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(BadFilter, match="reserved, settled, released, expired, receipted"):
        CallFilter(teams=None, state="open")

    assert [CallFilter(teams=None, state=state).state for state in CALL_STATES] == [*CALL_STATES]


def test_who_asks_must_be_said() -> None:
    unsaid: list[Callable[..., object]] = [CallFilter, AuditFilter]
    for made in unsaid:
        with pytest.raises(TypeError, match="teams"):
            made()


@pytest.mark.parametrize(
    ("before", "count", "field"),
    [(-1, 10, "cursor"), (2**63, 10, "cursor"), (None, 0, "limit"), (None, PAGE_MAX + 1, "limit")],
)
def test_a_page_that_cannot_be(before: int | None, count: int, field: str) -> None:
    with pytest.raises(BadFilter) as refused:
        refuse_odd_page(before, count)

    assert refused.value.field == field


def test_what_is_within_the_bounds_passes() -> None:
    refuse_odd_page(0, 1)
    refuse_odd_page(2**63 - 1, PAGE_MAX)
    CallFilter(teams=frozenset(), team="<b>", model="*", since_ms=0, until_ms=1)


def test_names_are_compared_as_the_archive_keeps_them() -> None:
    long_name = "ü" * 150

    kept = kept_names({"red", long_name})

    assert "red" in kept
    assert long_name not in kept
    assert len(kept) == 2
