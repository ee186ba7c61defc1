"""However calls, bills, receipts, comparisons and crashes interleave: exactly the ghosts are booked."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from policies.clock import SystemClock
from policies.errors import LedgerUnavailable
from policies.ledger.address import Address, parse_url
from policies.ledger.connection import Connection
from policies.ledger.memory import MemoryLedger
from proxy.billing_settings import ReceiptSettings
from proxy.receipts.accounts import Account
from proxy.tasks import Tasks
from tests.doubles.fake_clock import FakeClock
from tests.proxy.receipts.totals_world import DAY_MS, HOUR_MS, MINUTE_MS, PLAIN, World

KEYED = Account(name="agi", providers=("agi",), key_ids=frozenset({"key_own"}))


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A call of which it is not decided yet what it explains."""

    nano_usd: int
    reserved_ms: int
    decided_ms: int
    explains: bool


class History:
    """What happens to one account."""

    def __init__(self, data: DataObject, world: World) -> None:
        self.draw = data.draw
        self.world = world
        self.waiting: list[Waiting] = []
        self.ghosts: list[tuple[int, int]] = []

    async def run(self) -> None:
        world = self.world
        # Some begin shortly before midnight, where days are told apart.
        world.clock.advance(self.draw(st.sampled_from([0, 10 * HOUR_MS + 40 * MINUTE_MS])))
        await world.begin()
        for _ in range(self.draw(st.integers(1, 25))):
            action = self.draw(
                st.sampled_from([self.call, self.around, self.wait, self.poll, self.crash])
            )
            await action()
            assert await world.spent() <= self._true_until(world.clock.now_ms())
        await self._quiet()

    async def _quiet(self) -> None:
        for pause_ms in (2 * HOUR_MS, DAY_MS, DAY_MS, DAY_MS):
            await self._advance(pause_ms)
            for _ in range(2):
                await self.world.poll()
        assert await self.world.spent() == sum(nano_usd for _, nano_usd in self.ghosts)
        found = sum(ghost.nano_usd for ghost in await self.world.found())
        assert found == await self.world.spent()

    async def call(self) -> None:
        """Make a call, which is billed when it ends, and decided later."""
        nano_usd = self.draw(st.integers(1, 1_000))
        now_ms = self.world.clock.now_ms()
        billed_ms = now_ms + self.draw(st.integers(0, 3) | st.integers(0, 170)) * MINUTE_MS
        self.world.bill(nano_usd, at_ms=billed_ms)
        decided_ms = billed_ms + self.draw(st.integers(0, 5) | st.integers(0, 1_400)) * MINUTE_MS
        explains = self.draw(st.booleans())
        if not explains:
            self.ghosts.append((billed_ms, nano_usd))
        call = Waiting(
            nano_usd=nano_usd, reserved_ms=now_ms, decided_ms=decided_ms, explains=explains
        )
        self.waiting.append(call)
        await self._advance(0)

    async def around(self) -> None:
        """Let something be billed that went around the proxy, with our key or another one."""
        nano_usd, key = self.draw(st.integers(1, 1_000)), self.draw(st.sampled_from(KEYS))
        self.ghosts.append((self.world.bill(nano_usd, key=key), nano_usd))

    async def wait(self) -> None:
        await self._advance(self.draw(st.integers(1, 5) | st.integers(1, 500)) * MINUTE_MS)

    async def poll(self) -> None:
        await self.world.poll()

    async def crash(self) -> None:
        """Let a replica die at some step of a comparison."""
        step, after = self.draw(st.integers(0, 30)), self.draw(st.booleans())
        await self.world.unclaim()
        self.world.steps.break_at(step, after=after)
        try:
            await self.world.replica().run_once()
        except LedgerUnavailable:
            pass
        finally:
            self.world.steps.hold()

    async def _advance(self, pause_ms: int) -> None:
        """Let time pass, and decide what is to be decided by then."""
        self.world.clock.advance(pause_ms)
        now_ms = self.world.clock.now_ms()
        for each in [each for each in self.waiting if each.decided_ms <= now_ms]:
            self.waiting.remove(each)
            if each.explains:
                await self.world.explain(each.nano_usd, each.reserved_ms)
        self.world.waiting_ms[:] = [each.reserved_ms for each in self.waiting]

    def _true_until(self, now_ms: int) -> int:
        return sum(nano_usd for billed_ms, nano_usd in self.ghosts if billed_ms <= now_ms)


KEYS = ("key_own", "key_own", "key_2", None)


@pytest.mark.parametrize("account", [PLAIN, KEYED], ids=["one", "keyed"])
def test_any_interleaving_books_exactly_the_ghosts(
    redis_url: str, organization: str, account: Account
) -> None:
    examples = iter(range(10_000))

    async def example(data: DataObject) -> None:
        async def resolve() -> Address:
            return parse_url(redis_url).addresses[0]

        tasks = Tasks()
        connection = Connection(resolve, timeout_s=5, spawn=tasks.spawn, clock=SystemClock())
        await connection.open()
        clock = FakeClock()
        after = data.draw(st.sampled_from(["1s", "5m", "1h"]))
        try:
            world = World(
                clock,
                connection,
                MemoryLedger(clock),
                f"{organization}-{account.key_ids != frozenset()}-{next(examples)}",
                account=account,
                settings=ReceiptSettings.model_validate({"ghost_after": after}),
            )
            await History(data, world).run()
        finally:
            await connection.close()
            await tasks.close()

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.data())
    def check(data: DataObject) -> None:
        asyncio.run(example(data))

    check()
