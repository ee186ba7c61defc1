"""A real Chromium in front of a real dashboard: nothing leaves the machine, nothing fails unseen."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Route, async_playwright

from tests.proxy.dashboard.world import ADMIN, World

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
#: Milliseconds; the machine may be busy with other tests.
PATIENCE_MS = 20_000


@dataclass
class Visitor:
    """Somebody in front of a browser, and whatever went wrong there."""

    page: Page
    context: BrowserContext
    base: str
    #: Console errors, faults of scripts, violations of the policy, requests to elsewhere.
    faults: list[str] = field(default_factory=list)

    async def sign_in(self, token: str = ADMIN, wanted: str = "/") -> None:
        """Sign in as a person does."""
        await self.page.goto(f"{self.base}/sign-in?next={wanted}")
        await self.page.fill("input[name=token]", token)
        await self.page.click("button:has-text('Sign in')")
        await self.page.wait_for_url(f"{self.base}{wanted}")

    async def go(self, path: str) -> None:
        """Load a page."""
        await self.page.goto(self.base + path)

    async def width(self) -> int:
        """Return how wide the page is, with what lies beyond the screen."""
        width = await self.page.evaluate("document.documentElement.scrollWidth")
        return int(width)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Start the system's Chromium; a machine without one skips, unless everything is required."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        assert not os.environ.get("BURSAR_TEST_REQUIRE_ALL"), "there is no chromium"
        pytest.skip("there is no chromium on this machine")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        await browser.close()


@asynccontextmanager
async def visiting(
    browser: Browser,
    world: World,
    port: int,
    *,
    width: int = 1280,
    dark: bool = False,
    scripts: bool = True,
) -> AsyncIterator[Visitor]:
    """Open a window of its own, with cookies of its own."""
    del world
    context = await browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if dark else "light",
        java_script_enabled=scripts,
    )
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    visitor = Visitor(page=page, context=context, base=f"http://127.0.0.1:{port}")

    async def stay_here(route: Route) -> None:
        if route.request.url.startswith((visitor.base, "data:")):
            await route.continue_()
        else:
            visitor.faults.append(f"outside: {route.request.url}")
            await route.abort()

    await context.route("**/*", stay_here)
    page.on(
        "console",
        lambda message: (
            visitor.faults.append(message.text) if message.type in ("error", "warning") else None
        ),
    )
    page.on("pageerror", lambda error: visitor.faults.append(str(error)))
    yield visitor
    await context.close()
