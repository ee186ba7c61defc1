"""One call's life, from quote to receipt."""

from __future__ import annotations

import json
from typing import Any

import pytest

from policies.ledger.interface import Admission
from policies.units import Amounts
from proxy.archive.chain import ChainedEntry
from proxy.dashboard.life import money_steps, said_of, state_of, steps_of, usage_of
from tests.doubles.fake_clock import NOON_MS
from tests.proxy.dashboard.conftest import Enter
from tests.proxy.dashboard.story import USD, Story
from tests.proxy.dashboard.world import RESEARCHER, Browser, World

ALICE = ("research", "alice", "key_alice000000000")
KIM = ("interns", "kim", "key_interns0000000")


def entry(kind: str, data: Any, at_ms: int = NOON_MS) -> ChainedEntry:
    text = data if isinstance(data, str) else json.dumps(data)
    return ChainedEntry(
        number=1,
        stream_id="1-0",
        at_ms=at_ms,
        version=1,
        kind=kind,
        call_id="call_1",
        data=text,
        moves="[]",
    )


async def whole(story: Story) -> str:
    """Tell a call up to its receipt; return its id."""
    reservation, call = None, None
    while reservation is None or call is None:
        reservation, call = await story.one(caller=ALICE, model="anthropic/claude-opus-4.5")
    billed = call.cost.nano_usd + 1_234_000
    said = {"nano_usd": billed, "source": "look-up", "settled_nano_usd": call.cost.nano_usd}
    await story.ledger.receipt(
        reservation, Amounts(nano_usd=billed), outcome=json.dumps(said), keep=("tokens",)
    )
    return call.call_id


async def test_a_life_is_told_from_quote_to_receipt(
    browser: Browser, world: World, story: Story
) -> None:
    call_id = await whole(story)
    await world.archive()
    await browser.sign_in()

    text = (await browser.get(f"/calls/{call_id}")).text

    for step in ("Admitted", "Settled", "Receipted"):
        assert f'<span class="what">{step}</span>' in text
    assert "$0.0012 more than metered" in text
    assert "held, against 4 budgets" in text
    assert '<a href="/budgets/research-each?subject=alice">' in text
    assert 'class="state receipted"' in text
    assert "input tokens" in text


async def test_a_call_is_there_before_the_archive_has_it(
    browser: Browser, world: World, story: Story
) -> None:
    await world.archive()
    call_id = await whole(story)
    await browser.sign_in()

    before = (await browser.get(f"/calls/{call_id}")).text
    await world.archive()
    after = (await browser.get(f"/calls/{call_id}")).text

    assert before.count('class="what"') == after.count('class="what"') == 3
    assert "$0.0012 more than metered" in before


async def test_a_refusal_says_which_budget_had_no_room(
    browser: Browser, world: World, story: Story
) -> None:
    call_id = ""
    while not call_id:
        _, call = await story.one(caller=KIM, model="anthropic/claude-opus-4.5")
        if await world.ledger.find(call.call_id) is None:
            call_id = call.call_id
    await world.archive()
    await browser.sign_in()

    text = (await browser.get(f"/calls/{call_id}")).text

    assert "no room in interns" in text
    assert '<span class="tone bad">no room</span>' in text
    assert '<th scope="col" class="n">Asked</th>' in text


@pytest.mark.parametrize("archived", [True, False])
async def test_a_call_of_another_team_is_not_said_to_exist(
    new_browser: Enter, world: World, story: Story, archived: bool
) -> None:
    await world.archive()
    _, call = await story.one(caller=KIM)
    if archived:
        await world.archive()
    viewer = await new_browser()
    await viewer.sign_in(RESEARCHER)

    others = await viewer.get(f"/calls/{call.call_id}")
    unknown = await viewer.get("/calls/call_none")

    assert others.status == unknown.status == 404
    assert others.text.replace(call.call_id, "call_none") == unknown.text


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        ("release", {}, "it cost nothing, and what was held is free again"),
        ("expire", {}, "its worker was gone: charged as it was reserved"),
        ("give_up", {"reason": "a day is over"}, "a day is over"),
        ("give_up", {}, "the metered amount stands"),
        ("settle", {"nano_usd": USD, "certainty": "exact"}, "metered at $1.0000, exact"),
        ("settle", "not json", "metered at –, of unknown certainty"),
        ("settle", {"nano_usd": "1", "certainty": None}, "metered at –, of unknown certainty"),
        ("receipt", {"nano_usd": USD}, "billed $1.0000 (by the provider)"),
        (
            "receipt",
            {"nano_usd": 2 * USD, "settled_nano_usd": 3 * USD, "source": "history"},
            ("billed $2.0000 (history): $1.0000 less than metered"),
        ),
        ("admitted", [], "– held, against 0 budgets"),
        ("refused", {}, "no room in a budget"),
        ("from_the_future", {"x": 1}, ""),
    ],
)
def test_what_an_entry_says_is_a_sentence(kind: str, data: Any, said: str) -> None:
    assert said_of(entry(kind, data)) == said


def test_an_entry_of_a_newer_version_is_shown_by_its_own_name() -> None:
    (step,) = steps_of([entry("from_the_future", "[" * 5_000)], bool)

    assert (step.title, step.data, step.after) == ("from_the_future", "{}", "")
    assert state_of([entry("from_the_future", {})]) == "unknown"


def test_usage_is_that_of_the_settlement() -> None:
    lines = [{"model": "m", "input_tokens": 3}, {"input_tokens": 4, "output_tokens": True}, "odd"]

    assert usage_of([entry("settle", {"usage": lines})]) == {"input tokens": 7}
    assert usage_of([entry("receipt", {"usage": lines})]) == {}


def test_amounts_stand_on_one_scale() -> None:
    steps = money_steps({"quoted": 4 * USD, "settled": USD, "receipted": None})

    assert [(step.name, step.nano_usd) for step in steps] == [
        ("quoted", 4 * USD),
        ("settled", USD),
    ]
    assert 'class="settled" width="250"' in steps[1].bar


async def test_a_call_that_no_budget_counts_has_a_life_too(browser: Browser, world: World) -> None:
    data = json.dumps({"team": "research", "model": "free"})
    await world.ledger.reserve("call_free", [], data=data, admission=Admission.DECIDE)
    await world.archive()
    await browser.sign_in()

    answer = await browser.get("/calls/call_free")

    assert answer.status == 200
    assert "No budget counts this call." in answer.text


async def test_a_viewer_of_a_team_sees_nothing_of_budgets_of_all_teams(
    new_browser: Enter, world: World, story: Story
) -> None:
    call_id = await whole(story)
    await world.archive()
    viewer, admin = await new_browser(), await new_browser()
    await viewer.sign_in(RESEARCHER)
    await admin.sign_in()

    own = (await viewer.get(f"/calls/{call_id}")).text
    everything = (await admin.get(f"/calls/{call_id}")).text
    entries = (await viewer.get("/audit")).text

    # How a budget of all teams stands tells what the others spend.
    for name in ("company", "opus-tokens"):
        assert f"{name}:" in everything
        assert name not in own
        assert name not in entries
    assert "research-each:" in own
