"""The rulebook: which budgets count a call, and who may not make it at all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.budgets import Budget, Caller, Scope
from policies.money import EXACT_MAX
from policies.rulebook import (
    CACHE_ENTRIES_MAX,
    UNATTRIBUTED,
    Barred,
    ModelNotAllowed,
    NotAMember,
    Rulebook,
    Rules,
    Team,
    UnknownTeam,
)
from policies.units import USD
from policies.windows import Calendar, FirstUse, Lifetime, Rolling

RESEARCH = Team(name="research", models=("gpt-*", "o4"), members=frozenset({"alice", "bob"}))
SUPPORT = Team(name="support")
CALLER = Caller(key_id="key_1", team="research", user="alice")


def budget(name: str, *, each: str | None = None, **scope: object) -> Budget:
    return Budget(
        name=name,
        scope=Scope(**scope),  # type: ignore[arg-type]  # Fields by name, each of its own type.
        each=each,
        unit="calls",
        limit=1,
        window=Lifetime(),
    )


def rulebook(*budgets: Budget) -> Rulebook:
    return Rulebook(
        teams={"research": RESEARCH, "support": SUPPORT},
        budgets={each.name: each for each in budgets},
    )


def found(
    book: Rulebook, caller: Caller = CALLER, model: str = "gpt-5", provider: str = "venice"
) -> list[tuple[str, str]]:
    rules = book.rules_for(caller, model, provider)
    assert isinstance(rules, Rules)
    return [(each.name, subject) for each, subject in rules.budgets]


@pytest.mark.parametrize(
    ("caller", "model", "expected"),
    [
        (replace(CALLER, team="gone"), "gpt-5", UnknownTeam("gone")),
        (replace(CALLER, user="mallory"), "gpt-5", NotAMember("research", "mallory")),
        (CALLER, "claude-5", ModelNotAllowed("research", "claude-5")),
        (CALLER, "o4-mini", ModelNotAllowed("research", "o4-mini")),
        (CALLER, "GPT-5", ModelNotAllowed("research", "GPT-5")),
    ],
)
def test_a_call_that_may_not_be_made_says_why(caller: Caller, model: str, expected: Barred) -> None:
    assert rulebook().rules_for(caller, model, "venice") == expected


def test_a_key_without_a_user_belongs_to_the_team_as_such() -> None:
    assert found(rulebook(budget("all")), replace(CALLER, user=None)) == [("all", "")]


def test_a_team_that_lists_no_members_takes_any_user() -> None:
    assert found(rulebook(), replace(CALLER, team="support", user="anyone")) == []


def test_a_call_that_no_budget_counts_is_admitted() -> None:
    rules = rulebook().rules_for(CALLER, "gpt-5", "venice")

    assert rules == Rules(RESEARCH, ())


def test_all_matching_budgets_count_in_the_order_of_the_files() -> None:
    book = rulebook(
        budget("z-all"),
        budget("a-team", team="research"),
        budget("other-team", team="support"),
        budget("user", users=frozenset({"alice", "carol"})),
        budget("other-user", users=frozenset({"bob"})),
        budget("key", key_ids=frozenset({"key_1"})),
        budget("other-key", key_ids=frozenset({"key_2"})),
        budget("model", models=("o4", "gpt-*")),
        budget("other-model", models=("o4",)),
        budget("provider", providers=frozenset({"venice"})),
        budget("other-provider", providers=frozenset({"agipower"})),
    )

    assert [name for name, _ in found(book)] == [
        "z-all", "a-team", "user", "key", "model", "provider",
    ]  # fmt: skip


def test_a_budget_with_tags_wants_all_of_them() -> None:
    book = rulebook(
        budget("one", tags=(("stage", "prod"),)),
        budget("both", tags=(("project", "a"), ("stage", "prod"))),
    )

    one = replace(CALLER, tags=(("stage", "prod"),))
    both = replace(CALLER, tags=(("project", "a"), ("stage", "prod")))

    assert found(book) == []
    assert found(book, one) == [("one", "")]
    assert found(book, both) == [("one", ""), ("both", "")]


def test_each_value_has_a_counter_of_its_own() -> None:
    book = rulebook(
        budget("by-user", each="user"),
        budget("by-key", each="key"),
        budget("by-model", each="model"),
        budget("by-session", each="session"),
        budget("by-tag", each="tag:run"),
    )
    caller = replace(CALLER, session="s1", tags=(("run", "r1"),))

    assert found(book, caller) == [
        ("by-user", "alice"),
        ("by-key", "key_1"),
        ("by-model", "gpt-5"),
        ("by-session", "s1"),
        ("by-tag", "r1"),
    ]


def test_callers_without_the_value_share_a_counter() -> None:
    book = rulebook(budget("by-session", each="session"), budget("by-tag", each="tag:run"))

    assert found(book) == [("by-session", "-"), ("by-tag", "-")]


def test_sessions_keep_apart_and_fill_no_memory() -> None:
    book = rulebook(budget("by-session", each="session"))

    subjects = [found(book, replace(CALLER, session=f"s{n}")) for n in range(3)]

    assert subjects == [[("by-session", f"s{n}")] for n in range(3)]
    assert found(book) == [("by-session", "-")]
    assert len(book._cache) == 1


def test_the_same_call_gets_the_same_rules_without_a_search() -> None:
    book = rulebook(budget("all"))

    assert book.rules_for(CALLER, "gpt-5", "venice") is book.rules_for(CALLER, "gpt-5", "venice")


def test_what_is_remembered_is_bounded() -> None:
    book = rulebook(budget("all"))

    for number in range(CACHE_ENTRIES_MAX + 3):
        assert found(book, model=f"gpt-{number}") == [("all", "")]

    assert len(book._cache) == 3


def test_models_with_endless_names_are_not_remembered() -> None:
    book = rulebook(budget("all"))

    assert found(book, model="gpt-" + "5" * 1000) == [("all", "")]
    assert len(book._cache) == 0


def test_calls_that_are_barred_are_not_remembered() -> None:
    book = rulebook(budget("all"))

    book.rules_for(CALLER, "claude-5", "venice")

    assert len(book._cache) == 0


def test_the_version_changes_with_the_meaning() -> None:
    book = rulebook(budget("a"), budget("b"))
    variants = [
        book,
        Rulebook(),
        replace(book, organization="acme"),
        replace(book, teams={"research": RESEARCH}),
        rulebook(budget("b"), budget("a")),
        rulebook(budget("a")),
        rulebook(budget("a", each="user")),
        rulebook(replace(budget("a"), window=Rolling(1000))),
        rulebook(replace(budget("a"), window=FirstUse(1000))),
        rulebook(budget("a", users=frozenset({"alice"}))),
    ]

    assert len({each.version for each in variants}) == len(variants)


def test_the_version_does_not_change_without_the_meaning() -> None:
    names = [f"user{n}" for n in range(20)]
    forwards = rulebook(budget("a", users=frozenset(names)))
    backwards = rulebook(budget("a", users=frozenset(reversed(names))))

    assert forwards.version == backwards.version
    assert replace(forwards, teams={"support": SUPPORT, "research": RESEARCH}).version == (
        forwards.version
    )
    assert len(forwards.version) == 12


# What no call explains…


def test_what_no_call_explains_has_a_budget_that_nobody_need_write() -> None:
    own = Rulebook().unattributed

    assert (own.name, own.unit, own.window) == (UNATTRIBUTED, USD, Calendar("month"))
    assert (own.limit, own.mode, own.each) == (EXACT_MAX, "shadow", None)
    assert rulebook(budget("all")).unattributed == own


def test_a_policys_own_budget_for_it_wins() -> None:
    own = budget(UNATTRIBUTED, each="user")

    assert rulebook(budget("all"), own).unattributed is own


@pytest.mark.parametrize("team", [None, "research"])
def test_that_budget_never_counts_a_call(team: str | None) -> None:
    book = rulebook(budget(UNATTRIBUTED, team=team), budget("all"))

    assert found(book) == [("all", "")]
    assert found(rulebook(budget(UNATTRIBUTED, team=team))) == []


def test_its_limit_is_a_part_of_the_rules_meaning() -> None:
    own = budget(UNATTRIBUTED)

    versions = {
        rulebook().version,
        rulebook(own).version,
        rulebook(replace(own, limit=2)).version,
    }
    assert len(versions) == 3
