"""A desk with all that it stands on: a real Redis, and a provider that says what a test tells it to."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from policies.budgets import Budget
from policies.decisions import Admitted, Moved, Standing
from policies.ledger.connection import Commands
from policies.ledger.interface import Admission, Ask, CallRecord, Due, Ledger
from policies.ledger.redis_ledger import RedisLedger
from policies.reservations import Reservation
from policies.units import CALLS, TOKENS, USD, Amounts
from policies.windows import Calendar, Lifetime
from proxy.billing_settings import ReceiptSettings
from proxy.providers.connection import Upstream
from proxy.providers.interface import Target
from proxy.receipts.compare import Adjustment, day_name
from proxy.receipts.desk import Desk, Progress
from proxy.receipts.history.shelf import Shelf
from proxy.receipts.look_up import LookUps
from proxy.receipts.receipt import Final, Result, UnknownId
from proxy.receipts.schedule import Schedule
from tests.doubles.calls import MODEL, FakePrices
from tests.doubles.fake_clock import FakeClock
from tests.doubles.fake_upstream import FakeAnswer

PROVIDER = "acme"
MINUTE_MS = 60_000
DAY_MS = 86_400_000
LIFE = Budget(name="life", unit=USD, limit=10**12, window=Lifetime())
DAY = Budget(name="day", unit=USD, limit=10**12, window=Calendar("day"))
COUNT = Budget(name="count", unit=CALLS, limit=10**6, window=Lifetime())
TOKEN = Budget(name="token", unit=TOKENS, limit=10**9, window=Lifetime())
DIEM = Budget(name="diem", unit="DIEM", limit=10**12, window=Lifetime())
#: What is held of each call, and the most that it was expected to cost, in the budget's unit.
HELD = 1_000


class ScriptedAdapter:
    """A provider's billing by script: for each id its answers in order, of which the last one stays."""

    def __init__(self, *, places: int = 1) -> None:
        self.never: str | None = None
        #: What the answer of the call itself said.
        self.told: Final | None = None
        #: Under which ids calls were asked for, in order.
        self.asked: list[str] = []
        #: All ids of the call that the last answer was read with.
        self.known: Sequence[str] = ()
        self._places = places
        self._script: dict[str, list[Result]] = {}

    def says(self, generation_id: str, *results: Result) -> None:
        self._script[generation_id] = list(results)

    def at_once(self, outcome: Mapping[str, Any]) -> Final | None:
        return self.told

    def targets(self, generation_id: str) -> Sequence[Target]:
        base = URL("http://billing.example/")
        places = (base / str(place) / generation_id for place in range(self._places))
        return [Target(method="GET", url=url, headers=(("x-key", "k"),)) for url in places]

    def read(
        self, generation_ids: Sequence[str], status: int, headers: Mapping[str, str], body: bytes
    ) -> Result:
        self.asked.append(generation_ids[0])
        self.known = generation_ids
        script = self._script.get(generation_ids[0], [UnknownId()])
        return script.pop(0) if len(script) > 1 else script[0]


class AnsweringUpstream(Upstream):
    """Lets every request through, after whatever a test wants to happen before."""

    def __init__(self) -> None:
        super().__init__(connect_timeout_s=1, idle_timeout_s=1)
        self.before: Callable[[Target], Awaitable[None]] | None = None

    async def send(
        self, target: Target, headers: list[tuple[str, str]], body: bytes | None
    ) -> aiohttp.ClientResponse:
        if self.before is not None:
            await self.before(target)
        return FakeAnswer(b"{}").as_answer()


class Witness:
    """Keeps what a desk says."""

    def __init__(self) -> None:
        self.events: list[tuple[object, ...]] = []
        self.adjustments: list[Adjustment] = []

    def named(self, name: str) -> list[tuple[object, ...]]:
        return [event for event in self.events if event[0] == name]

    def receipts_failed(self, fault: Exception) -> None:
        self.events.append(("failed", repr(fault)))

    def receipts_never_come(self, provider: str, reason: str) -> None:
        self.events.append(("never_come", provider, reason))

    def receipt_booked(
        self, provider: str, call_id: str, adjustment: Adjustment, moved: Moved
    ) -> None:
        self.adjustments.append(adjustment)
        self.events.append(("booked", call_id, adjustment.amounts.nano_usd, moved.prior_period))

    def receipt_given_up(self, provider: str, call_id: str, reason: str, *, never: bool) -> None:
        self.events.append(("given_up", call_id, reason, never))

    def receipt_set_aside(self, provider: str, call_id: str, reason: str, *, first: bool) -> None:
        self.events.append(("set_aside", call_id, reason, first))

    def receipt_looked_up(self, provider: str, result: str) -> None:
        self.events.append(("looked_up", result))

    def receipts_slowed(self, provider: str, for_ms: int) -> None:
        self.events.append(("slowed", for_ms))


class GhostList:
    """Keeps which ghosts were taken back."""

    def __init__(self) -> None:
        self.taken_back: list[str] = []

    async def take_back(self, provider: str, ghost_id: str) -> bool:
        self.taken_back.append(ghost_id)
        return True


@dataclass(kw_only=True)
class World:
    """One organisation with one provider; calls are put in by hand."""

    ledger: RedisLedger
    commands: Commands
    clock: FakeClock
    budgets: tuple[Budget, ...]
    settings: ReceiptSettings
    adapter: ScriptedAdapter
    upstream: AnsweringUpstream
    watch: Witness
    ghosts: GhostList
    prices: FakePrices
    schedule: Schedule

    def desk(
        self,
        *,
        ledger: Ledger | None = None,
        commands: Commands | None = None,
        shelf: Shelf | None = None,
    ) -> Desk:
        """Return one replica's desk."""
        schedule = self.schedule
        if commands is not None:
            schedule = Schedule(commands, self.ledger.keys, self.ledger.now_ms)
        return Desk(
            provider=PROVIDER,
            adapter=self.adapter,
            shelf=shelf,
            ledger=ledger or self.ledger,
            schedule=schedule,
            look_ups=LookUps(self.upstream, self.settings.timeout_ms / 1000),
            prices=self.prices,
            ghosts=self.ghosts,
            settings=self.settings,
            observer=self.watch,
        )

    async def round(self, desk: Desk | None = None) -> dict[str, int]:
        """Do what is due; return how many calls came to what."""
        progress = Progress()
        await (desk or self.desk()).run_due(progress)
        return dict(progress.results)

    async def reserve(
        self, call_id: str = "a", *, held: int = HELD, quote: bool = True
    ) -> Reservation:
        data: dict[str, Any] = {"provider": PROVIDER, "model": MODEL}
        if quote:
            data["quote"] = {"bound_nano_usd": held}
        asks = [
            Ask(budget=each, subject="", held=amount, bound=amount)
            for each in self.budgets
            for amount in [1 if each.unit == CALLS else held]
        ]
        decision = await self.ledger.reserve(
            call_id, asks, data=json.dumps(data), admission=Admission.DECIDE
        )
        assert isinstance(decision, Admitted), decision
        return decision.reservation

    async def settle(
        self,
        call_id: str = "a",
        nano_usd: int = 700,
        *,
        certainty: str = "exact",
        ids: Sequence[str] | None = None,
        tokens: tuple[int, int] = (30, 12),
        diem: int = 0,
        tier: str | None = None,
        after_ms: int = 0,
        reservation: Reservation | None = None,
        quote: bool = True,
    ) -> Reservation:
        """Reserve a call if it is not, and settle it; its only id is `gen-` and its own."""
        held = reservation or await self.reserve(call_id, quote=quote)
        usage = {"model": None, "input_tokens": tokens[0], "output_tokens": tokens[1]}
        outcome = {
            "certainty": certainty,
            "nano_usd": nano_usd,
            "usage": [usage],
            "service_tier": tier,
            "generation_ids": [f"gen-{call_id}"] if ids is None else list(ids),
        }
        amounts = Amounts(
            nano_usd=nano_usd,
            input_tokens=tokens[0],
            output_tokens=tokens[1],
            credits={"DIEM": diem} if diem else {},
        )
        due = Due(queue=PROVIDER, after_ms=after_ms)
        await self.ledger.settle(held, amounts, outcome=json.dumps(outcome), due=due)
        return held

    async def expire(self, call_id: str = "a", *, ids: Sequence[str] | None = None) -> Reservation:
        """Reserve a call, and let its worker die; it had noted the id."""
        held = await self.reserve(call_id)
        await self.ledger.note_generation(call_id, [f"gen-{call_id}"] if ids is None else ids)
        await self.ledger.expire(held, due=Due(queue=PROVIDER, after_ms=0))
        return held

    async def record(self, call_id: str = "a") -> CallRecord:
        found = await self.ledger.find(call_id)
        assert found is not None
        return found

    async def standings(self) -> tuple[Standing, ...]:
        asks = [Ask(budget=each, subject="", held=0, bound=0) for each in self.budgets]
        return await self.ledger.standings(asks)

    async def spent(self) -> list[int]:
        """What each budget has spent; nothing is reserved any more."""
        standings = await self.standings()
        assert [each.reserved for each in standings] == [0] * len(standings)
        return [each.spent for each in standings]

    async def due(self) -> dict[str, int]:
        """In how many milliseconds each call's receipt is looked for."""
        key = self.ledger.keys.receipts(PROVIDER, "due")
        flat = await self.commands.execute("ZRANGE", key, 0, -1, "WITHSCORES")
        now_ms = self.clock.now_ms()
        return {flat[i].decode(): int(flat[i + 1]) - now_ms for i in range(0, len(flat), 2)}

    async def sums(self, at_ms: int | None = None) -> dict[str, int]:
        """What was added up of a day, today's if no time is given."""
        name = day_name(self.clock.now_ms() if at_ms is None else at_ms)
        key = self.ledger.keys.receipts(PROVIDER, name)
        flat = await self.commands.execute("HGETALL", key)
        return {flat[i].decode(): int(flat[i + 1]) for i in range(0, len(flat), 2)}


def world(
    ledger: RedisLedger,
    commands: Commands,
    clock: FakeClock,
    *budgets: Budget,
    places: int = 1,
    **settings: Any,
) -> World:
    """Return a world in which nothing has happened."""
    return World(
        ledger=ledger,
        commands=commands,
        clock=clock,
        budgets=budgets or (LIFE,),
        settings=ReceiptSettings.model_validate(settings),
        adapter=ScriptedAdapter(places=places),
        upstream=AnsweringUpstream(),
        watch=Witness(),
        ghosts=GhostList(),
        prices=FakePrices(),
        schedule=Schedule(commands, ledger.keys, ledger.now_ms),
    )
