"""The audit log: searched, verified, taken away, and all of that by those who may."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import text as sql

from proxy.archive.chain import ChainedEntry
from proxy.dashboard.audit import row_of
from tests.doubles.fake_clock import NOON_MS
from tests.proxy.dashboard.conftest import Enter
from tests.proxy.dashboard.story import HTML, Story
from tests.proxy.dashboard.world import RESEARCHER, VIEWER, Browser, World


def act(kind: str, data: Any) -> ChainedEntry:
    return ChainedEntry(
        number=7,
        stream_id="1-0",
        at_ms=NOON_MS,
        version=1,
        kind=kind,
        call_id=None,
        data=data if isinstance(data, str) else json.dumps(data),
        moves="[]",
    )


def everything(name: str) -> bool:
    """See every budget."""
    return bool(name)


async def test_entries_are_searched(browser: Browser, world: World, story: Story) -> None:
    await story.one(caller=("research", "alice", "k"))
    await browser.sign_in()
    await browser.send("/keys", "/keys", {"team": "support", "user": "", "name": "nightly"})
    await world.archive()

    acts = (await browser.get("/audit?acts=1")).text
    keys = (await browser.get("/audit?kind=key_created&actor=ada&since=1d")).text
    nothing = (await browser.get("/audit?kind=key_revoked")).text
    everything = (await browser.get("/audit")).text

    assert "Signed in" in acts
    assert "<td>Admitted</td>" not in acts
    assert "<td>Admitted</td>" in everything
    assert "nightly" in keys
    assert "127.0.0.1" in keys
    assert "No entry is like that." in nothing


@pytest.mark.parametrize("query", ["since=never", "before=x", "call=c&acts=1", "call=c&actor=a"])
async def test_a_filter_that_makes_no_sense_is_said_beside_the_form(
    browser: Browser, query: str
) -> None:
    await browser.sign_in()

    answer = await browser.get(f"/audit?{query}")

    assert answer.status == 400
    assert 'role="alert"' in answer.text


async def test_the_chain_is_verified_and_a_break_is_named(
    browser: Browser, world: World, story: Story
) -> None:
    await story.month(10)
    await browser.sign_in(VIEWER)
    await world.archive()

    whole = await browser.send("/audit", "/audit/verify", {})
    with world.services.database.begin() as connection:
        connection.execute(sql("DROP TRIGGER IF EXISTS entries_update"))
        for (name,) in connection.execute(
            sql("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        ).all():
            connection.execute(sql(f'DROP TRIGGER "{name}"'))
        connection.execute(sql("UPDATE entries SET kind = 'changed' WHERE number = 5"))
    broken = await browser.send("/audit", "/audit/verify", {})

    assert "The chain is whole." in whole.text
    assert "The chain is broken." in broken.text
    assert "At entry 5" in broken.text


async def test_an_export_is_sent_and_journalled(
    browser: Browser, world: World, story: Story
) -> None:
    await story.month(10)
    await world.archive()
    await browser.sign_in()

    calls = await browser.get("/audit/export?format=csv&since=90d")
    journal = await browser.get("/audit/export?format=jsonl")
    odd = await browser.get("/audit/export?format=xml")

    assert calls.status == journal.status == 200
    assert calls.headers["Content-Disposition"].startswith('attachment; filename="bursar-')
    assert len(calls.text.splitlines()) >= 10
    assert all(json.loads(line) for line in journal.text.splitlines())
    assert odd.status == 400
    acts = await world.acts("exported")
    assert [act["actor"] for act in acts] == ["ada", "ada"]


async def test_a_viewer_of_a_team_sees_entries_about_its_calls(
    new_browser: Enter, world: World, story: Story
) -> None:
    await story.one(caller=("research", "alice", "key_a"), model="openai/gpt-5-mini")
    await story.one(caller=("interns", "kim", "key_k"), model="google/gemini-3-pro")
    await world.services.keys.create("support", None, "theirs")
    await world.archive()
    viewer = await new_browser()
    await viewer.sign_in(RESEARCHER)

    text = (await viewer.get("/audit")).text
    csv = (await viewer.get("/audit/export?format=csv")).text
    own = (await viewer.get("/")).hidden("csrf")

    assert "gpt-5-mini" in text
    for other in ("gemini", "kim", "theirs", "Signed in", "entries, the last"):
        assert other not in text
    assert "gpt-5-mini" in csv
    assert "gemini" not in csv
    assert (await viewer.get("/audit/export?format=jsonl")).status == 403
    assert (await viewer.post("/audit/verify", {"csrf": own})).status == 403


def test_an_act_says_who_did_what_from_where() -> None:
    row = row_of(
        act("grant_made", {"actor": "ada", "from": "cli", "budget": "b", "reason": "r"}), everything
    )

    assert (row.title, row.actor, row.origin, row.said) == ("Budget raised", "ada", "cli", "b · r")


def test_an_entry_that_cannot_be_read_is_shown_as_it_is() -> None:
    assert row_of(act("odd", "not json"), everything).data == "not json"
    assert row_of(act("odd", {"actor": HTML}), everything).actor == HTML
    assert len(row_of(act("odd", {"x": "y" * 100_000}), everything).data) < 21_000


def test_an_alert_says_what_it_told() -> None:
    assert (
        row_of(act("alert", {"text": "budget b is used up"}), everything).said
        == "budget b is used up"
    )
