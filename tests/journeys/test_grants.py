"""A budget is granted more for a while, on four workers: calls pass, and then they no longer do."""

from __future__ import annotations

import asyncio
import getpass
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bench.processes import simulator
from tests.doubles.waiting import until
from tests.proxy.cli.processes import Finished, Running

# One call of ten output tokens costs exactly one cent; the input is free.
CENT_NANO_USD = 10_000_000
POLICIES = """
organization: acme
teams: {red: {}}
budgets:
  - {name: five, limit: 0.05 USD, window: lifetime}
"""
SETTINGS = """
gateway: {port: 0}
admin: {port: 0, tokens: [{token: letmein, role: admin, name: ann}]}
data_dir: var
policies: policies.yaml
prices: {"acme/mini": {input: 0, output: 1000, context_window: 100000, max_output_tokens: 4096}}
"""
WORKERS = 4
#: Questions on connections of their own: that one of four workers gets none of them is a matter of
#: one in hundred thousand.
QUESTIONS = 48


@dataclass
class World:
    """What the tests hold of it."""

    folder: Path
    gateway: str
    admin: str
    key: str
    http: aiohttp.ClientSession

    async def bursar(self, *words: str) -> Any:
        done = await _finish(self.folder, *words, "--json")
        return json.loads(done.stdout)

    async def call(self) -> int:
        body = {"model": "acme/mini", "messages": [], "max_tokens": 10}
        url = f"{self.gateway}/v1/chat/completions"
        async with self.http.post(url, json=body, headers=self._key) as answer:
            await answer.read()
            return answer.status

    async def calls(self, count: int) -> Counter[int]:
        return Counter(await asyncio.gather(*(self.call() for _ in range(count))))

    async def seen(self) -> set[tuple[int, int]]:
        """Return limit and what of it is granted, in cents, as the workers see it."""

        async def look() -> tuple[int, int]:
            async with self.http.get(f"{self.gateway}/v1/budget", headers=self._key) as answer:
                (row,) = (await answer.json())["items"]
                limit, granted = (row[name]["nano_usd"] for name in ("limit", "granted"))
                return limit // CENT_NANO_USD, granted // CENT_NANO_USD

        return set(await asyncio.gather(*(look() for _ in range(QUESTIONS))))

    async def all_see(self, limit: int, granted: int) -> None:
        """Wait until every worker does."""

        async def do() -> bool:
            seen: set[tuple[int, int]] = await self.seen()
            return seen == {(limit, granted)}

        await until(do)

    async def row(self) -> dict[str, Any]:
        async def rests() -> bool:
            return bool((await self._row())["reserved"]["nano_usd"] == 0)

        await until(rests)
        return await self._row()

    async def _row(self) -> dict[str, Any]:
        row: dict[str, Any] = (await self.ask("GET", "budgets"))["items"][0]
        return row

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        url = f"{self.admin}/admin/v1/{path}"
        sent = {"authorization": "Bearer letmein", **headers}
        async with self.http.request(method, url, json=body, headers=sent) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def grant_acts(self) -> list[tuple[str, str, str]]:
        """Return kind, who and from where of what the journal has of grants."""
        done = await _finish(self.folder, "audit", "tail", "-n", "1000", "--json")
        entries = [json.loads(line) for line in done.stdout.splitlines()]
        return [
            (entry["kind"], entry["data"]["actor"], entry["data"]["from"])
            for entry in entries
            if entry["kind"].startswith("grant_")
        ]

    @property
    def _key(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}


async def _finish(folder: Path, *words: str) -> Finished:
    done = await (await Running.start(*words, cwd=folder)).finish()
    assert done.status == 0, done.stderr
    return done


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with (
        simulator() as provider,
        # Each request on a connection of its own, so that the kernel spreads them over the workers.
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as http,
    ):
        (tmp_path / "policies.yaml").write_text(POLICIES)
        (tmp_path / "bursar.yaml").write_text(
            f"{SETTINGS}\nproviders: {{sim: {{kind: agipower, base_url: '{provider}', "
            "api_key: sk-ai-v1-x}}\n"
        )
        serving = await Running.start("serve", "--workers", str(WORKERS), "--json", cwd=tmp_path)
        try:
            facts = await serving.facts()
            key = (await _finish(tmp_path, "keys", "create", "--team", "red")).stdout.strip()
            yield World(tmp_path, facts["gateway"], facts["admin"], key, http)
        finally:
            await serving.stop()


async def test_what_is_granted_is_spent_to_the_cent_on_all_workers(world: World) -> None:
    assert await world.calls(20) == {200: 5, 402: 15}

    why = ("--for", "1h", "--reason", "month-end close")
    row = await world.bursar("budgets", "grant", "five", "0.40 USD", *why)
    await world.all_see(limit=45, granted=40)

    assert await world.calls(60) == {200: 40, 402: 20}
    shown = await world.row()
    assert [grant["id"] for grant in shown["grants"]] == [row["id"]]
    assert (shown["spent"]["usd"], shown["remaining"]["usd"]) == ("0.45", "0")


async def test_a_grant_that_is_ended_lets_nothing_pass_any_more(world: World) -> None:
    wish = {"amount": "0.10 USD", "for": "1h", "reason": "month-end close"}
    row = await world.ask("POST", "budgets/five/grants", wish)
    await world.all_see(limit=15, granted=10)
    assert await world.calls(8) == {200: 8}

    await world.bursar("budgets", "end-grant", row["id"])
    await world.all_see(limit=5, granted=0)

    assert await world.calls(20) == {402: 20}
    shown = await world.row()
    assert [shown[name]["usd"] for name in ("limit", "granted", "spent", "remaining")] == [
        "0.05",
        "0",
        "0.08",
        "0",
    ]
    assert await world.grant_acts() == [
        ("grant_made", "ann", "127.0.0.1"),
        ("grant_ended", getpass.getuser(), "cli"),
    ]


async def test_a_grant_ends_by_itself(world: World) -> None:
    assert await world.calls(10) == {200: 5, 402: 5}
    wish = {"amount": "0.02 USD", "for": "6s", "reason": "a demo"}

    await world.ask("POST", "budgets/five/grants", wish)
    await world.all_see(limit=7, granted=2)
    assert await world.call() == 200
    await world.all_see(limit=5, granted=0)

    assert await world.calls(10) == {402: 10}
    (over,) = (await world.ask("GET", "budgets/five/grants"))["items"]
    assert (over["state"], over["ended_at"]) == ("expired", None)
    # Nothing has to happen for a grant to end, so nothing is journalled when it does.
    assert [kind for kind, _, _ in await world.grant_acts()] == ["grant_made"]


async def test_of_many_who_grant_at_once_nobodys_is_lost_or_counted_twice(world: World) -> None:
    async def grant(number: int) -> Any:
        wish = {"amount": "0.01 USD", "for": "1h", "reason": f"number {number}"}
        # As a client does that got no answer: once more, with the same key.
        once = {"idempotency-key": f"ticket-{number}"}
        first, again = await asyncio.gather(
            *(world.ask("POST", "budgets/five/grants", wish, **once) for _ in range(2))
        )
        assert first == again
        return first["id"]

    why = ("--for", "1h", "--reason", "at the command line")
    made = await asyncio.gather(
        *(grant(number) for number in range(6)),
        world.bursar("budgets", "grant", "five", "0.01 USD", *why),
    )

    assert len(made) == 7
    await world.all_see(limit=12, granted=7)
    assert await world.calls(20) == {200: 12, 402: 8}
    assert len(await world.grant_acts()) == 7
