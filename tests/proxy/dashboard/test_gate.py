"""The way to every page: who may see and do what, and errors that are pages."""

from __future__ import annotations

import pytest

from policies.errors import LedgerUnavailable
from proxy.archive.database import ArchiveUnavailable
from proxy.dashboard.gate import COOKIE
from tests.proxy.dashboard.conftest import Enter
from tests.proxy.dashboard.world import ADMIN, RESEARCHER, VIEWER, Browser, World

ACTIONS = (
    "/budgets/company/grants",
    "/budgets/company/grants/grant_1/end",
    "/receipts/run",
    "/keys",
    "/keys/key_1/rotate",
    "/keys/key_1/revoke",
    "/audit/verify",
    "/sign-out",
)
PAGES = ("/", "/budgets/company", "/calls", "/receipts", "/wallets", "/keys", "/audit")


async def test_every_page_is_for_those_who_are_signed_in(browser: Browser) -> None:
    for path in (*PAGES, "/calls/live", "/calls/call_1", "/keys/key_1", "/audit/export", "/nope"):
        answer = await browser.get(path)

        assert answer.status == 303, path
        assert answer.headers["Location"].startswith("/sign-in")


async def test_every_answer_carries_the_headers(browser: Browser) -> None:
    await browser.sign_in()

    for path in (*PAGES, "/sign-in", "/nope", "/calls?state=odd"):
        headers = (await browser.get(path)).headers

        assert headers["Content-Security-Policy"].startswith("default-src 'none'"), path
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ACTIONS)
async def test_nothing_is_done_without_the_sessions_own_form(
    browser: Browser, new_browser: Enter, path: str
) -> None:
    await browser.sign_in()
    other = await new_browser()
    await other.sign_in()
    own = (await browser.get("/")).hidden("csrf")
    others = (await other.get("/")).hidden("csrf")

    without = await browser.post(path, {})
    with_others = await browser.post(path, {"csrf": others})
    from_elsewhere = await browser.post(path, {"csrf": own}, {"Sec-Fetch-Site": "cross-site"})
    anonymous = await (await new_browser()).post(path, {"csrf": own})

    statuses = [each.status for each in (without, with_others, from_elsewhere)]
    assert statuses == [403, 403, 403]
    assert anonymous.status == 303


@pytest.mark.parametrize("path", ACTIONS[:6])
async def test_a_viewer_changes_nothing(browser: Browser, path: str) -> None:
    await browser.sign_in(VIEWER)
    own = (await browser.get("/")).hidden("csrf")

    answer = await browser.post(path, {"csrf": own})

    assert answer.status == 403
    assert "Viewers change nothing" in answer.text


@pytest.mark.parametrize("path", PAGES)
async def test_a_viewer_sees_no_form_that_changes_something(browser: Browser, path: str) -> None:
    await browser.sign_in(VIEWER)

    text = (await browser.get(path)).text

    forms = [part.split('"')[0] for part in text.split('method="post" action="')[1:]]
    assert set(forms) <= {"/sign-out", "/audit/verify"}


async def test_a_viewer_of_a_team_sees_no_page_of_all_teams(browser: Browser) -> None:
    await browser.sign_in(RESEARCHER)

    for path in ("/receipts", "/wallets"):
        answer = await browser.get(path)

        assert answer.status == 403
        assert "what other teams spend" in answer.text
    navigation = (await browser.get("/")).text
    assert 'href="/receipts"' not in navigation
    assert 'href="/calls"' in navigation


async def test_a_mistyped_address_is_a_page_and_programs_get_json(browser: Browser) -> None:
    await browser.sign_in()

    page = await browser.get("/nope")
    program = await browser.get("/admin/v1/nope", Authorization=f"Bearer {ADMIN}")
    machine = await browser.get("/healthz")

    assert page.status == 404
    assert "There is no page at /nope" in page.text
    assert program.headers["Content-Type"].startswith("application/json")
    assert machine.status == 200


@pytest.mark.parametrize(
    ("error", "status", "title"),
    [
        (LedgerUnavailable("redis-7.internal"), 503, "The ledger does not answer"),
        (ArchiveUnavailable("pg-3.internal"), 503, "The archive does not answer"),
        (RuntimeError("secret detail"), 500, "This failed"),
    ],
)
async def test_what_fails_is_a_page_that_tells_no_secret(
    browser: Browser, world: World, error: Exception, status: int, title: str
) -> None:
    await browser.sign_in()

    async def status_() -> None:
        raise error

    world.receipts.status = status_  # type: ignore[method-assign,assignment]  # It fails here.
    answer = await browser.get("/receipts")

    assert answer.status == status
    assert title in answer.text
    assert str(error) not in answer.text
    # Only what nobody foresaw is a matter for the log.
    assert [log["event"] for log in world.logs] == ["dashboard_page_failed"] * (status == 500)


async def test_a_huge_form_is_refused(browser: Browser) -> None:
    await browser.sign_in()
    own = (await browser.get("/")).hidden("csrf")

    answer = await browser.post("/keys", {"csrf": own, "name": "x" * 200_000})

    assert answer.status == 413
    assert "Too much" in answer.text


async def test_an_odd_cookie_is_nobodys(browser: Browser) -> None:
    for value in ("", "x" * 9_000, "%00", '"quoted"'):
        answer = await browser.get("/", Cookie=f"{COOKIE}={value}")

        assert answer.status in (303, 400)
