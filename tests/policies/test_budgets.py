"""Whose calls a budget counts, and on which counter."""

from __future__ import annotations

import pytest

from policies.budgets import Budget, Caller, Scope, subject_of
from policies.windows import Lifetime

CALLER = Caller(
    key_id="key_1", team="research", user="alice", session="s1", tags=(("run", "r1"), ("a", "b"))
)


@pytest.mark.parametrize(
    "scope",
    [
        Scope(),
        Scope(team="research"),
        Scope(users=frozenset({"alice", "bob"})),
        Scope(key_ids=frozenset({"key_1"})),
        Scope(models=("claude-*", "gpt-[45]*")),
        Scope(providers=frozenset({"venice"})),
        Scope(tags=(("a", "b"), ("run", "r1"))),
    ],
)
def test_a_scope_counts_what_matches_every_part(scope: Scope) -> None:
    assert scope.matches(CALLER, "gpt-5", "venice")


@pytest.mark.parametrize(
    "scope",
    [
        Scope(team="support"),
        Scope(users=frozenset({"bob"})),
        Scope(key_ids=frozenset({"key_2"})),
        Scope(models=("claude-*", "GPT-5", "gpt")),
        Scope(providers=frozenset({"agipower"})),
        Scope(tags=(("run", "r2"),)),
        Scope(team="research", models=("claude-*",)),
    ],
)
def test_one_part_that_differs_is_enough_not_to_count(scope: Scope) -> None:
    assert not scope.matches(CALLER, "gpt-5", "venice")


def test_a_budget_for_users_does_not_count_calls_without_one() -> None:
    caller = Caller(key_id="key_1", team="research")

    assert not Scope(users=frozenset({"alice"})).matches(caller, "gpt-5", "venice")


@pytest.mark.parametrize(
    ("each", "subject", "subject_without"),
    [
        (None, "", ""),
        ("user", "alice", "-"),
        ("key", "key_1", "key_1"),
        ("model", "gpt-5", "gpt-5"),
        ("session", "s1", "-"),
        ("tag:run", "r1", "-"),
        ("tag:other", "-", "-"),
    ],
)
def test_the_subject_is_the_value_that_counters_are_kept_for(
    each: str | None, subject: str, subject_without: str
) -> None:
    budget = Budget(name="b", each=each, unit="calls", limit=1, window=Lifetime())
    bare = Caller(key_id="key_1", team="research")

    assert subject_of(budget, CALLER, "gpt-5") == subject
    assert subject_of(budget, bare, "gpt-5") == subject_without
