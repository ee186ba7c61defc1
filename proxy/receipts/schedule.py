"""What is due, in Redis: claimed by one replica at a time, at the pace that a provider allows.

A call is put into the queue by the ledger, in the step that ends it, and taken out in the step that
books its receipt. A claim is nothing but a later time to look: a replica that dies loses nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final, Protocol

from policies.call_ids import earliest_call_id
from policies.ledger.keys import Keys

_CLAIM: Final = (files("proxy.receipts") / "lua" / "claim.lua").read_bytes()
#: The first pause when a provider wants fewer requests and does not say how many; it doubles.
SLOW_MS_MIN: Final = 30_000
SLOW_MS_MAX: Final = 900_000
#: So many are looked at to tell how many are overdue: far more than a healthy queue has.
WAITING_SEEN_MAX: Final = 10_000


class Commands(Protocol):
    """Whatever can send a command to Redis."""

    def execute(self, *command: bytes | str | int) -> Awaitable[Any]:
        """Send one command; the answer is awaited. Raises `LedgerUnavailable`."""
        ...


@dataclass(frozen=True, slots=True)
class Claimed:
    """Calls that are this replica's for a while."""

    call_ids: tuple[str, ...]
    #: For how long the provider's pace allows nothing more, in milliseconds.
    wait_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How a provider's queue stands."""

    calls: int
    #: Of them, those that can be looked for now.
    due: int
    #: When the provider takes requests again, in ms by Redis' clock; 0: it does.
    slow_until_ms: int
    #: Calls of which something came that does not add up.
    set_aside: int


class Schedule:
    """The queues of one organisation, one for each provider. Everything raises `LedgerUnavailable`."""

    def __init__(
        self,
        commands: Commands,
        keys: Keys,
        now_ms: Callable[[], int],
        *,
        slow_ms_min: int = SLOW_MS_MIN,
    ) -> None:
        """Take Redis and its clock.

        Args:
            commands: send commands to Redis.
            keys: names of the organisation's keys.
            now_ms: the time, by Redis' clock.
            slow_ms_min: the first pause when a provider wants fewer requests and says no more.
        """
        self._commands = commands
        self._keys = keys
        self._now_ms = now_ms
        self._slow_ms_min = slow_ms_min

    async def claim(
        self, provider: str, *, count_max: int, claim_ms: int, per_minute: int
    ) -> Claimed:
        """Claim what is due; each call counts as one request of the provider's pace."""
        keys = self._keys.receipts(provider, "due"), self._keys.receipts(provider, "pace")
        arguments = (self._now_ms(), count_max, claim_ms, per_minute)
        wait_ms, *ids = await self._commands.execute("EVAL", _CLAIM, 2, *keys, *arguments)
        return Claimed(tuple(each.decode() for each in ids), int(wait_ms))

    async def spend(self, provider: str, requests: int) -> None:
        """Count requests beyond the one that each claimed call has."""
        pace = self._keys.receipts(provider, "pace")
        await self._commands.execute("HINCRBYFLOAT", pace, "tokens", str(-requests))

    async def defer(self, provider: str, call_id: str, after_ms: int) -> None:
        """Look for a call's receipt later; nothing if it waits no longer."""
        due = self._keys.receipts(provider, "due")
        await self._commands.execute("ZADD", due, "XX", self._now_ms() + after_ms, call_id)

    async def drop(self, provider: str, call_id: str) -> None:
        """Look for a call's receipt no more."""
        await self._commands.execute("ZREM", self._keys.receipts(provider, "due"), call_id)

    async def slow_down(self, provider: str, wait_ms: int | None) -> int:
        """Ask a provider nothing for a while; without a time of its own, for longer each time.

        Args:
            wait_ms: how long the provider says to wait; None, or nothing at all: it does not say.

        Returns:
            for how long, in milliseconds.
        """
        pace, now_ms = self._keys.receipts(provider, "pace"), self._now_ms()
        said = await self._commands.execute("HMGET", pace, "slow_ms", "slow_until")
        before, until_ms = (int(each or 0) for each in said)
        if wait_ms:
            until_ms = max(until_ms, now_ms + wait_ms)
        elif until_ms <= now_ms:
            before = min(max(2 * before, self._slow_ms_min), SLOW_MS_MAX)
            until_ms = now_ms + before
        # Else it is slowed down already: this answers a request that was sent before.
        await self._commands.execute("HSET", pace, "slow_until", until_ms, "slow_ms", before)
        return until_ms - now_ms

    async def went_well(self, provider: str) -> None:
        """Note that a provider answers: its next pause is a short one again."""
        await self._commands.execute("HDEL", self._keys.receipts(provider, "pace"), "slow_ms")

    async def set_aside(self, provider: str, call_id: str, reason: str) -> bool:
        """Remember that what came for a call does not add up; return whether that is news."""
        aside = self._keys.receipts(provider, "aside")
        return bool(await self._commands.execute("HSETNX", aside, call_id, reason))

    async def not_aside(self, provider: str, call_id: str) -> None:
        """Forget what did not add up: the call has its end."""
        await self._commands.execute("HDEL", self._keys.receipts(provider, "aside"), call_id)

    async def asides(self, provider: str) -> dict[str, str]:
        """Return the calls of which something came that does not add up, with the reason."""
        flat = await self._commands.execute("HGETALL", self._keys.receipts(provider, "aside"))
        return {flat[i].decode(): flat[i + 1].decode() for i in range(0, len(flat), 2)}

    async def due_ms(self, provider: str, call_id: str) -> int | None:
        """Return when a call's receipt is looked for next; None: it is not waited for."""
        due = await self._commands.execute("ZSCORE", self._keys.receipts(provider, "due"), call_id)
        return None if due is None else int(float(due))

    async def aside(self, provider: str, call_id: str) -> str:
        """Return why what came for a call does not add up; empty: nothing such came."""
        found = await self._commands.execute(
            "HGET", self._keys.receipts(provider, "aside"), call_id
        )
        return (found or b"").decode()

    async def begun_before(self, provider: str, at_ms: int) -> int:
        """Return how many calls that came in before a time still wait, among those looked for next."""
        due = self._keys.receipts(provider, "due")
        ids = await self._commands.execute("ZRANGE", due, 0, WAITING_SEEN_MAX - 1)
        floor = earliest_call_id(at_ms).encode()
        return sum(each < floor for each in ids)

    async def waiting(self, provider: str) -> Waiting:
        """Return how a provider's queue stands."""
        keys, execute = self._keys, self._commands.execute
        due, now_ms = keys.receipts(provider, "due"), self._now_ms()
        slow_until = int(await execute("HGET", keys.receipts(provider, "pace"), "slow_until") or 0)
        return Waiting(
            calls=int(await execute("ZCARD", due)),
            due=int(await execute("ZCOUNT", due, "-inf", now_ms)),
            slow_until_ms=slow_until if slow_until > now_ms else 0,
            set_aside=int(await execute("HLEN", keys.receipts(provider, "aside"))),
        )

    async def claim_work(self, work: str, for_ms: int) -> bool:
        """Claim work that one replica at a time may do; the claim ends by itself."""
        key = self._keys.claim(work)
        return bool(await self._commands.execute("SET", key, "1", "NX", "PX", for_ms))
