"""Ghost spend: money that a provider billed and that no call of ours explains, booked once.

A ghost is booked like a call that nobody made: reserved without being checked, and settled at its
amount, on the budget for what belongs to nobody. The ledger does that once for each call id, and
forgets the id after three days; the list that is kept here lasts longer.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final, Literal, Protocol

import msgspec

from policies.budgets import Budget
from policies.errors import IllegalTransition, LedgerUnavailable
from policies.ledger.interface import Admission, Ask, CallRecord, Ledger
from policies.ledger.keys import Keys
from policies.reservations import State
from policies.units import Amounts

Kind = Literal["row", "late", "totals"]
#: What the call ids of ghosts begin with.
GHOST: Final = "ghost-"
#: How long ghosts are listed.
KEPT_MS: Final = 100 * 86_400_000
#: Of one provider, the latest; about 0.5 kB each.
LISTED_MAX: Final = 100_000
# A little less than the three days after which the ledger has forgotten a call.
_REMEMBERED_MS: Final = 70 * 3_600_000
_IDENTITY_CHARACTERS: Final = 26
_AT_ONCE: Final = 1_000
_BOOKING: Final = "booking"
_BOOKED: Final = "booked"
_TAKEN_BACK: Final = "taken_back"
_PUT: Final = (files("proxy.receipts") / "lua" / "ghost_put.lua").read_bytes()
_encode: Final = msgspec.json.Encoder().encode


class Commands(Protocol):
    """Whatever can send a command to Redis."""

    def execute(self, *command: bytes | str | int) -> Awaitable[Any]:
        """Send one command; the answer is awaited. Raises `LedgerUnavailable`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ghost:
    """Money that a provider billed and that no call of ours explains."""

    provider: str
    #: Names it for good among the provider's: it is booked once under this name.
    id: str
    #: `row`: of a billing history. `late`: the same, after the rest of its request was given away.
    #: `totals`: the account was billed more in a day than all calls of ours.
    kind: Kind
    #: When the provider billed it, by the provider's clock.
    at_ms: int
    #: Negative: it was given back.
    nano_usd: int
    #: Nano-units by the provider's own credits.
    credits: Mapping[str, int] = field(default_factory=dict)
    #: How many requests it was, as far as the provider tells.
    calls: int = 1
    #: For the listing: `model`, `key`, whatever is known.
    detail: Mapping[str, str] = field(default_factory=dict)

    @property
    def call_id(self) -> str:
        """Under which id the ledger knows it."""
        digest = sha256(self.id.encode()).hexdigest()
        return f"{GHOST}{self.provider}-{digest[:_IDENTITY_CHARACTERS]}"

    @property
    def amounts(self) -> Amounts:
        """What it comes to in every unit."""
        return Amounts(nano_usd=self.nano_usd, calls=self.calls, credits=self.credits)


_decode: Final = msgspec.json.Decoder(Ghost).decode


class Ghosts:
    """Books ghosts on one budget, and lists them.

    Everything raises `LedgerUnavailable`; whatever was asked for is asked for again then.
    """

    def __init__(
        self,
        ledger: Ledger,
        commands: Commands,
        keys: Keys,
        budget: Callable[[], Budget],
        *,
        listed_max: int = LISTED_MAX,
    ) -> None:
        """Take where they are kept.

        Args:
            ledger: counts them.
            commands: keeps the list.
            keys: names of the organisation's keys.
            budget: returns the budget for what belongs to nobody, as it is now.
            listed_max: how many of one provider are listed, the latest.
        """
        self._ledger = ledger
        self._commands = commands
        self._keys = keys
        self._budget = budget
        self._listed_max = listed_max

    async def book(self, ghost: Ghost) -> bool:
        """Count a ghost, unless it was counted before.

        It may break off anywhere, on any replica, and be repeated: within three days for certain.
        A ghost whose booking broke off longer ago is taken for counted, because the ledger can no
        longer tell.

        Returns:
            Whether it was news.
        """
        before, began_ms, known = await self._put(ghost, _BOOKING)
        if before in (_BOOKED, _TAKEN_BACK):
            return False
        if not before or self._ledger.now_ms() - began_ms < _REMEMBERED_MS:
            await self._charge(known)
        before, _, _ = await self._put(known, _BOOKED)
        return before == _BOOKING

    async def take_back(self, provider: str, ghost_id: str) -> bool:
        """Count a ghost no longer: a call has turned up that explains it.

        Returns:
            Whether that was news. Not if there is no such ghost, or it was booked more than three
            days ago: then it stays.
        """
        stored = await self._commands.execute("HGET", self._names(provider)[0], ghost_id)
        if stored is None:
            return False
        state, ghost = _stored(stored)
        if state == _TAKEN_BACK:
            return False
        if state == _BOOKING:
            await self.book(ghost)
        record = await self._ledger.find(ghost.call_id)
        if record is None:
            return False
        said = _json(nano_usd=0, reason="a call of ours explains it")
        await self._ledger.receipt(record.reservation, Amounts(calls=0), outcome=said)
        before, _, _ = await self._put(ghost, _TAKEN_BACK)
        return before == _BOOKED

    async def list(self, provider: str, since_ms: int, count_max: int) -> Sequence[Ghost]:
        """Return what was booked, the latest first.

        Args:
            provider: whose.
            since_ms: when it was billed, or later; by the provider's clock.
            count_max: how many at most.
        """
        found: list[Ghost] = []
        async for ghost in self._latest(provider, since_ms):
            if len(found) >= count_max:
                break
            found.append(ghost)
        return found

    async def total(self, provider: str, since_ms: int) -> tuple[int, int]:
        """Return how many requests and how many nano-dollars were booked, of those that are listed."""
        calls = nano_usd = 0
        async for ghost in self._latest(provider, since_ms):
            calls += ghost.calls
            nano_usd += ghost.nano_usd
        return calls, nano_usd

    async def _charge(self, ghost: Ghost) -> None:
        budget, amounts = self._budget(), ghost.amounts
        # Should this break off, the reservation runs out and is charged as it was held.
        held = max(0, amounts.of(budget.unit))
        subject = "" if budget.each is None else "-"
        ask = Ask(budget=budget, subject=subject, held=held, bound=held)
        await self._ledger.reserve(
            ghost.call_id, [ask], data=_data(ghost), admission=Admission.FORCE
        )
        record = await self._ledger.find(ghost.call_id)
        if record is None:
            raise LedgerUnavailable(f"the reservation of {ghost.call_id} is gone")
        await self._settle(record, ghost)

    async def _settle(self, record: CallRecord, ghost: Ghost) -> None:
        if record.state not in (State.RESERVED, State.EXPIRED):
            return
        try:
            await self._ledger.settle(record.reservation, ghost.amounts, outcome=_outcome(ghost))
        except IllegalTransition:
            return  # Another replica was faster, and it was taken back already.

    async def _latest(self, provider: str, since_ms: int) -> AsyncIterator[Ghost]:
        """Yield what was booked, the latest first, each once, though more may come meanwhile."""
        by_id, by_time = self._names(provider)
        seen: set[bytes] = set()
        offset, execute = 0, self._commands.execute
        while ids := await execute(
            "ZREVRANGEBYSCORE", by_time, "+inf", since_ms, "LIMIT", offset, _AT_ONCE
        ):
            offset += len(ids)
            for ghost_id, stored in zip(ids, await execute("HMGET", by_id, *ids), strict=True):
                if ghost_id in seen or stored is None:
                    continue
                seen.add(ghost_id)
                state, ghost = _stored(stored)
                if state == _BOOKED:
                    yield ghost

    async def _put(self, ghost: Ghost, state: str) -> tuple[str, int, Ghost]:
        """Move a ghost on in the list; return its state before, since when, and what it is."""
        now_ms = self._ledger.now_ms()
        before, began, known = await self._commands.execute(
            "EVAL",
            _PUT,
            2,
            *self._names(ghost.provider),
            ghost.id,
            state,
            _encode(ghost),
            ghost.at_ms,
            now_ms,
            now_ms - KEPT_MS,
            self._listed_max,
        )
        return before.decode(), int(began), _decode(known)

    def _names(self, provider: str) -> tuple[str, str]:
        receipts = self._keys.receipts
        return receipts(provider, "ghosts"), receipts(provider, "ghosts-by-time")


def _stored(text: bytes) -> tuple[str, Ghost]:
    """Return state and ghost of an entry of the list."""
    state, _, ghost = text.split(b"|", 2)
    return state.decode(), _decode(ghost)


def _data(ghost: Ghost) -> str:
    """Return who asked for what, as other calls have it: nobody did."""
    return _json(
        provider=ghost.provider,
        team=None,
        model=ghost.detail.get("model"),
        ghost=ghost.kind,
        ghost_id=ghost.id,
    )


def _outcome(ghost: Ghost) -> str:
    return _json(
        nano_usd=ghost.nano_usd,
        credits=dict(ghost.credits),
        calls=ghost.calls,
        billed_at_ms=ghost.at_ms,
        detail=dict(ghost.detail),
    )


def _json(**fields: object) -> str:
    return json.dumps(fields, separators=(",", ":"))
