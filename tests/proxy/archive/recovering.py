"""A ledger in a real Redis with its archive, for tests of what is compared and given back."""

from __future__ import annotations

from dataclasses import dataclass, field

from policies.budgets import Caller
from policies.ledger.connection import Connection
from policies.ledger.interface import Due
from policies.ledger.redis_ledger import RedisLedger
from policies.reservations import Reservation
from policies.rulebook import Rulebook
from policies.units import Amounts
from proxy.archive.database import Database
from proxy.archive.rebuild import Sources
from proxy.archive.recovery.calls import ArchivedCall
from tests.doubles.clocked_scripts import clock_key
from tests.doubles.emptied_redis import archive, forget
from tests.doubles.fake_clock import FakeClock
from tests.doubles.past_calls import PastCall, outcome

DAY_MS = 86_400_000
QUEUE = "venice"


def due_of(call: ArchivedCall) -> Due | None:
    waits = call.record.state in ("settled", "expired")
    return Due(queue=QUEUE, after_ms=5_000) if waits else None


@dataclass
class Kept:
    """The ledger, its archive, and calls on it."""

    ledger: RedisLedger
    connection: Connection
    database: Database
    organization: str
    clock: FakeClock
    rulebook: Rulebook
    held: dict[str, Reservation] = field(default_factory=dict)
    archived_to: str = "-"

    @property
    def sources(self) -> Sources:
        return Sources(
            ledger=self.ledger,
            commands=self.connection,
            keys=self.ledger.keys,
            database=self.database,
            organization=self.organization,
            rulebook=self.rulebook,
            due_of=due_of,
            give_up_after_ms=DAY_MS,
            queues=(QUEUE,),
        )

    async def call(self, call_id: str, nano_usd: int = 10, settled: int | None = None) -> None:
        caller = Caller(key_id="k", team="red", user="ann")
        call = PastCall(call_id, caller, nano_usd, nano_usd, 1, 1)
        held = await call.reserve(self.ledger, self.rulebook)
        assert held is not None
        self.held[call_id] = held
        if settled is not None:
            await self.settle(call_id, settled)

    async def settle(self, call_id: str, nano_usd: int) -> None:
        amounts = Amounts(nano_usd=nano_usd)
        due = Due(queue=QUEUE, after_ms=0)
        held = self.held[call_id]
        await self.ledger.settle(held, amounts, outcome=outcome(amounts), due=due)

    async def archive(self) -> None:
        self.archived_to = await archive(
            self.connection,
            self.ledger.keys,
            self.database,
            self.organization,
            self.archived_to,
        )

    async def empty(self) -> None:
        await forget(self.connection, self.ledger.keys)
        self.archived_to = "-"
        await self.set_time()

    async def set_time(self) -> None:
        await self.connection.execute("SET", clock_key(self.organization), self.clock.now_ms())

    async def hash(self, counter: str) -> dict[str, int]:
        flat = await self.connection.execute("HGETALL", self.ledger.keys.counter(counter))
        return {flat[at].decode(): int(flat[at + 1]) for at in range(0, len(flat), 2)}

    async def waiting(self) -> list[str]:
        due = self.ledger.keys.receipts(QUEUE, "due")
        return [each.decode() for each in await self.connection.execute("ZRANGE", due, 0, -1)]
