"""The first page: budgets, what deserves a look, and what was spent lately."""

from __future__ import annotations

import json

from sqlalchemy import text as sql

from proxy.archive.lines import SpendLine
from proxy.dashboard.overview import SUBJECTS_SHOWN, spend_of
from proxy.dashboard.wording import DAY_MS
from tests.doubles.fake_clock import NOON_MS
from tests.proxy.dashboard.story import USD, Story
from tests.proxy.dashboard.world import RESEARCHER, Browser, World

TODAY = NOON_MS // DAY_MS


def line(day: str, team: str, nano: int) -> SpendLine:
    return SpendLine(
        group={"day": day, "team": team},
        calls=2,
        refused=1,
        receipted=1,
        input_tokens=1,
        output_tokens=1,
        settled_nano_usd=nano,
        receipted_nano_usd=nano,
        charged_nano_usd=nano,
    )


def test_spend_is_summed_by_day_and_name() -> None:
    lines = [
        line("2026-11-23", "red", 5 * USD),
        line("2026-11-23", "", USD),
        line("2026-11-18", "red", 2 * USD),
        line("2026-10-30", "blue", 3 * USD),
    ]

    spend = spend_of(lines, "team", (TODAY - 29) * DAY_MS)

    assert (spend.today, spend.week, spend.month) == (6 * USD, 8 * USD, 11 * USD)
    assert (spend.calls, spend.refused) == (8, 4)
    assert [(series.name, series.total) for series in spend.series] == [
        ("red", 7 * USD),
        ("blue", 3 * USD),
        ("–", USD),
    ]
    assert len(spend.days) == 30
    assert "2026-11-23: $6.00" in spend.chart


async def test_budgets_stand_in_the_order_of_the_policies(
    browser: Browser, world: World, story: Story
) -> None:
    await story.month(30)
    await world.archive()
    await browser.sign_in()

    text = (await browser.get("/")).text

    places = [text.index(f'/budgets/{name}"') for name in world.services.rulebook().budgets]
    assert places == sorted(places)
    assert "unattributed" not in text
    assert "Quota quota_7_day at agipower is low" in text


async def test_of_many_counters_the_fullest_are_shown(
    browser: Browser, world: World, story: Story
) -> None:
    from policies.ledger.interface import Admission, Ask  # noqa: PLC0415 - here alone.

    del story
    budget = world.services.rulebook().budgets["research-each"]
    for number in range(5):
        ask = Ask(budget=budget, subject=f"u{number}", held=number * USD, bound=number * USD)
        await world.ledger.reserve(f"c{number}", [ask], data="{}", admission=Admission.DECIDE)
    await browser.sign_in()

    text = (await browser.get("/")).text

    shown = [f"u{number}" for number in range(5) if f"subject=u{number}" in text]
    assert shown == ["u2", "u3", "u4"]
    assert len(shown) == SUBJECTS_SHOWN
    assert "All 5" in text


async def test_alerts_of_the_last_day_are_shown(browser: Browser, world: World) -> None:
    said = {"text": "budget company is at 80 %", "actor": None, "from": None}
    await world.ledger.note("alert", json.dumps(said))
    await world.archive()
    await browser.sign_in()

    assert "budget company is at 80 %" in (await browser.get("/")).text


async def test_without_the_archive_budgets_are_shown_all_the_same(
    browser: Browser, world: World, story: Story
) -> None:
    await story.one(caller=("research", "alice", "k"))
    await browser.sign_in()
    with world.services.database.begin() as connection:
        connection.execute(sql("DROP TABLE spend_days"))
        connection.execute(sql("DROP TABLE counter_hours"))

    answer = await browser.get("/")

    assert answer.status == 200
    assert "The archive does not answer: forecasts and charts are missing." in answer.text
    assert "research-each" in answer.text


async def test_a_viewer_of_a_team_gets_no_notices_of_all_teams(
    browser: Browser, world: World
) -> None:
    await world.archive()
    await browser.sign_in(RESEARCHER)

    assert "agipower" not in (await browser.get("/")).text
