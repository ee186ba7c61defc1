"""Signing in and out: only with a token, only by our own form, and all of it in the journal."""

from __future__ import annotations

import pytest

from proxy.admin.attempts import ADDRESS_TRIES
from proxy.dashboard.dashboard import Dashboard
from proxy.dashboard.gate import COOKIE
from tests.doubles.fake_clock import FakeClock
from tests.proxy.dashboard.conftest import Enter
from tests.proxy.dashboard.world import ADMIN, Browser, World, without_tokens


async def test_a_token_opens_a_session(browser: Browser, world: World) -> None:
    answer = await browser.sign_in(wanted="/calls%3Fteam=red")

    assert (answer.status, answer.headers["Location"]) == (303, "/calls?team=red")
    (cookie,) = [text for text in answer.cookies if text.startswith(COOKIE)]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Path=/" in cookie
    assert (await browser.get("/")).status == 200
    assert await world.acts("signed_in") == [
        {"actor": "ada", "from": "127.0.0.1", "by": "dashboard"}
    ]


@pytest.mark.parametrize(
    ("token", "said", "why"),
    [
        ("wrong", "This token is not known.", "unknown"),
        ("", "This token is not known.", "unknown"),
        ("old-token", "This token has expired.", "expired"),
    ],
)
async def test_another_token_opens_nothing(
    browser: Browser, world: World, token: str, said: str, why: str
) -> None:
    answer = await browser.sign_in(token)

    assert answer.status == 401
    assert said in answer.text
    assert token == "" or token not in answer.text
    assert (await browser.get("/")).status == 303
    (act,) = await world.acts("sign_in_failed")
    assert (act["actor"], act["from"], act["why"]) == (None, "127.0.0.1", why)


async def test_guessing_is_stopped_and_a_right_token_waits_too(
    browser: Browser, world: World, clock: FakeClock
) -> None:
    for _ in range(ADDRESS_TRIES):
        await browser.sign_in("wrong")

    stopped = await browser.sign_in(ADMIN)
    clock.advance(int(stopped.headers["Retry-After"]) * 1_000)
    later = await browser.sign_in(ADMIN)

    assert stopped.status == 429
    assert "Too many wrong tokens" in stopped.text
    assert later.status == 303
    assert len(await world.acts("sign_in_failed")) == ADDRESS_TRIES


async def test_a_form_from_elsewhere_signs_nobody_in(browser: Browser) -> None:
    form = await browser.get("/sign-in")
    right = {"csrf": form.hidden("csrf"), "token": ADMIN}

    foreign = await browser.post("/sign-in", right, {"Sec-Fetch-Site": "cross-site"})
    other_origin = await browser.post("/sign-in", right, {"Origin": "https://evil.example"})
    without = await browser.post("/sign-in", {"token": ADMIN})

    assert [foreign.status, other_origin.status, without.status] == [403, 403, 403]


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "/\\evil.example", "https://evil.example", "", "/a\nb"]
)
async def test_signing_in_never_leads_to_another_site(browser: Browser, wanted: str) -> None:
    form = await browser.get("/sign-in")
    fields = {"csrf": form.hidden("csrf"), "token": ADMIN, "next": wanted}

    answer = await browser.post("/sign-in", fields)

    assert answer.headers["Location"] == "/"


async def test_whoever_is_not_signed_in_comes_back_to_where_they_wanted(browser: Browser) -> None:
    answer = await browser.get("/calls?team=red&user=a%26b")

    assert answer.status == 303
    assert answer.headers["Location"] == "/sign-in?next=%2Fcalls%3Fteam%3Dred%26user%3Da%2526b"


async def test_signing_out_ends_the_session_everywhere(
    browser: Browser, new_browser: Enter, world: World
) -> None:
    await browser.sign_in()
    (cookie,) = [each for each in browser.client.session.cookie_jar if each.key == COOKIE]
    stolen = await new_browser()

    left = await browser.send("/", "/sign-out", {})
    answer = await stolen.get("/", Cookie=f"{COOKIE}={cookie.value}")

    assert (left.status, left.headers["Location"]) == (303, "/sign-in")
    assert answer.status == 303
    assert [act["actor"] for act in await world.acts("signed_out")] == ["ada"]


async def test_a_viewer_can_sign_out(browser: Browser) -> None:
    await browser.sign_in("viewer-token")

    assert (await browser.send("/", "/sign-out", {})).status == 303
    assert (await browser.get("/")).status == 303


async def test_without_tokens_the_dashboard_says_that_it_is_closed(world: World) -> None:
    from aiohttp import web  # noqa: PLC0415 - here alone.
    from aiohttp.test_utils import TestClient, TestServer  # noqa: PLC0415 - here alone.

    application = web.Application()
    Dashboard(without_tokens(world), world.services.clock).add_to(application)  # type: ignore[arg-type]  # Nothing is logged here.

    async with TestClient(TestServer(application)) as client:
        answer = await Browser(client).get("/sign-in")

    assert answer.status == 403
    assert "No token is configured" in answer.text
