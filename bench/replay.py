"""A real hour's arrivals through the whole proxy: does every budget end at the provider's truth?

    python -m bench.replay [--workers 1] [--quote bound] [--seconds 600] [--speed 10]

Starts a simulated provider, a Redis and `bursar serve`, sends the first calls of the trace at their own
times (`--speed` times faster), with their own sizes, from two teams, and then compares, to the
nano-dollar: what each budget says was spent with what the provider says it was owed. The journal is
read entry by entry: at no moment may an enforced budget have been above its limit.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp

from bench.processes import Bursar, bursar, simulator
from policies.clock import SystemClock
from policies.ledger.deployment import deployment
from policies.ledger.redis_ledger import RedisLedger
from proxy.tasks import Tasks

TRACE = Path(__file__).parent.parent.parent / "shared/traces/azure2023_code.csv"
MODEL = "openai/gpt-4o"
#: Of what the provider reports: a fifth of the input was cached, which bytes cannot show.
CACHED_SHARE = 5
OUTPUT_TOKENS_MAX = 2_000
NANO = 1_000_000_000

POLICIES = """
organization: replay
teams:
  search: {{default_max_output_tokens: {output}}}
  editor: {{default_max_output_tokens: {output}}}
defaults: {{quote: {quote}{overrun}}}
budgets:
  - {{name: search-month,   team: search, limit: 1000 USD, window: month, timezone: Europe/Berlin}}
  - {{name: search-day,     team: search, limit: 100 USD,  window: day}}
  - {{name: search-rolling, team: search, limit: 50 USD,   window: rolling 5h}}
  - {{name: editor-month,   team: editor, limit: 1000 USD, window: month}}
  - {{name: editor-day,     team: editor, limit: 100 USD,  window: day}}
  - {{name: editor-rolling, team: editor, limit: {tight} USD, window: rolling 5h}}
  - {{name: everybody,      limit: 1000 USD, window: month}}
"""


@dataclass(frozen=True, slots=True)
class Call:
    """One row of the trace."""

    at_s: float
    input_tokens: int
    output_tokens: int
    team: str


def read_trace(path: Path, seconds: float, seed: int) -> list[Call]:
    """Return the first calls of a trace, each given to one of two teams."""
    chance = random.Random(seed)
    calls: list[Call] = []
    start = 0.0
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            at = datetime.fromisoformat(row["TIMESTAMP"][:26]).timestamp()
            start = at if not calls else start
            if at - start > seconds:
                break
            team = "search" if chance.random() < 0.6 else "editor"
            calls.append(
                Call(at - start, int(row["ContextTokens"]), int(row["GeneratedTokens"]), team)
            )
    return calls


def body_of(call: Call) -> bytes:
    """Return a request of about the call's size: four bytes to a token, as English has."""
    text = "word " * (call.input_tokens * 4 // 5)
    return json.dumps({"model": MODEL, "messages": [{"role": "user", "content": text}]}).encode()


def scenario_of(call: Call) -> dict[str, Any]:
    """Return what the provider does with a call."""
    cached = call.input_tokens // CACHED_SHARE
    usage = {
        "input": call.input_tokens - cached,
        "cache_read": cached,
        "output": call.output_tokens,
    }
    # About 20 ms a token at full speed is 2 ms at ten times that.
    return {"usage": usage, "first_byte_delay_ms": min(2_000, call.output_tokens * 2)}


async def send(
    http: aiohttp.ClientSession, url: str, key: str, call: Call, started: float, speed: float
) -> int:
    """Send one call at its time; return the status."""
    await asyncio.sleep(max(0.0, started + call.at_s / speed - time.monotonic()))
    headers = {
        "authorization": f"Bearer {key}",
        "content-type": "application/json",
        "x-simulator-scenario": json.dumps(scenario_of(call)),
    }
    async with http.post(
        f"{url}/v1/chat/completions", data=body_of(call), headers=headers
    ) as answer:
        await answer.read()
        return answer.status


@dataclass(frozen=True, slots=True)
class Result:
    """What a replay came to."""

    statuses: dict[int, int]
    budgets: list[dict[str, Any]]
    truth: dict[str, int]
    held_nano: int
    settled_nano: int
    overrun_nano: int
    highest: dict[str, tuple[int, int]]
    above: list[str]


async def run(arguments: argparse.Namespace, quote: str) -> Result:
    """Replay once."""
    calls = read_trace(arguments.trace, arguments.seconds, arguments.seed)
    with tempfile.TemporaryDirectory(prefix="bursar-replay-") as folder:
        async with started(Path(folder), arguments.workers, quote, arguments.tight) as running:
            keys = {team: running.create_key(team) for team in ("search", "editor")}
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
                begin = time.monotonic()
                statuses = await asyncio.gather(
                    *(
                        send(http, running.url, keys[call.team], call, begin, arguments.speed)
                        for call in calls
                    )
                )
                truth = await read_truth(http, running, calls_of=statuses)
            return await compare(running, statuses, truth)


@asynccontextmanager
async def started(folder: Path, workers: int, quote: str, tight: str) -> AsyncIterator[Bursar]:
    """Start a simulated provider and a proxy in front of it."""
    overrun = ", overrun_max: 10%" if quote == "likely" else ""
    policies = POLICIES.format(output=OUTPUT_TOKENS_MAX, quote=quote, overrun=overrun, tight=tight)
    async with (
        simulator() as provider_url,
        bursar(folder, provider_url, policies, workers=workers) as running,
    ):
        yield running


async def read_truth(
    http: aiohttp.ClientSession, running: Bursar, calls_of: Sequence[int]
) -> dict[str, int]:
    """Return what the provider is owed, by generation id, in nano-dollars."""
    del calls_of
    async with http.get(f"{running.provider_url}/simulator/calls") as answer:
        items = (await answer.json())["items"]
    return {
        generation_id: row["listed_nano_usd"]
        for row in items
        for generation_id in row["generation_ids"]
    }


async def compare(running: Bursar, statuses: Sequence[int], truth: dict[str, int]) -> Result:
    """Read the journal and the budgets."""
    tasks, clock = Tasks(), SystemClock()
    commands = deployment(running.redis_url, timeout_s=10, spawn=tasks.spawn, clock=clock)
    await commands.open()
    ledger = RedisLedger(commands, "replay", clock)
    limits = {row["name"]: row["limit"]["nano_usd"] for row in running.budgets()}
    owed: dict[str, int] = dict.fromkeys(limits, 0)
    highest: dict[str, tuple[int, int]] = {}
    above: list[str] = []
    held = settled = overrun = 0
    quoted: dict[str, int] = {}
    after = "-"
    while entries := await ledger.journal(after=after, count_max=1_000):
        after = entries[-1].id
        for entry in entries:
            data = json.loads(entry.data)
            if entry.kind == "admitted":
                quoted[entry.call_id] = data["quote"]["nano_usd"]
            if entry.kind == "settle":
                held += quoted[entry.call_id]
                settled += data["nano_usd"]
                overrun += max(0, data["nano_usd"] - quoted[entry.call_id])
            for move in entry.movements:
                name = move.counter.split(":")[0]
                total = move.spent + move.reserved
                highest[name] = max(highest.get(name, (0, 0)), (total, move.overrun))
                if total > limits[name] + move.overrun:
                    above.append(f"{entry.id} {name}: {total} of {limits[name]}")
                if entry.kind == "settle":
                    ids = data["generation_ids"]
                    owed[name] += next(truth[i] for i in ids if i in truth)
    await commands.close()
    await tasks.close()
    counts = {status: statuses.count(status) for status in sorted(set(statuses))}
    return Result(counts, running.budgets(), owed, held, settled, overrun, highest, above)


def usd(nano: int) -> str:
    """Return nano-dollars as dollars."""
    return f"{nano / NANO:,.9f}"


def report(quote: str, result: Result) -> bool:
    """Print what happened; return whether everything is as it must be."""
    print(f"\nquote: {quote}   answers by status: {result.statuses}")
    print(f"{'budget':16}{'limit':>10}{'spent':>16}{'owed':>16}{'difference':>12}{'highest':>16}")
    right = not result.above
    for row in result.budgets:
        name, spent = row["name"], row["spent"]["nano_usd"]
        difference = spent - result.truth[name]
        right = right and difference == 0 and row["reserved"]["nano_usd"] == 0
        print(
            f"{name:16}{row['limit']['usd']:>10}{usd(spent):>16}{usd(result.truth[name]):>16}"
            f"{difference:>12}{usd(result.highest.get(name, (0, 0))[0]):>16}"
        )
    ratio = result.held_nano / result.settled_nano
    print(
        f"reserved per dollar spent: {ratio:.2f}   overrun per dollar spent: "
        f"{result.overrun_nano / result.settled_nano:.4f}"
    )
    print(f"moments above a limit: {len(result.above)}")
    print("RIGHT" if right else "WRONG")
    return right


def main() -> None:
    """Replay with each kind of quote."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trace", type=Path, default=TRACE)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--speed", type=float, default=10)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tight", default="2", help="the limit of editor-rolling, in dollars")
    parser.add_argument("--quote", choices=["bound", "likely", "both"], default="both")
    arguments = parser.parse_args()
    kinds = ["bound", "likely"] if arguments.quote == "both" else [arguments.quote]
    right = [report(kind, asyncio.run(run(arguments, kind))) for kind in kinds]
    sys.exit(0 if all(right) else 1)


if __name__ == "__main__":
    main()
