"""The dashboard as a part of the admin plane."""

from __future__ import annotations

from tests.proxy.dashboard.story import HTML, Story
from tests.proxy.dashboard.world import RESEARCHER, Browser, World

PAGES = (
    "/",
    "/?by=provider",
    "/?by=model",
    "/?by=nonsense",
    "/budgets/company",
    "/budgets/research-each",
    "/budgets/research-each?subject=alice",
    "/budgets/opus-tokens",
    "/budgets/trial",
    "/calls",
    "/receipts",
    "/wallets",
    "/keys",
    "/audit",
)


async def test_every_page_shows_a_month(browser: Browser, world: World, story: Story) -> None:
    await story.month(40)
    await world.archive()
    await browser.sign_in()

    for path in PAGES:
        answer = await browser.get(path)

        assert answer.status == 200, path
        assert "<script>alert" not in answer.text, path
        assert "style=" not in answer.text, path
    assert world.logs == []


async def test_every_page_shows_that_there_is_nothing_yet(browser: Browser, world: World) -> None:
    world.receipts.rows, world.wallets.rows = (), ()
    await browser.sign_in()

    for path in PAGES:
        answer = await browser.get(path)

        assert answer.status == 200, path
    for path in ("/", "/budgets/company", "/calls", "/receipts", "/wallets", "/keys"):
        assert 'class="empty"' in (await browser.get(path)).text, path


async def test_a_viewer_of_a_team_sees_no_other_team_anywhere(
    browser: Browser, world: World, story: Story
) -> None:
    await story.month(60)
    await world.services.keys.create("support", None, "support key")
    await world.archive()
    await browser.sign_in(RESEARCHER)

    for path in ("/", "/calls", "/keys", "/audit", "/budgets/research"):
        text = (await browser.get(path)).text

        for other in ("support", "interns", "kim", "script&gt;"):
            assert other not in text, (path, other)
    for path in ("/budgets/company", "/budgets/trial", "/budgets/opus-tokens"):
        assert (await browser.get(path)).status == 404, path


async def test_a_team_whose_name_is_markup_sees_its_own(
    browser: Browser, world: World, story: Story
) -> None:
    for _ in range(3):
        await story.one(caller=(HTML, None, "key_html0000000000"))
    await world.archive()
    await browser.sign_in("html-token")

    text = (await browser.get("/calls")).text

    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 3
    assert "<script>alert" not in text
