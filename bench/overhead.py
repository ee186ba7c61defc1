"""What the proxy adds to a call, as ratios in one run: asked directly, and through it.

    python -m bench.overhead [--calls 2000] [--connections 16]

The same calls go to the simulated provider directly, through a proxy whose policies have no budget, and
through one whose call is charged to three budgets; rounds alternate, so that a drifting machine drifts for
all of them. CPU is the proxy's own, from the operating system's accounts. Only the ratios mean anything.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.processes import bursar, simulator

ROUNDS = 5
BUDGETS = """
budgets:
  - {name: month, limit: 1M USD, window: month}
  - {name: day,   limit: 1M USD, window: day, each: key}
  - {name: calls, limit: 100M calls, window: rolling 5h}
"""
POLICIES = "organization: {name}\nteams:\n  all: {{}}\n{budgets}"
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass
class Way:
    """One way to the provider, and what was measured on it."""

    name: str
    url: str
    key: str
    pid: int | None = None
    rates: list[float] = field(default_factory=list)
    medians_ms: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)


def request_bytes(way: Way, *, stream: bool) -> bytes:
    """Return one request of about a kilobyte."""
    message = {"role": "user", "content": "How much is left of the budget? " * 28}
    body = {"model": "acme/mini", "messages": [message], "max_tokens": 20, "stream": stream}
    raw = json.dumps(body).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {way.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n"
    )
    return head.encode() + raw


async def call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> float:
    """Send one call, read its answer to the end; return the seconds that it took."""
    begin = time.perf_counter()
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise RuntimeError(head.decode())
    if b"content-length:" in head:
        await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
    else:
        while size := int(await reader.readuntil(b"\r\n"), 16):
            await reader.readexactly(size + 2)
        await reader.readexactly(2)
    return time.perf_counter() - begin


async def load(way: Way, calls: int, connections: int, *, stream: bool) -> tuple[float, float]:
    """Return calls per second and the median latency in milliseconds."""
    host, port = way.url.removeprefix("http://").split(":")
    request = request_bytes(way, stream=stream)
    took: list[float] = []

    async def one() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        took.extend([await call(reader, writer, request) for _ in range(calls // connections)])
        writer.close()

    begin = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    return len(took) / (time.perf_counter() - begin), statistics.median(took) * 1000


def cpu_s(pid: int) -> float:
    """Return the processor seconds that a process has used, by the kernel's accounts."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


async def measure(way: Way, arguments: argparse.Namespace, *, stream: bool) -> None:
    """Run one round on one way."""
    before = cpu_s(way.pid) if way.pid else 0.0
    rate, median_ms = await load(way, arguments.calls, arguments.connections, stream=stream)
    way.rates.append(rate)
    way.medians_ms.append(median_ms)
    if way.pid:
        way.cpu_us.append((cpu_s(way.pid) - before) / arguments.calls * 1e6)


def report(ways: list[Way], title: str) -> None:
    """Print the ratios to the way without a proxy."""
    direct = ways[0]
    print(f"\n{title}")
    print(f"{'way':22}{'latency':>10}{'throughput':>12}{'proxy CPU':>14}")
    for way in ways:
        latency = statistics.median(way.medians_ms) / statistics.median(direct.medians_ms)
        rate = statistics.median(way.rates) / statistics.median(direct.rates)
        cpu = f"{statistics.median(way.cpu_us):.0f} µs/call" if way.cpu_us else "-"
        print(f"{way.name:22}{latency:>9.2f}x{rate:>11.2f}x{cpu:>14}")


async def run(arguments: argparse.Namespace) -> None:
    """Measure whole answers and streams."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bursar-bench-")))
        provider = await stack.enter_async_context(simulator())
        ways = [Way("directly", provider, "sk-ai-v1-bench")]
        for name, budgets in (("without budgets", ""), ("with three budgets", BUDGETS)):
            own = folder / name.replace(" ", "-")
            own.mkdir()
            policies = POLICIES.format(name=own.name, budgets=budgets)
            running = await stack.enter_async_context(bursar(own, provider, policies))
            ways.append(Way(name, running.url, running.create_key("all"), running.pid))
        for stream in (False, True):
            for way in ways:
                way.rates, way.medians_ms, way.cpu_us = [], [], []
                await load(way, 200, arguments.connections, stream=stream)
            for _ in range(ROUNDS):
                for way in ways:
                    await measure(way, arguments, stream=stream)
            report(ways, "streams" if stream else "whole answers")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2_000)
    parser.add_argument("--connections", type=int, default=16)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
