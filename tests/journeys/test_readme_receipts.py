"""The README's part on AGIPower and Venice, as it is written, against the simulated provider."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bench.processes import simulator
from tests.doubles.waiting import until
from tests.proxy.cli.processes import Running, plain_environ

README = Path(__file__).parents[2] / "README.md"
SIMULATOR = "http://127.0.0.1:9090"


@dataclass(frozen=True)
class Part:
    """What the README says to write and to type."""

    settings: str
    commands: str

    @property
    def policies(self) -> str:
        found = re.search(r"echo '(.*?)' > policies\.yaml", self.commands, re.DOTALL)
        assert found is not None
        return found[1]

    @property
    def scenario(self) -> dict[str, Any]:
        found = re.search(r"/simulator/scenario -d '(.*?)'", self.commands)
        assert found is not None
        scenario: dict[str, Any] = json.loads(found[1])
        return scenario

    @property
    def models(self) -> list[str]:
        found = re.search(r"for MODEL in (.*?);", self.commands)
        assert found is not None
        return found[1].split()

    def environ(self, provider_url: str) -> dict[str, str]:
        lines = [line for line in self.commands.splitlines() if line.startswith("export ")]
        pairs = [word.split("=", 1) for line in lines for word in shlex.split(line)[1:]]
        return {name: value.replace(SIMULATOR, provider_url) for name, value in pairs}


def part() -> Part:
    text = README.read_text()
    begin = text.index("## Pointing Bursar at AGIPower and Venice")
    own = text[begin : text.index("\n## ", begin)]
    return Part(
        settings="".join(re.findall(r"```yaml\n(.*?)```", own, re.DOTALL)),
        commands="".join(re.findall(r"```sh\n(.*?)```", own, re.DOTALL)),
    )


@dataclass
class World:
    """A proxy as the README has it, and the provider that it is pointed at."""

    part: Part
    provider_url: str
    folder: Path
    environ: dict[str, str]
    addresses: dict[str, str]
    http: aiohttp.ClientSession

    async def bursar(self, *words: str) -> Any:
        running = await Running.start(*words, "--json", cwd=self.folder, environ=self.environ)
        done = await running.finish()
        assert done.status == 0, done.stderr
        return json.loads(done.stdout)

    async def status(self) -> dict[str, dict[str, Any]]:
        found = await self.bursar("receipts", "status")
        return {row["provider"]: row for row in found["items"]}

    async def spent(self) -> dict[str, int]:
        found = await self.bursar("budgets")
        return {row["name"]: row["spent"]["nano_usd"] for row in found["items"]}

    async def scenario(self, fields: dict[str, Any]) -> None:
        async with self.http.post(f"{self.provider_url}/simulator/scenario", json=fields) as answer:
            answer.raise_for_status()

    async def billed(self) -> list[int]:
        async with self.http.get(f"{self.provider_url}/simulator/calls") as answer:
            items = (await answer.json())["items"]
        return [call["billed_nano_usd"] for call in items]

    async def admin(self, path: str, method: str = "GET") -> Any:
        headers = {"authorization": f"Bearer {self.environ['BURSAR_ADMIN_TOKEN']}"}
        url = f"{self.addresses['admin']}/admin/v1/{path}"
        async with self.http.request(method, url, headers=headers) as answer:
            assert answer.status == 200
            return await answer.json()

    async def call(self, url: str, key: str, model: str) -> tuple[int, Any, Any]:
        body = {"model": model, "max_tokens": 200, "messages": [{"role": "user", "content": "Hi"}]}
        headers = {"authorization": f"Bearer {key}"}
        async with self.http.post(url, json=body, headers=headers) as answer:
            return answer.status, answer.headers.copy(), await answer.json()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    written = part()
    (tmp_path / "bursar.yaml").write_text(written.settings)
    (tmp_path / "policies.yaml").write_text(written.policies)
    async with simulator() as provider_url, aiohttp.ClientSession() as http:
        environ = plain_environ(**written.environ(provider_url))
        words = ("serve", "--port", "0", "--admin-port", "0", "--json")
        serving = await Running.start(*words, cwd=tmp_path, environ=environ)
        try:
            addresses = await serving.facts()
            yield World(written, provider_url, tmp_path, environ, addresses, http)
            await serving.stop()
        finally:
            await serving.discard()


async def test_every_call_ends_at_its_bill_and_one_past_the_proxy_is_found(world: World) -> None:
    await world.scenario(world.part.scenario)
    key = (await world.bursar("keys", "create", "--team", "research"))["key"]
    chat = f"{world.addresses['gateway']}/v1/chat/completions"
    statuses = [(await world.call(chat, key, model))[0] for model in world.part.models]
    around = f"{world.environ['VENICE_BASE_URL']}/v1/chat/completions"
    await world.call(around, world.environ["VENICE_API_KEY"], world.part.models[-1])

    async def receipted() -> bool:
        rows = await world.status()
        return (
            all(row["receipted"] == 1 and not row["waiting"] for row in rows.values())
            and rows["venice"]["ghost_spend"]["calls"] == 1
        )

    await until(receipted, deadline_s=60)
    *ours, ghost = await world.billed()
    assert statuses == [200, 200]
    assert await world.spent() == {"company": sum(ours), "unattributed": ghost}
    drift = [row["drift"][0]["difference_percent"] for row in (await world.status()).values()]
    assert drift == [44.0, 44.0]
    assert (await world.admin("receipts/run", "POST"))["finished"]


async def test_an_account_without_a_balance_refuses_until_it_has_one(world: World) -> None:
    key = (await world.bursar("keys", "create", "--team", "research"))["key"]
    chat = f"{world.addresses['gateway']}/v1/chat/completions"

    async def charged() -> bool:
        # A worker learns of a quota that is new to it within a second of the poll.
        _, headers, _ = await world.call(chat, key, world.part.models[0])
        call = await world.admin(f"calls/{headers['x-bursar-call-id']}")
        return "wallet.agipower.balance" in [charge["budget"] for charge in call["charges"]]

    async def closed() -> bool:
        rows = (await world.admin("wallets"))["items"]
        quotas = next(row["quotas"] for row in rows if row["provider"] == "agipower")
        return any(quota["closed"] for quota in quotas)

    async def is_open() -> bool:
        return not await closed()

    await until(charged)
    await world.scenario({"balance_usd": "0"})
    await until(closed)
    status, headers, body = await world.call(chat, key, world.part.models[0])
    await world.scenario({"balance_usd": "10"})
    await until(is_open)

    assert (status, headers["x-should-retry"]) == (402, "false")
    assert headers["x-bursar-budget"] == "wallet.agipower.balance"
    assert body["error"]["code"] == "wallet_exhausted"
    assert (await world.call(chat, key, world.part.models[0]))[0] == 200


async def test_the_commands_of_the_part_are_commands(world: World) -> None:
    typed = set(re.findall(r"`?bursar ([a-z-]+(?: [a-z]+)?)", world.part.commands))

    assert {"simulate-provider", "serve", "keys create"} <= typed
    await asyncio.gather(*(world.bursar("receipts", word) for word in ("status", "run")))
