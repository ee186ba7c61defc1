"""Calls in pages: filtered by the address, nobody else's, and errors beside the form."""

from __future__ import annotations

import re

import pytest

from proxy.dashboard.calls import PER_PAGE
from tests.proxy.dashboard.story import Story
from tests.proxy.dashboard.world import Browser, World

ALICE = ("research", "alice", "key_alice000000000")
KIM = ("interns", "kim", "key_interns0000000")


def shown(text: str) -> list[str]:
    return re.findall(r'<tr data-call="([^"]+)"', text)


async def test_pages_hold_every_call_once(browser: Browser, world: World, story: Story) -> None:
    told = [(await story.one(caller=ALICE))[1].call_id for _ in range(PER_PAGE + 7)]
    await world.archive()
    await browser.sign_in()

    first = (await browser.get("/calls")).text
    (older,) = re.findall(r'<a href="(/calls\?before=\d+)" rel="next">', first)
    second = (await browser.get(older)).text

    assert [*shown(first), *shown(second)] == list(reversed(told))
    assert 'rel="next"' not in second
    assert '<a href="/calls">Newest</a>' in second
    # What comes in is newer than any older page.
    assert "data-live=" in first
    assert "data-live=" not in second


async def test_filters_are_in_the_address_and_stay_in_the_form(
    browser: Browser, world: World, story: Story
) -> None:
    for _ in range(3):
        await story.one(caller=ALICE, model="openai/gpt-5-mini")
    _, kims = await story.one(caller=KIM, model="google/gemini-3-pro")
    await world.archive()
    await browser.sign_in()

    text = (await browser.get("/calls?team=interns&model=*gemini*&since=1d")).text

    assert shown(text) == [kims.call_id]
    assert 'value="*gemini*"' in text
    assert 'value="interns"' in text
    assert "/calls/live?team=interns&amp;model=%2Agemini%2A&amp;since=1d" in text


@pytest.mark.parametrize(
    "query", ["since=tomorrow", "state=odd", "before=x", "since=2026-11-24&until=2026-11-01"]
)
async def test_a_filter_that_makes_no_sense_is_said_beside_the_form(
    browser: Browser, query: str
) -> None:
    await browser.sign_in()

    answer = await browser.get(f"/calls?{query}")

    assert answer.status == 400
    assert 'role="alert"' in answer.text
    assert 'action="/calls"' in answer.text


async def test_nothing_found_says_what_to_do(browser: Browser) -> None:
    await browser.sign_in()

    assert "No call has come in yet." in (await browser.get("/calls")).text
    assert "No call is like that." in (await browser.get("/calls?team=nobody")).text
