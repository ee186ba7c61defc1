"""Receipts: drift by model, what waits, and looking for what is due."""

from __future__ import annotations

from proxy.dashboard.receipts import drift_by_model
from proxy.dashboard.wording import MINUS, SPACE
from tests.proxy.dashboard.story import USD
from tests.proxy.dashboard.world import Browser, World, receipts_row


def test_drift_is_summed_by_model_the_largest_first() -> None:
    rows = receipts_row().drift

    found = drift_by_model([*rows, *rows])

    assert [(drift.model, drift.percent) for drift in found] == [
        ("anthropic/claude-opus-4.5", f"+9.0{SPACE}%"),
        ("google/gemini-3-pro", f"{MINUS}5.2{SPACE}%"),
        ("openai/gpt-5-mini", f"+0.2{SPACE}%"),
    ]
    assert (found[0].metered, found[0].billed, found[0].compared) == (620 * USD, 676 * USD, 820)
    assert drift_by_model([]) == []


def test_nothing_metered_has_no_percentage() -> None:
    row = receipts_row().drift[0]
    nothing = row.model_copy(update={"metered": row.metered.of(0), "billed": row.metered.of(0)})
    same = row.model_copy(update={"billed": row.metered})

    assert drift_by_model([nothing])[0].percent == "–"
    assert drift_by_model([same])[0].percent == f"±0.0{SPACE}%"


async def test_every_provider_is_told_of(browser: Browser) -> None:
    await browser.sign_in()

    text = (await browser.get("/receipts")).text

    for said in ("agipower", "venice", "4,182", "4 due now", "Ghost spend", "gen-unknown-77"):
        assert said in text
    assert "Nothing to compare yet" in text
    assert "the amount is negative" in text


async def test_an_admin_looks_for_what_is_due(browser: Browser, world: World) -> None:
    await browser.sign_in()

    answer = await browser.send("/receipts", "/receipts/run", {})

    assert answer.status == 200
    assert "Looked for what was due: 2 booked, 1 pending." in answer.text
    assert world.receipts.runs == 1
    (act,) = await world.acts("receipts_run")
    assert (act["actor"], act["finished"]) == ("ada", True)


async def test_a_search_that_takes_too_long_is_ended(browser: Browser, world: World) -> None:
    import asyncio  # noqa: PLC0415 - here alone.

    async def hangs(told: object) -> dict[str, int]:
        assert callable(told)
        told({"booked": 1})
        await asyncio.Event().wait()
        return {}

    world.receipts.run_due = hangs  # type: ignore[method-assign]  # It hangs here.
    part = next(part for part in world.dashboard._parts if hasattr(part, "_run_s"))
    part._run_s = 0.01
    await browser.sign_in()

    answer = await browser.send("/receipts", "/receipts/run", {})

    assert "1 booked. The rest stays due." in answer.text
    assert [act["finished"] for act in await world.acts("receipts_run")] == [False]
