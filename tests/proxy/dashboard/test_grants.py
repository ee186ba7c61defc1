"""Raising a budget by a form: once, with a reason, and in the journal with who and from where."""

from __future__ import annotations

from typing import Any

import pytest

from tests.proxy.dashboard.story import HTML, USD, Story
from tests.proxy.dashboard.world import Browser, World

FORM = {"amount": "50", "for": "3d", "reason": "Quarter-end"}


async def raised(browser: Browser, page: str, fields: dict[str, str]) -> Any:
    action = page.partition("?")[0] + "/grants"
    return await browser.send(page, action, fields)


async def test_a_raise_counts_and_is_shown(browser: Browser, world: World) -> None:
    await browser.sign_in()

    answer = await raised(browser, "/budgets/company", FORM)
    page = await browser.get("/budgets/company?done=granted")
    overview = await browser.get("/")

    assert (answer.status, answer.headers["Location"]) == (303, "/budgets/company?done=granted")
    assert "$1,450.00" in page.text
    assert "Quarter-end" in page.text
    assert "Raised. Every worker knows within a second." in page.text
    assert "raised by" in overview.text
    (act,) = await world.acts("grant_made")
    assert (act["actor"], act["from"], act["amount"]) == ("ada", "127.0.0.1", 50 * USD)


async def test_the_same_form_raises_once(browser: Browser, world: World) -> None:
    await browser.sign_in()
    page = await browser.get("/budgets/company")
    action = "/budgets/company/grants"
    hidden = {name: page.hidden(name, action) for name in ("csrf", "form", "back")}

    for _ in range(2):
        assert (await browser.post(action, {**FORM, **hidden})).status == 303

    assert len(await world.acts("grant_made")) == 1


async def test_a_raise_can_be_ended(browser: Browser, world: World) -> None:
    await browser.sign_in()
    await raised(browser, "/budgets/company", FORM)
    (grant,) = await world.services.grants.list()

    answer = await browser.send("/budgets/company", f"/budgets/company/grants/{grant.id}/end", {})
    page = await browser.get("/budgets/company")

    assert answer.status == 303
    assert "$1,400.00" in page.text
    assert 'class="state ended"' in page.text
    assert [act["actor"] for act in await world.acts("grant_ended")] == ["ada"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"amount": ""}, "write by how much"),
        ({"amount": "0"}, "raises nothing"),
        ({"amount": "-5"}, "negative"),
        ({"amount": "50 tokens"}, "counts USD"),
        ({"amount": "6e-7"}, "not an amount"),
        ({"amount": "NaN"}, "not an amount"),
        ({"amount": "9" * 40}, "too large"),
        ({"for": "soon"}, "not a duration"),
        ({"for": "400d"}, "366 days"),
        ({"reason": ""}, "reason"),
        ({"reason": "a\nb\x00"}, "reason"),
    ],
)
async def test_a_mistake_is_said_beside_the_form_and_what_was_written_stays(
    browser: Browser, world: World, fields: dict[str, str], said: str
) -> None:
    await browser.sign_in()

    answer = await raised(browser, "/budgets/company", {**FORM, **fields})

    assert answer.status == 400
    assert said in answer.text
    assert 'role="alert"' in answer.text
    kept = {**FORM, **fields}
    if kept["for"] == "3d":
        assert 'value="3d"' in answer.text
    assert await world.services.grants.list() == []


@pytest.mark.parametrize(("amount", "nano"), [("1.5k", 1_500 * USD), ("$20", 20 * USD)])
async def test_an_amount_may_be_written_as_people_do(
    browser: Browser, world: World, amount: str, nano: int
) -> None:
    await browser.sign_in()

    await raised(browser, "/budgets/company", {**FORM, "amount": amount})

    assert [grant.amount for grant in await world.services.grants.list()] == [nano]


async def test_one_subject_or_each_of_them_is_raised(
    browser: Browser, world: World, story: Story
) -> None:
    await story.one(caller=("research", "alice", "k"))
    await browser.sign_in()

    one = await raised(browser, "/budgets/research-each?subject=alice", FORM)
    each = await raised(browser, "/budgets/research-each", {**FORM, "subject": "*"})
    nobody = await raised(browser, "/budgets/research-each", {**FORM, "subject": " "})

    assert one.headers["Location"] == "/budgets/research-each?done=granted&subject=alice"
    assert each.status == 303
    assert nobody.status == 400
    assert {grant.subject for grant in await world.services.grants.list()} == {"alice", None}


async def test_markup_in_a_reason_is_shown_as_text(browser: Browser) -> None:
    await browser.sign_in()

    await raised(browser, "/budgets/company", {**FORM, "reason": HTML})
    text = (await browser.get("/budgets/company")).text

    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


async def test_a_grant_of_another_budget_is_not_found(browser: Browser, world: World) -> None:
    await browser.sign_in()
    await raised(browser, "/budgets/company", FORM)
    (grant,) = await world.services.grants.list()
    own = (await browser.get("/")).hidden("csrf")

    for path in (f"/budgets/trial/grants/{grant.id}/end", "/budgets/company/grants/nope/end"):
        assert (await browser.post(path, {"csrf": own})).status == 404
    assert (await world.services.grants.list())[0].ended_ms is None
