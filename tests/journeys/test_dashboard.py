"""The dashboard in a real Chromium: every page, on a desk and on a phone, by mouse and by keyboard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from policies.clock import SystemClock
from policies.ledger.connection import Connection
from policies.ledger.redis_ledger import RedisLedger
from proxy.archive.database import Database
from tests.doubles.archived import sqlite_database
from tests.doubles.fake_clock import FakeClock
from tests.doubles.waiting import until
from tests.proxy.dashboard.chromium import Visitor, chromium, visiting
from tests.proxy.dashboard.story import HTML, MODELS, Story, rules
from tests.proxy.dashboard.world import RESEARCHER, VIEWER, World, make_world

CALLS = 250
ALICE = ("research", "alice", "key_alice000000000")
PAGES = (
    "/",
    "/?by=model",
    "/budgets/company",
    "/budgets/research-each",
    "/budgets/research-each?subject=alice",
    "/budgets/opus-tokens",
    "/budgets/interns",
    "/calls",
    "/receipts",
    "/wallets",
    "/keys",
    "/audit",
)
Visit = Callable[..., AbstractAsyncContextManager[Visitor]]


@pytest.fixture
def database(tmp_path: Path) -> Any:
    made = sqlite_database(tmp_path)
    yield made
    made.close()


@pytest.fixture
async def world(
    redis_ledger: RedisLedger,
    connection: Connection,
    clock: FakeClock,
    organization: str,
    database: Database,
) -> AsyncIterator[World]:
    """A month of an organisation, and a few keys."""
    rulebook = rules(organization)
    made = make_world(
        ledger=redis_ledger,
        commands=connection,
        clock=clock,
        database=database,
        rulebook=lambda: rulebook,
    )
    yield made
    await made.plane.close()


@pytest.fixture
def story(world: World, clock: FakeClock) -> Story:
    return Story(world.ledger, clock, world.services.rulebook())


@pytest.fixture
async def visit(world: World) -> AsyncIterator[Visit]:
    """Opens windows in one browser."""
    port = await world.plane.listen("127.0.0.1", 0)
    async with chromium() as browser:

        def opened(**look: Any) -> AbstractAsyncContextManager[Visitor]:
            return visiting(browser, world, port, **look)

        yield opened


async def month(world: World, story: Story) -> None:
    await story.month(CALLS)
    await world.services.keys.create(HTML, None, HTML)
    await world.services.keys.create("research", "alice", "a name " + "that goes on " * 8)
    await world.archive()


async def linked(visitor: Visitor) -> list[str]:
    """Return the pages of one call and of one key."""
    found = []
    for path in ("/calls?state=receipted", "/keys"):
        await visitor.go(path)
        found.append(await visitor.page.locator("tbody a").first.get_attribute("href") or "")
    return found


@pytest.mark.parametrize(
    "look", [{}, {"dark": True}, {"width": 360}], ids=["light", "dark", "phone"]
)
async def test_every_page_is_shown_without_a_fault_and_without_asking_anybody_else(
    world: World, story: Story, visit: Visit, look: dict[str, Any]
) -> None:
    await month(world, story)

    async with visit(**look) as visitor:
        await visitor.sign_in()
        for path in [*PAGES, *await linked(visitor)]:
            await visitor.go(path)

            assert await visitor.page.locator("h1").count() == 1, path
            assert await visitor.width() <= look.get("width", 1280), path
            assert await visitor.page.locator("script:not([src])").count() == 0, path
        assert visitor.faults == []


async def test_long_names_and_huge_amounts_fit_a_phone(
    world: World, story: Story, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = "a-model-with-a-name-that-never-ends" * 6
    monkeypatch.setitem(MODELS, long, ("agipower", 900_000, 4_000_000))
    reservation, call = await story.one(caller=("support", None, "key_" + "x" * 200), model=long)
    await story.one(caller=("support", None, "key_" + "x" * 200), model="openai/gpt-5-mini")
    del reservation
    await world.archive()

    async with visit(width=360) as visitor:
        await visitor.sign_in()
        pages = ("/", "/?by=model", "/calls", "/audit", "/budgets/trial", "/budgets/company")
        for path in (*pages, f"/calls/{call.call_id}"):
            await visitor.go(path)

            assert await visitor.width() <= 360, path
        assert visitor.faults == []


async def test_markup_in_a_name_is_shown_as_text(world: World, story: Story, visit: Visit) -> None:
    for _ in range(3):
        await story.one(caller=(HTML, None, "key_html0000000000"))
    await world.archive()

    async with visit() as visitor:
        await visitor.sign_in()
        await visitor.go("/calls")

        assert await visitor.page.locator(f"td:has-text('{HTML}')").count() == 3
        assert visitor.faults == []


async def test_only_a_right_token_signs_in(visit: Visit) -> None:
    async with visit() as visitor:
        await visitor.go("/calls")
        await visitor.page.fill("input[name=token]", "wrong")
        await visitor.page.keyboard.press("Enter")
        said = await visitor.page.locator("[role=alert]").text_content()
        await visitor.page.fill("input[name=token]", "root-token")
        await visitor.page.keyboard.press("Enter")
        await visitor.page.wait_for_url(f"{visitor.base}/calls")

        assert said is not None
        assert "This token is not known." in said
        # The browser itself notes the status of the answer to a wrong token.
        assert len(visitor.faults) == 1
        assert "401" in visitor.faults[0]


async def test_everything_can_be_reached_by_keyboard_alone(visit: Visit) -> None:
    async with visit() as visitor:
        page = visitor.page
        await visitor.go("/sign-in")
        # The field has the focus already.
        await page.keyboard.type("root-token")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{visitor.base}/")

        await page.keyboard.press("Tab")
        skip = await page.evaluate("document.activeElement.textContent")
        await page.keyboard.press("Enter")
        inside = await page.evaluate("document.activeElement.id")
        await page.keyboard.press("Tab")
        ring = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")

        assert skip == "Skip to the content"
        assert inside == "content"
        assert ring == "solid"
        assert visitor.faults == []


async def test_a_raise_is_granted_and_seen(world: World, visit: Visit) -> None:
    async with visit() as visitor:
        page = visitor.page
        await visitor.sign_in(wanted="/budgets/company")
        await page.fill("input[name=amount]", "250")
        await page.fill("input[name=for]", "2d")
        await page.fill("input[name=reason]", "Quarter-end evaluation")
        await page.click("button:has-text('Raise the limit')")
        await page.wait_for_url(f"{visitor.base}/budgets/company?done=granted")

        assert await page.locator("dd:has-text('$1,650.00')").count() == 2  # Limit, and left.
        assert await page.locator("td.name:has-text('Quarter-end evaluation')").count() == 1

        await page.click("button:has-text('End')")
        await page.wait_for_url(f"{visitor.base}/budgets/company?done=ended")
        assert await page.locator("dd:has-text('$1,400.00')").count() >= 1
        assert visitor.faults == []
    assert [act["actor"] for act in await world.acts("grant_made")] == ["ada"]


async def test_a_key_is_made_and_its_secret_shown_once(world: World, visit: Visit) -> None:
    async with visit() as visitor:
        page = visitor.page
        await visitor.sign_in(wanted="/keys")
        await page.select_option("form[method=post] select[name=team]", "support")
        await page.fill("input[name=name]", "nightly")
        await page.click("button:has-text('Make the key')")
        secret = await page.locator("#secret").text_content()
        await page.click("a:has-text('to the key')")
        await page.locator("#secret").wait_for(state="detached")

        assert secret is not None
        assert secret.startswith("bsr_")
        assert secret not in await page.content()
        assert visitor.faults == []
    assert [record.name for record in await world.services.keys.list()] == ["nightly"]


async def test_the_chain_is_verified_on_the_page(world: World, story: Story, visit: Visit) -> None:
    await story.month(20)
    await world.archive()

    async with visit() as visitor:
        await visitor.sign_in(wanted="/audit")
        await visitor.page.click("button:has-text('Verify the chain')")

        await visitor.page.locator("[role=status]:has-text('The chain is whole.')").wait_for()
        assert visitor.faults == []


async def test_an_export_is_downloaded(world: World, story: Story, visit: Visit) -> None:
    await story.month(20)
    await world.archive()

    async with visit() as visitor:
        await visitor.sign_in(wanted="/audit")
        async with visitor.page.expect_download() as download:
            await visitor.page.click("a:has-text('Calls as CSV')")
        saved = await (await download.value).path()

        assert len(Path(saved).read_text().splitlines()) > 10


async def test_a_theme_that_was_chosen_stays(visit: Visit) -> None:
    async with visit() as visitor:
        page = visitor.page
        await visitor.sign_in()
        light = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        await page.click("button:has-text('Dark theme')")
        dark = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        await visitor.go("/calls")

        assert light != dark
        assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
        assert visitor.faults == []


async def test_a_viewer_sees_no_form_and_a_viewer_of_a_team_no_other_team(
    world: World, story: Story, visit: Visit
) -> None:
    await month(world, story)

    async with visit() as visitor:
        await visitor.sign_in(VIEWER)
        for path in ("/", "/budgets/company", "/receipts", "/keys", *await linked(visitor)):
            await visitor.go(path)

            forms = visitor.page.locator("main form[method=post]")
            assert await forms.count() == 0, path
        assert visitor.faults == []
    async with visit() as visitor:
        await visitor.sign_in(RESEARCHER)
        for path in ("/", "/calls", "/keys", "/audit", "/budgets/research"):
            await visitor.go(path)

            text = await visitor.page.locator("body").text_content() or ""
            for other in ("support", "interns", "kim", HTML):
                assert other not in text, (path, other)
        assert visitor.faults == []


async def test_pages_work_without_scripts(world: World, story: Story, visit: Visit) -> None:
    await story.month(20)
    await world.archive()

    async with visit(scripts=False) as visitor:
        await visitor.sign_in()
        for path in PAGES:
            await visitor.go(path)

            assert await visitor.page.locator("h1").count() == 1, path
        await visitor.go("/calls")
        # What cannot work without a script is not offered.
        assert not await visitor.page.locator("[data-live-button]").is_visible()
        assert await visitor.page.locator("tbody tr").count() > 10


class RealTime(SystemClock):
    """The journal's own time, which a story cannot move."""

    def advance(self, milliseconds: int) -> None:
        """Time goes by itself."""


@pytest.fixture
async def live_world(
    connection: Connection, organization: str, database: Database
) -> AsyncIterator[World]:
    rulebook = rules(organization)
    clock = RealTime()
    made = make_world(
        ledger=RedisLedger(connection, organization, clock),
        commands=connection,
        clock=clock,
        database=database,
        rulebook=lambda: rulebook,
    )
    yield made
    await made.plane.close()


async def test_calls_are_followed_as_they_come_in(live_world: World) -> None:
    world = live_world
    story = Story(world.ledger, RealTime(), world.services.rulebook())  # type: ignore[arg-type]  # It does not move.
    port = await world.plane.listen("127.0.0.1", 0)
    async with chromium() as browser, visiting(browser, world, port) as visitor:
        page = visitor.page
        await visitor.sign_in(wanted="/calls?team=research")
        await page.click("button:has-text('Follow live')")
        await page.wait_for_selector("[data-live-status]:has-text('Live')")

        reservation, call = await story.one(caller=ALICE, ends=False)
        row = page.locator(f"tr[data-call='{call.call_id}']")
        await row.wait_for()
        first = await row.text_content() or ""
        await page.click("button:has-text('Pause')")
        _, unseen = await story.one(caller=ALICE, ends=False)
        await until(lambda: len(world.dashboard._tail) == 0)

        assert reservation is None
        assert "reserved" in first
        assert "alice" in first
        assert await page.locator(f"tr[data-call='{unseen.call_id}']").count() == 0
        await row.locator("a").click()
        assert await page.locator("h1").text_content() == call.model
        assert visitor.faults == []
