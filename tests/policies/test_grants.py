"""Grants: limits that are higher for a while, and whatever cannot be granted."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.budgets import Budget
from policies.grants import (
    FOR_MS_MAX,
    FOR_MS_MIN,
    Grant,
    Grants,
    NoSuchBudget,
    Wish,
    as_written,
    from_journal,
    grantable,
    wish,
)
from policies.money import EXACT_MAX
from policies.rulebook import UNATTRIBUTED, Rulebook
from policies.units import CALLS, USD
from policies.windows import Lifetime

DOLLAR = 1_000_000_000
DAY_MS = 86_400_000
NOW_MS = 1_800_000_000_000
ONE = Budget(name="one", unit=USD, limit=10 * DOLLAR, window=Lifetime())
EACH = Budget(name="each", unit=CALLS, limit=5, each="user", window=Lifetime())
RULES = Rulebook(budgets={"one": ONE, "each": EACH})


def grant(number: int = 1, **fields: Any) -> Grant:
    usual: dict[str, Any] = {
        "id": f"grant_{number}",
        "budget": "one",
        "unit": USD,
        "amount": 2 * DOLLAR,
        "made_ms": NOW_MS,
        "expires_ms": NOW_MS + DAY_MS,
        "reason": "a demo",
        "actor": "ann",
    }
    return Grant(**usual | fields)


def limit(grants: Grants, budget: Budget = ONE, subject: str = "", now_ms: int = NOW_MS) -> int:
    return grants.raised(budget, subject, now_ms).limit


# What counts…


@pytest.mark.parametrize(
    "known", [Grants(), Grants([grant(budget="another")]), Grants([grant(expires_ms=NOW_MS)])]
)
def test_a_budget_to_which_nothing_is_granted_is_the_very_same(known: Grants) -> None:
    assert known.raised(ONE, "", NOW_MS) is ONE
    assert as_written(ONE, "") is ONE


def test_a_grant_raises_the_limit_and_nothing_else() -> None:
    raised = Grants([grant()]).raised(ONE, "", NOW_MS)

    assert raised == replace(ONE, limit=12 * DOLLAR)


def test_several_grants_add_up() -> None:
    known = Grants([grant(1), grant(2, amount=DOLLAR), grant(3, amount=1)])

    assert limit(known) == 13 * DOLLAR + 1
    assert [each.id for each in known.active(ONE, "", NOW_MS)] == ["grant_1", "grant_2", "grant_3"]


def test_a_grant_ends_at_its_time_and_not_before() -> None:
    known = Grants([grant()])

    assert limit(known, now_ms=NOW_MS + DAY_MS - 1) == 12 * DOLLAR
    assert limit(known, now_ms=NOW_MS + DAY_MS) == 10 * DOLLAR


def test_a_grant_that_was_ended_counts_no_longer() -> None:
    known = Grants([grant(ended_ms=NOW_MS + 5, ended_by="bob")])

    assert limit(known, now_ms=NOW_MS + 4) == 12 * DOLLAR
    assert limit(known, now_ms=NOW_MS + 5) == 10 * DOLLAR


def test_a_grant_in_a_unit_that_the_budget_no_longer_counts_raises_nothing() -> None:
    assert limit(Grants([grant(unit=CALLS)])) == 10 * DOLLAR


def test_a_subject_has_its_own_grants_and_those_for_all() -> None:
    for_alice = grant(1, budget="each", unit=CALLS, subject="alice", amount=3)
    for_all = grant(2, budget="each", unit=CALLS, amount=10)
    known = Grants([for_alice, for_all])

    assert limit(known, EACH, "alice") == 18
    assert limit(known, EACH, "bob") == 15
    assert limit(known, EACH, "-") == 15
    assert known.subjects(EACH, NOW_MS) == ["alice"]
    assert known.subjects(EACH, NOW_MS + DAY_MS) == []
    assert (len(known), list(known)) == (2, [for_alice, for_all])


def test_a_limit_never_leaves_what_can_be_counted_exactly() -> None:
    high = replace(ONE, limit=EXACT_MAX - 5, overrun_max=2)
    known = Grants([grant(1, amount=2), grant(2, amount=2)])

    assert limit(known, high) == EXACT_MAX - 2
    assert known.granted(high, "", NOW_MS) == 3
    assert known.raised(replace(high, overrun_max=5), "", NOW_MS).limit == EXACT_MAX - 5


@given(
    amounts=st.lists(st.integers(1, EXACT_MAX), max_size=8),
    own=st.integers(0, EXACT_MAX),
    overrun=st.integers(0, EXACT_MAX),
    ends=st.lists(st.integers(-3, 3), min_size=8, max_size=8),
)
def test_what_is_granted_is_the_sum_of_what_counts_as_far_as_there_is_room(
    amounts: list[int], own: int, overrun: int, ends: list[int]
) -> None:
    budget = replace(ONE, limit=own, overrun_max=min(overrun, EXACT_MAX - own))
    known = [
        grant(number, amount=amount, expires_ms=NOW_MS + end)
        for number, (amount, end) in enumerate(zip(amounts, ends, strict=False))
    ]

    raised = Grants(known).raised(budget, "", NOW_MS)

    counted = sum(each.amount for each in known if each.expires_ms > NOW_MS)
    assert raised.limit == min(own + counted, EXACT_MAX - budget.overrun_max)
    assert raised.limit + raised.overrun_max <= EXACT_MAX


# How much more there may be…


def test_there_is_room_up_to_what_can_be_counted_exactly() -> None:
    assert Grants().room(ONE, None, NOW_MS) == EXACT_MAX - 10 * DOLLAR
    assert Grants([grant()]).room(ONE, None, NOW_MS) == EXACT_MAX - 12 * DOLLAR
    assert Grants().room(replace(ONE, limit=EXACT_MAX), None, NOW_MS) == 0


def test_there_is_as_much_room_for_all_as_for_whom_most_is_granted() -> None:
    known = Grants(
        grant(number, budget="each", unit=CALLS, subject=subject, amount=amount)
        for number, (subject, amount) in enumerate(
            [(None, 1), ("alice", 2), ("alice", 3), ("bob", 4)]
        )
    )

    room = EXACT_MAX - 5
    assert known.room(EACH, "alice", NOW_MS) == room - 6
    assert known.room(EACH, "bob", NOW_MS) == room - 5
    assert known.room(EACH, "carol", NOW_MS) == room - 1
    assert known.room(EACH, None, NOW_MS) == room - 6


# What the journal says…


def test_the_journal_says_everything_of_a_grant() -> None:
    assert grant(subject="alice").journalled("10.0.0.7") == {
        "grant": "grant_1",
        "budget": "one",
        "subject": "alice",
        "unit": "USD",
        "amount": 2 * DOLLAR,
        "made_ms": NOW_MS,
        "expires_ms": NOW_MS + DAY_MS,
        "reason": "a demo",
        "actor": "ann",
        "from": "10.0.0.7",
    }


@pytest.mark.parametrize("made", [grant(), grant(ended_ms=NOW_MS + 1, ended_by="bob")])
def test_a_grant_can_be_had_back_from_the_journal(made: Grant) -> None:
    data = json.loads(json.dumps(made.journalled("cli")))

    assert from_journal(data) == made


def test_whoever_ends_a_grant_is_the_actor_of_that_entry() -> None:
    data = grant(ended_ms=NOW_MS + 1, ended_by="bob").journalled("cli")

    assert (data["actor"], data["made_by"]) == ("bob", "ann")


def test_an_entry_that_lacks_something_is_no_grant() -> None:
    with pytest.raises(KeyError):
        from_journal({"grant": "grant_1"})


# What can be wished for…


def wanted(budget: Budget = ONE, **fields: Any) -> Wish:
    usual: dict[str, Any] = {"amount": "50 USD", "for_ms": DAY_MS, "reason": " a demo "}
    return wish(budget, **usual | fields)


def test_a_wish_has_its_amount_in_the_unit_of_the_budget() -> None:
    assert wanted() == Wish(
        budget=ONE, subject=None, amount=50 * DOLLAR, for_ms=DAY_MS, reason="a demo"
    )
    assert wanted(EACH, amount="2k calls", subject="alice").amount == 2_000
    assert wanted(EACH, amount="1 calls", all_subjects=True).subject is None
    assert wanted(for_ms=FOR_MS_MIN).for_ms < wanted(for_ms=FOR_MS_MAX).for_ms


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"amount": "50 calls"}, "'50 calls' is in calls, but budget 'one' counts USD"),
        ({"amount": "50"}, "is not an amount"),
        ({"amount": "-50 USD"}, "is negative"),
        ({"amount": "6e-7 USD"}, "is not an amount"),
        ({"amount": "NaN USD"}, "is not an amount"),
        ({"amount": ""}, "is not an amount"),
        ({"amount": "0 USD"}, "raises nothing"),
        ({"amount": "0.000 USD"}, "raises nothing"),
        ({"amount": "90000000 USD"}, "is too large"),
        ({"amount": f"{'9' * 5_000} USD"}, "is too large"),
        ({"for_ms": 0}, "from one second to 366 days"),
        ({"for_ms": FOR_MS_MIN - 1}, "from one second to 366 days"),
        ({"for_ms": FOR_MS_MAX + 1}, "from one second to 366 days"),
        ({"reason": ""}, "say why"),
        ({"reason": " \t "}, "say why"),
        ({"reason": "two\nlines"}, "say why"),
        ({"reason": "x" * 257}, "say why"),
        ({"subject": "alice"}, "keeps one counter"),
        ({"all_subjects": True}, "keeps one counter"),
    ],
)
def test_a_wish_that_makes_no_sense_is_told_why(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        wanted(**fields)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "has a limit for each user: name one, or say that it is for all"),
        ({"subject": "alice", "all_subjects": True}, "but not both"),
        ({"subject": ""}, "a subject has 1 to 256 printable characters"),
        ({"subject": "a\0b"}, "a subject has 1 to 256 printable characters"),
        ({"subject": "x" * 257}, "a subject has 1 to 256 printable characters"),
    ],
)
def test_whose_counter_it_is_must_be_said_where_there_are_several(
    fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        wanted(EACH, amount="5 calls", **fields)


def test_a_budget_is_found_by_its_name() -> None:
    assert grantable(RULES, "one") is ONE
    with pytest.raises(NoSuchBudget, match="'onne' is not a budget: did you mean 'one'"):
        grantable(RULES, "onne")


@pytest.mark.parametrize("name", [UNATTRIBUTED, "wallet.agipower.monthly"])
def test_what_refuses_nothing_or_belongs_to_a_provider_is_not_granted(name: str) -> None:
    own = replace(ONE, name=name)

    with pytest.raises(ValueError, match=name):
        grantable(Rulebook(budgets={name: own}), name)
