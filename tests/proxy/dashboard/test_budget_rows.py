"""A budget as it is shown: with its grants, its window in words, and a forecast."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.budgets import Budget, Scope
from policies.decisions import Standing
from policies.grants import Grant, Grants
from policies.rulebook import UNATTRIBUTED
from policies.windows import Calendar, FirstUse, Lifetime, Reported, Rolling, Window
from proxy.admin.access import Access
from proxy.dashboard.budget_rows import (
    Counted,
    budget_row,
    budgets_seen,
    count,
    scope_text,
    time_left,
    window_text,
    zone_of_budget,
)
from proxy.dashboard.wording import DAY_MS, HOUR_MS, SPACE, zone_of
from tests.doubles.fake_clock import NOON_MS
from tests.proxy.dashboard.story import USD, Story
from tests.proxy.dashboard.world import World

BUDGET = Budget(name="b", unit="USD", limit=100 * USD, window=Calendar("month", "Europe/Berlin"))
STANDING = Standing(
    budget="b",
    subject="",
    unit="USD",
    mode="enforce",
    limit=100 * USD,
    spent=60 * USD,
    reserved=2 * USD,
    overrun=0,
    start_ms=NOON_MS - 20 * DAY_MS,
    end_ms=NOON_MS + 10 * DAY_MS,
    window="2026-11",
)


def counted(budget: Budget = BUDGET, **changes: object) -> Counted:
    standing = replace(STANDING, **changes)  # type: ignore[arg-type]  # Fields as a test sets them.
    return Counted(
        budget=budget, limit_as_written=100 * USD, standing=standing, counter="b:USD::2026-11"
    )


def test_a_row_says_how_full_it_is_and_whether_it_holds() -> None:
    row = budget_row(counted(), (), NOON_MS)

    assert row.address == "/budgets/b"
    assert row.share == f"62{SPACE}%"
    assert row.time_left == "10 d left"
    assert row.said.text == f"will hold: 92{SPACE}% at the end"
    assert f"62{SPACE}% of $100.00 used: $60.00 spent, $2.00 reserved" in row.bar
    assert 'class="passed" x="666"' in row.bar


def test_a_subject_is_part_of_the_address_whatever_it_is_called() -> None:
    row = budget_row(counted(subject="a/b?c=<d>&e"), (), NOON_MS)

    assert row.address == "/budgets/b?subject=a%2Fb%3Fc%3D%3Cd%3E%26e"


def test_a_shadow_refuses_nothing() -> None:
    row = budget_row(counted(replace(BUDGET, mode="shadow"), spent=120 * USD), (), NOON_MS)

    assert row.said.text == "above its limit; it only tells, and refuses nothing"


@pytest.mark.parametrize(
    ("window", "text", "left"),
    [
        (Calendar("month"), "month", "10 d left"),
        (Calendar("day", "Asia/Tokyo"), "day, Asia/Tokyo", "10 d left"),
        (Lifetime(), "lifetime", "never ends"),
        (Rolling(5 * HOUR_MS), "last 5 h", "rolls on"),
        (FirstUse(5 * HOUR_MS), "5 h from first use", "begins with the next call"),
        (Reported(60_000), "the provider's own", "never ends"),
    ],
)
def test_windows_are_told_in_words(window: Window, text: str, left: str) -> None:
    budget = replace(BUDGET, window=window)
    ends = isinstance(window, Calendar)

    assert window_text(budget) == text
    assert time_left(
        counted(end_ms=STANDING.end_ms if ends else None).standing, budget, NOON_MS
    ) == (left)


def test_a_scope_is_told_in_words() -> None:
    scope = Scope(
        team="red",
        users=frozenset({"bob", "al"}),
        key_ids=frozenset({"k"}),
        models=("*opus*",),
        providers=frozenset({"venice"}),
        tags=(("env", "ci"),),
    )

    assert scope_text(replace(BUDGET, scope=scope)) == (
        "red · al, bob · 1 keys · at venice · models *opus* · env=ci"
    )
    assert scope_text(BUDGET) == "all teams"


def test_a_calendar_has_a_time_zone() -> None:
    assert zone_of_budget(BUDGET) == zone_of("Europe/Berlin")
    assert zone_of_budget(replace(BUDGET, window=Lifetime())) is None


async def test_counters_are_raised_by_their_grants(world: World, story: Story) -> None:
    await story.one(caller=("research", "alice", "k"), model="openai/gpt-5-mini")
    budget = world.services.rulebook().budgets["research-each"]
    now_ms = world.ledger.now_ms()
    grant = Grant(
        id="grant_1",
        budget="research-each",
        subject="alice",
        unit="USD",
        amount=5 * USD,
        made_ms=now_ms,
        expires_ms=now_ms + DAY_MS,
        reason="r",
        actor="a",
    )

    (alice,) = await count([budget], world.ledger, Grants([grant]))
    (nobody,) = await count([budget], world.ledger, Grants([grant]), "nobody")

    assert (alice.standing.subject, alice.granted, alice.used > 0) == ("alice", 5 * USD, True)
    assert (nobody.standing.subject, nobody.granted, nobody.used) == ("nobody", 0, 0)
    assert alice.counter == "research-each:USD:alice:2026-11-23"


def test_somebody_sees_the_budgets_of_their_teams(world: World) -> None:
    rulebook = world.services.rulebook()

    everything = budgets_seen(rulebook, Access(role="viewer", teams=frozenset()))
    of_research = budgets_seen(rulebook, Access(role="viewer", teams=frozenset({"research"})))

    assert [budget.name for budget in everything] == [*rulebook.budgets, UNATTRIBUTED]
    assert [budget.name for budget in of_research] == ["research", "research-each"]
