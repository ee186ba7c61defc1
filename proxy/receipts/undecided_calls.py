"""Calls of which it is not decided yet what they explain: in flight, or waiting for their receipt."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from importlib.resources import files
from typing import Any, Final, Protocol

from policies.ledger.keys import Keys
from proxy.receipts.ghosts import GHOST

# Hundreds of records are looked at in a millisecond; 100,000 waiting calls are 200 such steps.
_AT_ONCE: Final = 500
_OLDEST: Final = (files("proxy.receipts") / "lua" / "ghost_oldest.lua").read_bytes()


class Commands(Protocol):
    """Whatever can send a command to Redis."""

    def execute(self, *command: bytes | str | int) -> Awaitable[Any]:
        """Send one command; the answer is awaited. Raises `LedgerUnavailable`."""
        ...


class UndecidedCalls:
    """The undecided calls of some providers."""

    def __init__(self, commands: Commands, keys: Keys, providers: Sequence[str]) -> None:
        self._commands = commands
        self._keys = keys
        # In the order in which calls go through them, so that none is missed on its way: who has
        # left the first by the time it is read is in the second, or is decided.
        due = (keys.receipts(provider, "due") for provider in providers)
        self._queues = (keys.deadlines, *due)

    async def oldest_ms(self) -> int | None:
        """Return when the oldest of them was reserved, by Redis' clock; None: there is none.

        Calls in flight are looked at whoever their provider is. All are looked at: the queues are
        ordered by other times than this one.

        Raises:
            LedgerUnavailable: that is not known now.
        """
        oldest: int | None = None
        for queue in self._queues:
            async for call_ids in self._members(queue):
                found = await self._oldest_of(call_ids)
                if found is not None and (oldest is None or found < oldest):
                    oldest = found
        return oldest

    async def _oldest_of(self, call_ids: Sequence[str]) -> int | None:
        records = [self._keys.call(each) for each in call_ids if not each.startswith(GHOST)]
        if not records:
            return None
        found = await self._commands.execute("EVAL", _OLDEST, len(records), *records)
        return int(found) if found else None

    async def _members(self, queue: str) -> AsyncIterator[Sequence[str]]:
        """Yield all that are in a queue from the beginning to the end of this."""
        cursor = b"0"
        while True:
            cursor, found = await self._commands.execute("ZSCAN", queue, cursor, "COUNT", _AT_ONCE)
            if found:
                yield [member.decode() for member in found[::2]]
            if cursor == b"0":
                return
