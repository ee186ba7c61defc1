"""Entries and calls are filed by months that exist, whatever clocks and ids say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.call_ids import earliest_call_id, new_call_id
from proxy.archive.months import FIRST, LAST, NO_MONTH, month_of, month_of_call, next_month
from tests.doubles.fake_clock import NOON_MS


def test_a_time_lies_in_its_month() -> None:
    assert month_of(NOON_MS) == 202_611


def test_a_call_is_filed_by_the_time_in_its_id() -> None:
    assert month_of_call(new_call_id(NOON_MS)) == 202_611


@pytest.mark.parametrize("call_id", ["", "call_1", "call_" + "z" * 26, earliest_call_id(5)])
def test_an_id_that_tells_no_possible_time_has_no_month(call_id: str) -> None:
    assert month_of_call(call_id) == NO_MONTH


@pytest.mark.parametrize(("month", "following"), [(202_611, 202_612), (202_612, 202_701)])
def test_months_follow_each_other(month: int, following: int) -> None:
    assert next_month(month) == following


@given(st.integers(-(2**70), 2**70))
def test_every_time_has_a_month(at_ms: int) -> None:
    assert FIRST <= month_of(at_ms) <= LAST
    assert 1 <= month_of(at_ms) % 100 <= 12
