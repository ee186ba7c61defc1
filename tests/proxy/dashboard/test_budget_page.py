"""One budget: who spent it, whom it refused, and what each of its subjects has."""

from __future__ import annotations

import pytest

from proxy.archive.lines import SpenderLine
from proxy.dashboard.budget_page import SUBJECTS_PER_PAGE, pace_text, page_number, shares
from proxy.dashboard.wording import DAY_MS
from tests.doubles.fake_clock import NOON_MS
from tests.proxy.dashboard.conftest import Enter
from tests.proxy.dashboard.story import Story
from tests.proxy.dashboard.test_budget_rows import counted
from tests.proxy.dashboard.world import RESEARCHER, Browser, World

INTERN = ("interns", "kim", "key_interns0000000")


async def test_it_says_who_spent_it_on_which_model_and_whom_it_refused(
    browser: Browser, world: World, story: Story
) -> None:
    for _ in range(12):
        await story.one(caller=INTERN, model="anthropic/claude-opus-4.5")
    await world.archive()
    await browser.sign_in()

    text = (await browser.get("/budgets/interns")).text

    assert "interns · kim" in text
    assert "anthropic/claude-opus-4.5" in text
    assert "in this window; the latest:" in text
    assert 'class="chart wide"' in text
    assert 'class="refused"' in text


async def test_without_the_archive_the_limit_is_shown_all_the_same(
    browser: Browser, world: World, story: Story
) -> None:
    await story.one(caller=INTERN)
    await browser.sign_in()
    world.services.database.close()
    world.services.database.engine.dispose()
    from sqlalchemy import text as sql  # noqa: PLC0415 - here alone.

    with world.services.database.begin() as connection:
        connection.execute(sql("DROP TABLE counter_hours"))

    answer = await browser.get("/budgets/interns")

    assert answer.status == 200
    assert "The archive does not answer." in answer.text
    assert "$2.00" in answer.text


async def test_a_budget_for_each_of_something_lists_them_the_fullest_first(
    browser: Browser, world: World, story: Story
) -> None:
    for _ in range(2):
        await story.one(caller=("research", "bob", "k"), model="openai/gpt-5-mini")
    await story.one(caller=("research", "alice", "k"), model="anthropic/claude-opus-4.5")
    await world.archive()
    await browser.sign_in()

    everybody = (await browser.get("/budgets/research-each")).text
    found = (await browser.get("/budgets/research-each?q=BO")).text
    nobody = (await browser.get("/budgets/research-each?q=zoe")).text
    one = await browser.get("/budgets/research-each?subject=alice")

    assert everybody.index(">alice<") < everybody.index(">bob<")
    assert ">bob<" in found
    assert ">alice<" not in found
    assert "No user in this window has “zoe” in its name." in nobody
    assert "one user of research-each" in one.text


async def test_many_subjects_come_in_pages(browser: Browser, world: World, story: Story) -> None:
    budget = world.services.rulebook().budgets["research-each"]
    from policies.ledger.interface import Admission, Ask  # noqa: PLC0415 - here alone.

    for number in range(SUBJECTS_PER_PAGE + 3):
        ask = Ask(budget=budget, subject=f"user-{number}", held=1, bound=1)
        await world.ledger.reserve(f"c{number}", [ask], data="{}", admission=Admission.DECIDE)
    await browser.sign_in()

    first = (await browser.get("/budgets/research-each")).text
    second = (await browser.get("/budgets/research-each?page=2")).text

    assert first.count('class="budget"') == SUBJECTS_PER_PAGE
    assert "?page=2" in first
    assert second.count('class="budget"') == 3
    assert "?page=3" not in second


async def test_a_budget_of_another_team_is_not_said_to_exist(new_browser: Enter) -> None:
    viewer = await new_browser()
    await viewer.sign_in(RESEARCHER)

    others = await viewer.get("/budgets/company")
    unknown = await viewer.get("/budgets/nothing")

    assert others.status == unknown.status == 404
    assert others.text.replace("company", "nothing") == unknown.text


def test_shares_add_up_by_name() -> None:
    def line(user: str, model: str, spent: int) -> SpenderLine:
        return SpenderLine(
            team="red", user=user, key_id="k", model=model, calls=1, refused=2, spent=spent
        )

    lines = [line("al", "a", 30), line("bo", "a", 50), line("al", "b", 20)]

    by_user = shares(lines, lambda each: each.user, counted())

    assert [(share.name, share.spent, share.calls, share.refused) for share in by_user] == [
        ("al", 50, 2, 4),
        ("bo", 50, 1, 2),
    ]
    assert shares([], lambda each: each.user, counted()) == []


@pytest.mark.parametrize(
    ("text", "number"),
    [("", 1), ("2", 2), ("0", 1), ("-3", 1), ("x", 1), ("9" * 400, 1), ("٣", 1)],
)
def test_a_page_that_is_none_is_the_first(text: str, number: int) -> None:
    assert page_number(text) == number


def test_the_forecast_says_by_which_pace_it_goes() -> None:
    assert pace_text(NOON_MS - DAY_MS, NOON_MS) == "so far"
    assert pace_text(NOON_MS - 20 * DAY_MS, NOON_MS) == "of the last 7 days"
