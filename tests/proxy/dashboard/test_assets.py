"""Files that pages load: named by what is in them, and kept for good."""

from __future__ import annotations

from proxy.dashboard.assets import Assets
from tests.proxy.dashboard.world import Browser


async def test_a_file_that_is_named_exactly_is_kept_for_good(browser: Browser) -> None:
    named = await browser.get(Assets().address("dashboard.css"))
    bare = await browser.get("/static/dashboard.css")

    assert named.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert bare.headers["Cache-Control"] == "no-cache"
    assert named.text == bare.text
    assert named.headers["Content-Type"] == "text/css; charset=utf-8"


async def test_files_need_no_session_and_carry_the_policy(browser: Browser) -> None:
    for name in ("theme.js", "live.js", "page.js", "icon.svg"):
        answer = await browser.get(f"/static/{name}")

        assert answer.status == 200
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


async def test_nothing_else_is_served(browser: Browser) -> None:
    for path in ("/static/gate.py", "/static/..%2fgate.py", "/static/%2e%2e/dashboard.py"):
        assert (await browser.get(path)).status in (303, 404)


def test_files_name_no_other_server() -> None:
    for name, body in Assets()._files.items():
        text = body.decode().replace("http://www.w3.org/2000/svg", "")

        assert "//" not in text.replace("// ", ""), name
