"""Keys: found among thousands, made once, shown once, and ended only when that is meant."""

from __future__ import annotations

import json
import re

import pytest

from proxy.dashboard.keys import PER_PAGE
from tests.doubles.fake_clock import FakeClock
from tests.proxy.dashboard.conftest import Enter
from tests.proxy.dashboard.story import HTML
from tests.proxy.dashboard.world import RESEARCHER, Browser, World

MANY = 10_000


async def test_a_secret_is_shown_once(browser: Browser, world: World) -> None:
    await browser.sign_in()

    made = await browser.send("/keys", "/keys", {"team": "research", "user": "alice", "name": "x"})
    (record,) = await world.services.keys.list()
    later = await browser.get(f"/keys/{record.id}")

    secret = re.search(r'id="secret">(bsr_\w+)<', made.text)
    assert made.status == 200
    assert secret is not None
    assert secret[1].startswith(record.prefix)
    assert secret[1] not in later.text
    acts = await world.acts("key_created")
    assert [(act["actor"], act["from"]) for act in acts] == [("ada", "127.0.0.1")]
    assert secret[1] not in json.dumps(acts)


async def test_a_page_that_is_loaded_again_makes_no_second_key(
    browser: Browser, world: World
) -> None:
    await browser.sign_in()
    page = await browser.get("/keys")
    form = page.text[page.text.index('method="post" action="/keys"') :]
    hidden = dict(re.findall(r'name="(csrf|form)" value="([^"]*)"', form))
    fields = {**hidden, "team": "support"}

    first = await browser.post("/keys", fields)
    second = await browser.post("/keys", fields)

    assert (first.status, second.status) == (200, 409)
    assert "Sent before" in second.text
    assert len(await world.services.keys.list()) == 1


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"team": "nobody"}, "is not a team"),
        ({"team": "research", "user": "kim"}, "is not in team"),
        ({"team": "research", "expires": "soon"}, "not a duration"),
        ({"team": "research", "expires": "0d"}, "expired already"),
        ({"team": "research", "name": "x" * 500}, "128"),
    ],
)
async def test_a_mistake_is_said_beside_the_form(
    browser: Browser, world: World, fields: dict[str, str], said: str
) -> None:
    await browser.sign_in()

    answer = await browser.send("/keys", "/keys", {"user": "", "name": "", **fields})

    assert answer.status == 400
    assert said in answer.text
    assert await world.services.keys.list() == []


async def test_ten_thousand_keys_are_searched_and_paged(browser: Browser, world: World) -> None:
    rows: list[str | bytes] = []
    for number in range(MANY):
        record = {
            "id": f"key_{number:016d}",
            "team": "support" if number % 2 else "research",
            "created_at_ms": 1_700_000_000_000 + number,
            "prefix": "bsr_abcdef",
            "name": f"service {number}",
        }
        rows += [f"{number:064x}", json.dumps(record)]
    keys = world.ledger.keys
    for at in range(0, len(rows), 2_000):
        await world.commands.execute("HSET", keys.callers, *rows[at : at + 2_000])
    await world.commands.execute("INCR", keys.callers_version)
    await browser.sign_in()

    first = (await browser.get("/keys")).text
    last = (await browser.get(f"/keys?page={MANY // PER_PAGE}")).text
    beyond = (await browser.get("/keys?page=999999")).text
    found = (await browser.get("/keys?q=SERVICE+4711&team=support")).text

    assert "1 to 50 of 10,000, the newest first" in first
    assert "service 9999" in first
    assert "/keys?page=2" in first
    assert "service 0<" in last
    assert "There is no key yet." in beyond or "No key is like that." in beyond
    assert "1 to 1 of 1" in found
    assert "key_0000000000004711" in found


async def test_states_are_told_and_can_be_asked_for(
    browser: Browser, world: World, clock: FakeClock
) -> None:
    await world.services.keys.create("support", None, "living")
    await world.services.keys.create("support", None, "over", clock.now_ms() + 1_000)
    gone, _ = await world.services.keys.create("support", None, "gone")
    await world.services.keys.revoke(gone.id)
    clock.advance(2_000)
    await browser.sign_in()

    names = {
        state: re.findall(
            r">(living|over|gone)</a>", (await browser.get(f"/keys?state={state}")).text
        )
        for state in ("active", "expired", "revoked")
    }

    assert names == {"active": ["living"], "expired": ["over"], "revoked": ["gone"]}


async def test_a_key_gets_a_new_secret(browser: Browser, world: World) -> None:
    record, old = await world.services.keys.create("support", None, "service")
    await browser.sign_in()

    answer = await browser.send(f"/keys/{record.id}", f"/keys/{record.id}/rotate", {"grace": "1h"})
    odd = await browser.send(f"/keys/{record.id}", f"/keys/{record.id}/rotate", {"grace": "1 eon"})

    secret = re.search(r'id="secret">(bsr_\w+)<', answer.text)
    assert secret is not None
    assert secret[1] != old
    assert odd.status == 400
    assert "not a duration" in odd.text
    assert [act["actor"] for act in await world.acts("key_rotated")] == ["ada"]


async def test_a_key_is_revoked_when_that_is_meant(browser: Browser, world: World) -> None:
    record, _ = await world.services.keys.create("support", None, "service")
    await browser.sign_in()
    action = f"/keys/{record.id}/revoke"

    unsure = await browser.send(f"/keys/{record.id}", action, {})
    sure = await browser.send(f"/keys/{record.id}", action, {"sure": "yes"})
    page = (await browser.get(sure.headers["Location"])).text

    assert unsure.status == 400
    assert "Nothing was revoked" in unsure.text
    assert sure.status == 303
    assert 'class="state revoked"' in page
    assert "/revoke" not in page
    assert [act["actor"] for act in await world.acts("key_revoked")] == ["ada"]


async def test_a_key_that_somebody_else_changed_meanwhile_stays_as_it_is(
    browser: Browser, world: World
) -> None:
    record, _ = await world.services.keys.create("support", None, "service")
    await browser.sign_in()
    page = await browser.get(f"/keys/{record.id}")
    action = f"/keys/{record.id}/revoke"
    fields = {name: page.hidden(name, action) for name in ("csrf", "seen")}
    await world.services.keys.rotate(record.id, 0)

    answer = await browser.post(action, {**fields, "sure": "yes"})

    assert answer.status == 409
    assert "Changed meanwhile" in answer.text
    assert [each.revoked_at_ms for each in await world.services.keys.list()] == [None]


async def test_a_viewer_of_a_team_sees_its_keys_alone(new_browser: Enter, world: World) -> None:
    own, _ = await world.services.keys.create("research", "alice", "ours")
    others, _ = await world.services.keys.create(HTML, None, "theirs")
    viewer = await new_browser()
    await viewer.sign_in(RESEARCHER)

    text = (await viewer.get("/keys")).text

    assert "ours" in text
    assert "theirs" not in text
    assert (await viewer.get(f"/keys/{own.id}")).status == 200
    assert (await viewer.get(f"/keys/{others.id}")).status == 404
