"""A whole Bursar in this process, in front of a simulated provider: real sockets, real Redis."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import structlog

from policies.clock import SystemClock
from policies.documents import load
from proxy.app import Application
from proxy.gateway.watch import Watch
from proxy.settings import load_settings
from proxy.simulator.server import Simulator
from proxy.telemetry.metrics import Metrics
from tests.doubles.waiting import until

#: Prices at which bytes say exactly what a call costs: only output tokens cost anything.
OUTPUT_ONLY = {"input": 0, "output": 1000, "context_window": 1_000_000, "max_output_tokens": 4096}
POLICIES = """
organization: {organization}
teams:
  red: {{models: ["*"], accept: [user, session, tags]}}
  blue: {{models: ["*mini*"], members: [alice]}}
budgets: {budgets}
"""


@dataclass(slots=True)
class Running:
    """What a test holds of a running Bursar."""

    app: Application
    simulator: Simulator
    url: str
    simulator_url: str
    key: str
    http: aiohttp.ClientSession
    logs: list[dict[str, Any]] = field(default_factory=list)

    async def post(self, path: str, body: Any, **headers: str) -> tuple[int, dict[str, Any], Any]:
        """Send one call; return status, headers (lower case) and the decoded body."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {
            "authorization": f"Bearer {self.key}",
            "content-type": "application/json",
            **headers,
        }
        async with self.http.post(self.url + path, data=data, headers=sent) as answer:
            raw = await answer.read()
            try:
                decoded: Any = json.loads(raw)
            except ValueError:
                decoded = raw
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, decoded

    async def chat(self, *, max_tokens: int | None = 10, **more: Any) -> tuple[int, Any, Any]:
        """Send a Chat Completions call."""
        headers = more.pop("headers", {})
        body = {"model": "acme/mini", "messages": [{"role": "user", "content": "Hi"}], **more}
        if max_tokens is not None:
            body["max_tokens"] = max_tokens
        return await self.post("/v1/chat/completions", body, **headers)

    async def standing(self, budget: str, subject: str = "") -> Any:
        """Return how a budget stands."""
        from policies.ledger.interface import Ask  # noqa: PLC0415 - here alone.

        found = self.app.rulebook.budgets[budget]
        asks = [Ask(budget=found, subject=subject, held=0, bound=0)]
        (standing,) = await self.app.ledger.standings(asks)
        return standing

    async def settled(self) -> None:
        """Wait until no call is in flight, and nothing waits to be booked."""
        await until(lambda: not self.app.busy)

    def scenario(self, **fields: Any) -> None:
        """Set what the simulated provider does next."""
        self.simulator.add_scenario(**fields)

    @property
    def truth_nano_usd(self) -> int:
        """What the simulated provider's price list makes of all calls that it answered."""
        return sum(call.listed_nano_usd for call in self.simulator.calls)

    @property
    def truth_output_tokens(self) -> int:
        """Output that the simulated provider counted, over all calls."""
        return sum(call.usage.output + call.usage.reasoning for call in self.simulator.calls)


@asynccontextmanager
async def running(
    folder: Path,
    redis_url: str,
    organization: str,
    *,
    budgets: str = "[]",
    settings: str = "",
    policies: str = "",
    provider: str = "kind: agipower",
    keys: str = "api_key: sk-ai-v1-x",
    prices: dict[str, Any] | None = None,
    port: int = 0,
    simulator: Simulator | None = None,
) -> AsyncIterator[Running]:
    """Start everything, and stop it again."""
    own_simulator = simulator is None
    simulator = simulator or Simulator(clock=time.time)
    simulator_port = await simulator.start("127.0.0.1", 0) if own_simulator else port
    simulator_url = f"http://127.0.0.1:{simulator_port}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "policies.yaml").write_text(
        policies or POLICIES.format(organization=organization, budgets=budgets)
    )
    kind = provider.removeprefix("kind: ")
    base = {"agipower": "", "venice": "/venice/api", "openai": "/openai/v1"}.get(kind, f"/{kind}")
    (folder / "bursar.yaml").write_text(
        f"data_dir: var\npolicies: policies.yaml\n"
        f"providers: {{sim: {{kind: {kind}, base_url: '{simulator_url}{base}', {keys}}}}}\n"
        f"prices: {json.dumps(prices if prices is not None else {'acme/mini': OUTPUT_ONLY})}\n"
        + settings
    )
    loaded = load_settings(folder / "bursar.yaml", {})
    logs: list[dict[str, Any]] = []

    def keep(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        logs.append(dict(event))
        raise structlog.DropEvent

    log = structlog.wrap_logger(None, processors=[keep], wrapper_class=structlog.BoundLogger)
    app = Application(
        loaded,
        load([folder / "policies.yaml"]),
        ledger_url=redis_url,
        clock=SystemClock(),
        watch=Watch(Metrics(SystemClock()), log),
    )
    await app.start()
    gateway_port = await app.listen("127.0.0.1", 0)
    _, key = await app.key_store.create("red")
    async with aiohttp.ClientSession(auto_decompress=True) as http:
        yield Running(
            app=app,
            simulator=simulator,
            url=f"http://127.0.0.1:{gateway_port}",
            simulator_url=simulator_url,
            key=key,
            http=http,
            logs=logs,
        )
    await app.stop()
    if own_simulator:
        await simulator.stop()
