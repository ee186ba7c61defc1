"""The round that looks for what is to be told, and tells it: one replica at a time."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

from policies.errors import BursarError, LedgerUnavailable
from policies.ledger.keys import Keys
from proxy.alerts.alert import Alert
from proxy.alerts.delivery import Delivery
from proxy.alerts.outbox import Commands, Outbox

#: A replica that dies in mid-round is replaced after so many rounds.
_ROUNDS_HELD: Final = 4
_HELD_MS_MIN: Final = 10_000

#: Something that alerts are made from, such as budgets; may raise any `BursarError`.
Source = Callable[[], Awaitable[Sequence[Alert]]]


class Observer(Protocol):
    """Whoever tells operators."""

    def alert_raised(self, alert: Alert) -> None:
        """Something is told."""
        ...

    def alert_ended(self, mark: str) -> None:
        """What was told is over."""
        ...

    def alerts_failed(self, source: str, reason: str) -> None:
        """What alerts are made from could not be read."""
        ...

    def alerts_waiting(self, count: int) -> None:
        """So many messages are not delivered yet."""
        ...


class AlertWork:
    """Looks, tells and delivers."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        outbox: Outbox,
        delivery: Delivery,
        *,
        commands: Commands,
        keys: Keys,
        every_ms: int,
        observer: Observer,
    ) -> None:
        """Take what alerts are made from, by name, and who is told."""
        self._sources = sources
        self._outbox = outbox
        self._delivery = delivery
        self._commands = commands
        self._claim = keys.claim("alerts")
        self._owner = secrets.token_hex(8)
        self._every_ms = every_ms
        self._observer = observer

    async def run(self) -> None:
        """Go on for ever."""
        while True:
            # What there was to tell is found again when the ledger is back.
            with contextlib.suppress(LedgerUnavailable):
                await self.round()
            await asyncio.sleep(self._every_ms / 1000)

    async def round(self) -> bool:
        """Look once, if no other replica does; return whether it was this one's turn.

        Raises:
            LedgerUnavailable: the ledger does not answer.
        """
        if not await self._is_ours():
            return False
        found, complete = await self._look()
        for alert in found:
            if await self._outbox.tell(alert, self._delivery.receivers):
                self._observer.alert_raised(alert)
        if complete:
            for mark in await self._outbox.tidy({alert.mark for alert in found}):
                self._observer.alert_ended(mark)
        await self._delivery.deliver()
        self._observer.alerts_waiting(await self._outbox.waiting())
        return True

    async def _is_ours(self) -> bool:
        held_ms = max(_HELD_MS_MIN, _ROUNDS_HELD * self._every_ms)
        took = await self._commands.execute("SET", self._claim, self._owner, "NX", "PX", held_ms)
        if took:
            return True
        owner = await self._commands.execute("GET", self._claim)
        if owner is None or owner.decode() != self._owner:
            return False
        # Should it end just now and another replica begin: each alert is told once all the same.
        await self._commands.execute("PEXPIRE", self._claim, held_ms)
        return True

    async def _look(self) -> tuple[list[Alert], bool]:
        """Return what there is to tell, and whether everything could be looked at."""
        found: list[Alert] = []
        complete = True
        for name, source in self._sources.items():
            try:
                found += await source()
            except LedgerUnavailable:
                raise
            except BursarError as fault:
                complete = False
                self._observer.alerts_failed(name, str(fault))
        return found, complete
