"""The same question asked twice: of the simulated provider itself, and of one behind a Bursar.

Both simulators have the same seed and clocks that stand still, so that their n-th answers are the
same to the byte. Both are heard on a wire; what an SDK got through the proxy must be what it got
without it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from policies.ledger.interface import CallRecord
from policies.reservations import State
from proxy.simulator.server import Simulator
from proxy.simulator.truth import Call
from tests.doubles.fake_clock import FakeClock
from tests.doubles.running import Running, running
from tests.sdks.wire import Wire

PROVIDER_KEY: Final = "sk-ai-v1-x"
UNKNOWN_KEY: Final = "bsr_0000000000000000000000000000000000000000"
#: Longer than the tokens that the simulators are told to count, so that the quotes are true bounds.
PROMPT: Final = "What does the budget say? " * 120
#: Every part of usage that the dialects can tell apart; 90 tokens of output, with the reasoning.
USAGE: Final = {
    "input": 1_200,
    "cache_read": 1_024,
    "cache_write_5m": 128,
    "output": 26,
    "reasoning": 64,
}
OUTPUT_LIMIT: Final = 100
#: How long an SDK waits for an answer; its own ten minutes would outlive the test that failed.
PATIENCE_S: Final = 20.0
#: Headers that each server sets anew; what the proxy adds besides begins with `x-bursar-`.
OF_THE_CONNECTION: Final = frozenset(
    {"connection", "content-length", "date", "server", "transfer-encoding", "x-accel-buffering"}
)
SPOKEN: Final = ("chat_completions", "responses", "messages", "generate_content")

# `plenty` counts everybody. The team `poor` may spend nothing, the team `hasty` calls once a minute.
POLICIES: Final = """
organization: {organization}
teams:
  red: {{models: ["*"]}}
  poor: {{models: ["*"]}}
  hasty: {{models: ["*"]}}
budgets:
  - {{name: plenty, limit: 1000 USD, window: month}}
  - {{name: empty-purse, team: poor, limit: 0 USD, window: month}}
  - {{name: one-a-minute, team: hasty, limit: 1 calls, window: rolling 1m}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Where a question is asked."""

    url: str
    key: str
    #: The clock of the simulator that answers.
    clock: FakeClock


#: One use of an SDK; returns what the SDK made of the answer.
Case = Callable[[Side], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What went over a wire while a question was asked."""

    #: What the SDK made of it.
    made: object
    #: Method, path and body.
    requests: list[tuple[str, bytes]]
    #: Status, headers that are the provider's, and body, every byte of it.
    answers: list[tuple[int, dict[str, str], bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What calls came to; money in nano-dollars."""

    #: State, certainty, usage in disjoint parts, generation ids and charge of each call.
    calls: list[dict[str, Any]]
    spent: int
    reserved: int = 0
    overrun: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A simulator that is asked directly, and a Bursar in front of its twin."""

    bursar: Running
    #: The simulator that is asked directly.
    twin: Simulator
    direct: Side
    proxied: Side
    direct_wire: Wire
    proxied_wire: Wire
    #: The proxied side, for a caller who may spend nothing.
    poor: Side
    #: For one who may call once a minute.
    hasty: Side
    #: For one whose key nobody made.
    stranger: Side

    def deliver(self, **fields: object) -> None:
        """Tell both simulators how to deliver their answers; what they use stays as it was."""
        for simulator in (self.twin, self.bursar.simulator):
            _prepare(simulator, **fields)

    async def ask_both(self, case: Case) -> tuple[Heard, Heard]:
        """Ask both; return what was heard without the proxy, and what through it."""
        expected = await case(self.direct)
        made = await case(self.proxied)
        return heard(expected, self.direct_wire), heard(made, self.proxied_wire)

    async def books(self) -> Books:
        """Return what the ledger has of the calls that were settled, in order."""
        await self.bursar.settled()
        standing = await self.bursar.standing("plenty")
        return Books(
            calls=[_facts(record) for record in await self._records()],
            spent=standing.spent,
            reserved=standing.reserved,
            overrun=standing.overrun,
        )

    @property
    def truth(self) -> Books:
        """What the simulator behind the proxy knows of the same calls."""
        calls = self.bursar.simulator.calls
        spent = sum(call.listed_nano_usd for call in calls)
        return Books(calls=[_true_facts(call) for call in calls], spent=spent)

    async def _records(self) -> list[CallRecord]:
        ledger = self.bursar.app.ledger
        entries = await ledger.journal(count_max=1_000)
        found = [await ledger.find(each.call_id) for each in entries if each.kind == "settle"]
        return [record for record in found if record is not None]


def heard(made: object, wire: Wire) -> Heard:
    """Return what a wire heard since the last time."""
    exchanges = wire.take()
    answers = [each.answer for each in exchanges]
    return Heard(
        made=made,
        requests=[(each.line, each.body) for each in exchanges],
        answers=[(each.status, _passed_on(each.headers), each.body) for each in answers],
    )


def _passed_on(headers: dict[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in headers.items()
        if name not in OF_THE_CONNECTION and not name.startswith("x-bursar-")
    }


def _facts(record: CallRecord) -> dict[str, Any]:
    outcome = json.loads(record.outcome)
    (usage,) = outcome["usage"]
    usage.pop("model")
    return {
        "state": record.state,
        "certainty": outcome["certainty"],
        "usage": usage,
        "generation_ids": tuple(outcome["generation_ids"]),
        "charged": _charged(record),
    }


def _charged(record: CallRecord) -> int:
    charges = zip(record.reservation.charges, record.charged, strict=True)
    (amount,) = (amount for charge, amount in charges if charge.budget == "plenty")
    return amount


def _true_facts(call: Call) -> dict[str, Any]:
    used = call.usage
    parts = {
        "input_tokens": used.input,
        "cache_read_tokens": used.cache_read,
        "cache_write_5m_tokens": used.cache_write_5m,
        "cache_write_1h_tokens": used.cache_write_1h,
        "output_tokens": used.output + used.reasoning,
        "reasoning_tokens": used.reasoning,
    }
    return {
        "state": State.SETTLED,
        "certainty": "exact",
        "usage": {name: count for name, count in parts.items() if count},
        "generation_ids": call.generation_ids,
        "charged": call.listed_nano_usd,
    }


@asynccontextmanager
async def asked_twice(folder: Path, redis_url: str, organization: str) -> AsyncIterator[Pair]:
    """Start both sides, and stop them again."""
    clocks = FakeClock(), FakeClock()
    straight, behind = (_simulator(clock) for clock in clocks)
    straight_port = await straight.start("127.0.0.1", 0)
    behind_port = await behind.start("127.0.0.1", 0)
    policies = POLICIES.format(organization=organization)
    try:
        async with (
            running(
                folder,
                redis_url,
                organization,
                policies=policies,
                prices={},
                simulator=behind,
                port=behind_port,
            ) as bursar,
            _wire(f"http://127.0.0.1:{straight_port}") as direct_wire,
            _wire(bursar.url) as proxied_wire,
        ):
            proxied = Side(url=proxied_wire.url, key=bursar.key, clock=clocks[1])
            _, poor_key = await bursar.app.key_store.create("poor")
            _, hasty_key = await bursar.app.key_store.create("hasty")
            yield Pair(
                bursar=bursar,
                twin=straight,
                direct=Side(url=direct_wire.url, key=PROVIDER_KEY, clock=clocks[0]),
                proxied=proxied,
                direct_wire=direct_wire,
                proxied_wire=proxied_wire,
                poor=replace(proxied, key=poor_key),
                hasty=replace(proxied, key=hasty_key),
                stranger=replace(proxied, key=UNKNOWN_KEY),
            )
    finally:
        await straight.stop()
        await behind.stop()


def _simulator(clock: FakeClock) -> Simulator:
    simulator = Simulator(clock=lambda: clock.now_ms() / 1000, random_seed=7)
    _prepare(simulator)
    return simulator


def _prepare(simulator: Simulator, **fields: object) -> None:
    for dialect in SPOKEN:
        simulator.add_scenario(
            match={"dialect": dialect}, usage=USAGE, generation_header=True, chunks=5, **fields
        )


@asynccontextmanager
async def _wire(url: str) -> AsyncIterator[Wire]:
    wire = Wire(url)
    await wire.open()
    try:
        yield wire
    finally:
        await wire.close()
