"""Ids of calls sort by time, tell it, and cannot be guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.call_ids import came_in_ms, earliest_call_id, new_call_id

# Until the year 10889; now is about 2**40.6.
moments = st.integers(0, 2**48 - 1)


@given(moments, moments)
def test_ids_sort_by_time(first: int, second: int) -> None:
    earlier, later = sorted((first, second))

    if earlier < later:
        assert new_call_id(earlier) < new_call_id(later)


@given(moments)
def test_the_earliest_id_of_a_time_sorts_before_all_others(at_ms: int) -> None:
    assert earliest_call_id(at_ms) <= new_call_id(at_ms)
    assert at_ms == 0 or new_call_id(at_ms - 1) < earliest_call_id(at_ms)


@given(moments)
def test_ids_have_one_form(at_ms: int) -> None:
    call_id = new_call_id(at_ms)

    assert len(call_id) == len("call_") + 26
    assert call_id.startswith("call_")
    assert set(call_id[5:]) <= set("0123456789abcdefghjkmnpqrstvwxyz")


def test_ids_of_one_millisecond_are_different() -> None:
    assert len({new_call_id(1) for _ in range(10_000)}) == 10_000


@given(moments)
def test_an_id_tells_when_its_call_came_in(at_ms: int) -> None:
    assert came_in_ms(new_call_id(at_ms)) == at_ms


@pytest.mark.parametrize(
    "foreign", ["", "call_", "a", "ghost-agipower-abc", "call_" + "u" * 26, "0" * 26, "call_1"]
)
def test_what_is_no_id_of_ours_tells_nothing(foreign: str) -> None:
    assert came_in_ms(foreign) is None
