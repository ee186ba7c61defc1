"""A rulebook that was written as a document and read again is the same rulebook."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.budgets import Budget, Scope
from policies.documents import PolicyErrors
from policies.money import EXACT_MAX
from policies.rulebook import UNATTRIBUTED, Rulebook, Team
from policies.rulebook_text import as_document, from_document
from policies.units import CALLS, CREDITS, INPUT_TOKENS, OUTPUT_TOKENS, TOKENS, USD
from policies.windows import (
    LENGTH_MS_MAX,
    LENGTH_MS_MIN,
    Calendar,
    FirstUse,
    Lifetime,
    Reported,
    Rolling,
    Window,
)

NANO = 1_000_000_000
UNITS = (USD, TOKENS, INPUT_TOKENS, OUTPUT_TOKENS, CALLS, *sorted(CREDITS))
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True).filter(
    lambda name: not name.startswith("wallet.")
)
texts = (
    st.text(min_size=1, max_size=30)
    .filter(lambda text: text == text.strip())
    .filter(lambda text: text.isprintable())
)
tokens = st.integers(1, 1_000_000_000)
nano_usd = st.none() | st.integers(1, EXACT_MAX)
# Longer than 115 days, a length in milliseconds has more digits than a policy may write.
lengths_ms = st.integers(LENGTH_MS_MIN, 9_999_999_999) | st.integers(1, LENGTH_MS_MAX // 1000).map(
    lambda seconds: seconds * 1000
)
windows: st.SearchStrategy[Window] = st.one_of(
    st.builds(
        Calendar,
        st.sampled_from(["hour", "day", "week", "month"]),
        st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"]),
    ),
    st.just(Lifetime()),
    st.builds(Rolling, lengths_ms),
    st.builds(FirstUse, lengths_ms),
)


def distinct(values: st.SearchStrategy[str]) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(values, max_size=3)


@st.composite
def budgets(draw: st.DrawFn, name: str, teams: list[str]) -> Budget:
    unit = draw(st.sampled_from(UNITS))
    limit = draw(st.integers(0, EXACT_MAX))
    likely, saves = draw(st.booleans()), unit not in (CALLS, INPUT_TOKENS)
    unattributed = name == UNATTRIBUTED
    return Budget(
        name=name,
        scope=Scope(
            team=None if unattributed else draw(st.sampled_from([None, *teams])),
            # Users are those of a team; who they may be is asked where the budget has none.
            users=frozenset(),
            key_ids=draw(distinct(texts)),
            models=tuple(draw(st.lists(texts, max_size=3))),
            providers=draw(distinct(texts)),
            tags=tuple(sorted(draw(st.dictionaries(texts, texts, max_size=2)).items())),
        ),
        each=None if unattributed else draw(st.sampled_from([None, "user", "key", "tag:a b"])),
        unit=unit,
        limit=limit,
        window=draw(windows),
        mode=draw(st.sampled_from(["enforce", "warn", "shadow"])),
        warn_at_percent=tuple(sorted(draw(st.frozensets(st.integers(1, 100), max_size=3)))),
        when_short=draw(st.sampled_from(["refuse", "clamp"])) if saves else "refuse",
        clamp_floor=draw(tokens),
        when_unpriced_nano_usd=draw(nano_usd) if unit == USD else None,
        when_ledger_down_nano_usd=draw(nano_usd),
        quote="likely" if likely else "bound",
        overrun_max=draw(st.integers(0, EXACT_MAX - limit)) if likely else 0,
    )


@st.composite
def rulebooks(draw: st.DrawFn) -> Rulebook:
    teams = {
        name: Team(
            name=name,
            models=tuple(draw(st.lists(texts, min_size=1, max_size=3))),
            members=draw(distinct(texts)),
            accept=draw(st.frozensets(st.sampled_from(["user", "session", "tags"]))),
            hidden_input=draw(st.sampled_from(["context_window", "refuse"])),
            background=draw(st.sampled_from(["poll", "refuse"])),
            default_max_output_tokens=draw(st.none() | tokens),
            tool_rounds_max=draw(st.integers(1, 1_000)),
        )
        for name in draw(st.lists(names, unique=True, max_size=3))
    }
    budget_names = draw(st.lists(names | st.just(UNATTRIBUTED), unique=True, max_size=4))
    return Rulebook(
        organization=draw(names),
        teams=teams,
        budgets={name: draw(budgets(name, list(teams))) for name in budget_names},
    )


@given(rulebooks())
@settings(max_examples=100, deadline=None)
def test_a_rulebook_comes_back_the_same_through_json(rulebook: Rulebook) -> None:
    again = from_document(json.loads(json.dumps(as_document(rulebook))))

    assert again == rulebook
    assert list(again.budgets) == list(rulebook.budgets)
    assert again.version == rulebook.version


def test_a_document_is_written_as_people_write_policies() -> None:
    team = Team(name="red", members=frozenset({"bob", "alice"}))
    budget = Budget(
        name="month",
        scope=Scope(team="red", users=frozenset({"alice"}), tags=(("project", "apollo"),)),
        unit=USD,
        limit=500 * NANO,
        window=Calendar("month", "Europe/Berlin"),
        warn_at_percent=(50, 80),
        when_unpriced_nano_usd=NANO // 2,
    )
    rolling = Budget(name="r", unit=CALLS, limit=3, window=Rolling(5 * 3_600_000), quote="likely")

    document = as_document(
        Rulebook(organization="acme", teams={"red": team}, budgets={"month": budget, "r": rolling})
    )

    assert document["teams"]["red"]["members"] == ["alice", "bob"]
    month, rolled = document["budgets"]
    assert month == {
        "name": "month",
        "team": "red",
        "users": ["alice"],
        "tags": {"project": "apollo"},
        "limit": "500 USD",
        "window": "month",
        "timezone": "Europe/Berlin",
        "mode": "enforce",
        "warn_at": ["50%", "80%"],
        "when_short": "refuse",
        "clamp_floor": 256,
        "when_unpriced": {"reserve": "0.5 USD"},
        "quote": "bound",
    }
    assert (rolled["limit"], rolled["window"], rolled["overrun_max"]) == (
        "3 calls",
        "rolling 5h",
        "0 calls",
    )
    assert from_document(document).budgets["month"].scope.users == {"alice"}


def test_a_providers_own_window_stands_in_no_document() -> None:
    wallet = Budget(name="wallet.p", unit=USD, limit=1, window=Reported(1))

    with pytest.raises(ValueError, match="own window"):
        as_document(Rulebook(budgets={"wallet.p": wallet}))


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (None, "the journalled policies:1: is not a mapping"),
        ([], "is not a mapping"),
        ("budgets: []", "is not a mapping"),
        ({}, "says nothing"),
        ({"budgets": {"name": "b"}}, "budgets: must be a list"),
        ({"budgets": [7]}, "budgets"),
        ({"budgets": [{"name": "b", "limit": "1 USD", "window": "fortnight"}]}, "is not a window"),
        ({"budgets": [{"name": "b", "limit": 1, "window": "day"}]}, "budgets[0].limit"),
        ({"budgets": [{"name": "b", "limit": "1e3 USD", "window": "day"}]}, "is not an amount"),
        ({"budgets": [], "colour": "red"}, "colour"),
    ],
)
def test_a_document_that_means_nothing_is_refused_with_its_place(document: Any, said: str) -> None:
    with pytest.raises(PolicyErrors) as caught:
        from_document(document)

    assert said in str(caught.value)
