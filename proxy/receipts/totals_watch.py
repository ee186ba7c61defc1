"""How far an account's totals were compared: one text in Redis, replaced only as it was read.

A ghost is written into it before it is booked, together with the mark up to which its day is booked;
whoever reads it next books the ghost first. So it is booked once, whatever breaks off in between and
whoever comes late: a replica that knows an older text cannot replace a newer one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import Any, Final, Protocol

import msgspec

from policies.errors import BursarError
from proxy.receipts.ghosts import Ghost, Ghosts
from proxy.receipts.unexplained import MINUTES_PER_DAY, NOTHING, Sum

_SWAP: Final = (files("proxy.receipts") / "lua" / "ghost_swap.lua").read_bytes()


class Commands(Protocol):
    """Whatever can send a command to Redis."""

    def execute(self, *command: bytes | str | int) -> Awaitable[Any]:
        """Send one command; the answer is awaited. Raises `LedgerUnavailable`."""
        ...


class Overtaken(BursarError):
    """Another replica has gone on meanwhile: it knows at least as much as this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What must survive; minutes and days are counted since the epoch, by the provider's clock."""

    #: What is compared with what: with another scope the watch begins anew.
    scope: str
    #: The minute at which it began: what was spent before is no ghost.
    since: int
    #: The first day that may still change.
    day: int
    #: What of that day is explained by calls before it; None: it is the day of the beginning.
    carry: Sum | None = None
    #: What was booked of each day that may still change, by day and mark.
    booked: Mapping[str, Sum] = field(default_factory=dict)
    #: How many ghosts there have been, to tell them apart by.
    number: int = 0
    #: The ghost that is being booked.
    ghost: Ghost | None = None

    @property
    def first(self) -> int:
        """The first minute that may still change."""
        return max(self.since, self.day * MINUTES_PER_DAY)

    def booked_of(self, mark: str) -> Mapping[int, Sum]:
        """Return what was booked under a mark, by day."""
        named = ((*name.partition(":"), each) for name, each in self.booked.items())
        return {int(day): each for day, _, other, each in named if other == mark}

    def booking(self, day: int, mark: str, ghost: Ghost) -> Watch:
        """Return it with a ghost that is being booked."""
        name = f"{day}:{mark}"
        more = Sum(ghost.nano_usd, ghost.calls)
        booked = {**self.booked, name: self.booked.get(name, NOTHING) + more}
        return replace(self, booked=booked, number=self.number + 1, ghost=ghost)

    def closed(self, carry: Sum) -> Watch:
        """Return it without its first day, of which so much is left to the next."""
        prefix = f"{self.day}:"
        booked = {name: each for name, each in self.booked.items() if not name.startswith(prefix)}
        return replace(self, day=self.day + 1, carry=carry, booked=booked)


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Watch).decode


class KeptWatch:
    """The watch over one account, as one replica knows it. Everything raises `LedgerUnavailable`."""

    def __init__(self, commands: Commands, name: str, ghosts: Ghosts) -> None:
        """Take what keeps it, under which name, and what books its ghosts."""
        self._commands = commands
        self._name = name
        self._ghosts = ghosts
        self._text = b""
        #: As it was last read or written; None: there is none.
        self.now: Watch | None = None

    async def load(self) -> None:
        """Read it."""
        self._text = await self._commands.execute("GET", self._name) or b""
        self.now = _decode(self._text) if self._text else None

    async def keep(self, watch: Watch) -> None:
        """Write it.

        Raises:
            Overtaken: another replica has written since it was read.
        """
        text = _encode(watch)
        if not await self._commands.execute("EVAL", _SWAP, 1, self._name, self._text, text):
            raise Overtaken("another replica compares the same totals")
        self._text, self.now = text, watch

    async def finish(self) -> tuple[Ghost, ...]:
        """Book the ghost that is being booked, whoever began it; return it if that was news.

        Raises:
            Overtaken: another replica has written since it was read; it books the ghost too.
        """
        watch = self.now
        if watch is None or watch.ghost is None:
            return ()
        is_news = await self._ghosts.book(watch.ghost)
        await self.keep(replace(watch, ghost=None))
        return (watch.ghost,) if is_news else ()
