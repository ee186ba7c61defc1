"""Names: one hash tag for everything of an organisation, and counters that cannot be confused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.budgets import Budget
from policies.ledger.keys import (
    FIRST_USE,
    FIXED,
    ROLLING,
    Keys,
    Placement,
    charge_of,
    counter_name,
    counter_parts,
    place,
)
from policies.units import USD
from policies.windows import Calendar, FirstUse, Lifetime, Rolling, Window
from tests.doubles.fake_clock import NOON_MS

DAY_MS = 86_400_000
NOVEMBER_23 = NOON_MS - NOON_MS % DAY_MS
texts = st.text(st.characters(codec="utf-8"), max_size=40)
budget_names = st.from_regex(r"[a-z][a-z0-9_-]{0,20}", fullmatch=True)


def all_names(keys: Keys) -> list[str]:
    return [
        keys.journal,
        keys.deadlines,
        keys.callers,
        keys.callers_version,
        keys.grants,
        keys.grants_version,
        keys.topic("prices"),
        keys.call("call_a"),
        keys.counter("month:USD::2026-11"),
        keys.subjects("month:USD:alice:2026-11"),
    ]


@given(texts.filter(bool))
def test_everything_of_an_organisation_has_its_hash_tag(organization: str) -> None:
    tags = {re.findall(r"\{(.*?)\}", name)[0] for name in all_names(Keys(organization))}

    assert len(tags) == 1
    assert tags.pop()


@given(texts, texts)
def test_organisations_have_nothing_in_common(one: str, another: str) -> None:
    if one != another:
        assert not set(all_names(Keys(one))) & set(all_names(Keys(another)))


def test_no_two_names_of_an_organisation_are_the_same() -> None:
    names = all_names(Keys("acme"))

    assert len(set(names)) == len(names)


@given(budget_names, st.sampled_from((USD, "input tokens", "DIEM")), texts, st.just("2026-11"))
def test_the_parts_of_a_counters_name_can_be_told(
    budget: str, unit: str, subject: str, window_id: str
) -> None:
    name = counter_name(budget, unit, subject, window_id)

    assert counter_parts(name) == (budget, unit, subject, window_id)


@given(st.tuples(budget_names, texts), st.tuples(budget_names, texts))
def test_two_counters_have_two_names(one: tuple[str, str], another: tuple[str, str]) -> None:
    names = [counter_name(budget, USD, subject, "day") for budget, subject in (one, another)]

    assert (names[0] == names[1]) is (one == another)


def test_subjects_are_kept_by_budget_unit_and_window() -> None:
    keys = Keys("acme")

    alice, bob, june = (
        keys.subjects(counter_name("month", USD, subject, window_id))
        for subject, window_id in (("alice: x", "2026-11"), ("bob", "2026-11"), ("bob", "2026-06"))
    )

    assert alice == bob != june


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (
            Calendar("day"),
            Placement(
                counter="b:USD:alice:2026-11-23",
                kind=FIXED,
                window_id="2026-11-23",
                start_ms=NOVEMBER_23,
                end_ms=NOVEMBER_23 + DAY_MS,
                length_ms=0,
                bucket_ms=0,
            ),
        ),
        (Lifetime(), Placement("b:USD:alice:lifetime", FIXED, "lifetime", 0, 0, 0, 0)),
        (
            Rolling(3_600_000),
            Placement("b:USD:alice:rolling-1h", ROLLING, "rolling-1h", 0, 0, 3_600_000, 60_000),
        ),
        (
            FirstUse(3_600_000),
            Placement("b:USD:alice:first-use-1h", FIRST_USE, "first-use-1h", 0, 0, 3_600_000, 0),
        ),
    ],
    ids=["calendar", "lifetime", "rolling", "first use"],
)
def test_each_window_counts_in_its_place(window: Window, expected: Placement) -> None:
    found = place(Budget(name="b", unit=USD, limit=1, window=window), "alice", NOON_MS)

    assert found.kind == expected.kind
    assert found.counter == f"b:USD:alice:{found.window_id}"
    assert (found.start_ms, found.end_ms) == (expected.start_ms, expected.end_ms)
    assert (found.length_ms, found.bucket_ms) == (expected.length_ms, expected.bucket_ms)


@pytest.mark.parametrize(
    ("window", "length_ms", "bucket_ms"),
    [
        (Calendar("day"), NOVEMBER_23 + DAY_MS, 0),
        (Rolling(3_600_000), 3_600_000, 60_000),
        (FirstUse(3_600_000), 3_600_000, 0),
    ],
)
def test_a_charge_says_where_it_is_held(window: Window, length_ms: int, bucket_ms: int) -> None:
    budget = Budget(name="b", unit=USD, limit=1, window=window)
    at = place(budget, "alice", NOON_MS)

    charge = charge_of(budget, "alice", at, slot=7, held=3, bound=5)

    assert (charge.budget, charge.subject, charge.unit) == ("b", "alice", USD)
    assert (charge.counter, charge.kind) == (at.counter, at.kind)
    assert (charge.length_ms, charge.bucket_ms) == (length_ms, bucket_ms)
    assert (charge.slot, charge.held, charge.bound) == (7, 3, 5)
