"""What was told and what is still to be sent, in Redis: shared by all replicas, survives all of them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final, Protocol

from policies.clock import rfc3339
from policies.ledger.keys import Keys
from proxy.alerts.alert import ENDED_KIND, JOURNAL_KIND, Alert

_RAISE: Final = (files("proxy.alerts") / "lua" / "raise.lua").read_bytes()
_END: Final = (files("proxy.alerts") / "lua" / "end.lua").read_bytes()


class Commands(Protocol):
    """Whatever can send a command to Redis."""

    def execute(self, *command: bytes | str | int) -> Awaitable[Any]:
        """Send one command; the answer is awaited. Raises `LedgerUnavailable`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One alert on its way to one receiver."""

    #: The same at each attempt: receivers know repetitions by it.
    id: str
    receiver: str
    alert: Mapping[str, Any]
    #: When it was told first, in ms by Redis' clock.
    at_ms: int
    attempts: int = 0


class Outbox:
    """The marks and the messages of one organisation. Everything raises `LedgerUnavailable`."""

    def __init__(self, commands: Commands, keys: Keys, now_ms: Callable[[], int]) -> None:
        """Take Redis and its clock."""
        self._commands = commands
        self._keys = keys
        self._now_ms = now_ms

    async def tell(self, alert: Alert, receivers: Collection[str]) -> bool:
        """Tell of an alert, unless its mark stands; return whether it is news."""
        now_ms = self._now_ms()
        document = {
            "topic": alert.topic.value,
            "name": alert.name,
            "text": alert.text,
            "at": rfc3339(now_ms),
            **alert.facts,
        }
        messages: list[str] = []
        for receiver in receivers:
            message_id = f"{alert.mark}|{now_ms}|{receiver}"
            text = {"receiver": receiver, "alert": document, "at_ms": now_ms, "attempts": 0}
            messages += (message_id, json.dumps(text))
        keys = (self._marks, self._messages, self._due, self._keys.journal)
        arguments = (alert.mark, alert.until_ms or 0, json.dumps(document), JOURNAL_KIND, now_ms)
        return bool(
            await self._commands.execute("EVAL", _RAISE, len(keys), *keys, *arguments, *messages)
        )

    async def tidy(self, found: Collection[str]) -> Sequence[str]:
        """Take away the marks of what is over; return those of what was found no more.

        Args:
            found: the marks of all alerts that were found just now.
        """
        now_ms, over, expired = self._now_ms(), [], []
        flat = await self._commands.execute("HGETALL", self._marks)
        for name, ends in zip(flat[::2], flat[1::2], strict=True):
            if int(ends) and int(ends) <= now_ms:
                expired.append(name.decode())
            elif not int(ends) and name.decode() not in found:
                over.append(name.decode())
        for mark in over:
            await self._end(mark)
        if expired:
            await self._commands.execute("HDEL", self._marks, *expired)
        return over

    async def _end(self, mark: str) -> None:
        """Journal that something is over, as its mark goes; once, whoever else does it too."""
        topic, _, name = mark.partition("|")
        data = json.dumps({"topic": topic, "name": name})
        keys = (self._marks, self._keys.journal)
        await self._commands.execute(
            "EVAL", _END, len(keys), *keys, mark, data, ENDED_KIND, self._now_ms()
        )

    async def due(self, count_max: int) -> Sequence[Message]:
        """Return what is to be sent now, the oldest first."""
        ids = await self._commands.execute(
            "ZRANGEBYSCORE", self._due, "-inf", self._now_ms(), "LIMIT", 0, count_max
        )
        if not ids:
            return ()
        texts = await self._commands.execute("HMGET", self._messages, *ids)
        return [
            Message(id=each.decode(), **json.loads(text))
            for each, text in zip(ids, texts, strict=True)
            if text is not None
        ]

    async def again(self, message: Message, after_ms: int) -> None:
        """Send a message once more, later."""
        text = {
            "receiver": message.receiver,
            "alert": message.alert,
            "at_ms": message.at_ms,
            "attempts": message.attempts + 1,
        }
        await self._commands.execute("HSET", self._messages, message.id, json.dumps(text))
        await self._commands.execute("ZADD", self._due, self._now_ms() + after_ms, message.id)

    async def done(self, message: Message) -> None:
        """Send a message no more."""
        await self._commands.execute("ZREM", self._due, message.id)
        await self._commands.execute("HDEL", self._messages, message.id)

    async def waiting(self) -> int:
        """Return how many messages are not delivered yet."""
        return int(await self._commands.execute("ZCARD", self._due))

    @property
    def _marks(self) -> str:
        return self._keys.alerts("marks")

    @property
    def _messages(self) -> str:
        return self._keys.alerts("messages")

    @property
    def _due(self) -> str:
        return self._keys.alerts("due")
