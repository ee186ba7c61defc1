"""Grants as the organisation's Redis keeps them: how administrators change them, and workers know them.

Each worker has all of them in memory, so that a grant costs a call no round trip; a version in Redis
tells it when to read them again.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from policies.budgets import Budget
from policies.errors import BursarError
from policies.grants import ENDED, MADE, Grant, Grants, Wish
from policies.ledger.keys import Keys
from policies.units import amount_text

ID_PREFIX: Final = "grant_"
_ID_CHARACTERS: Final = 16
# Each worker holds all of them, about 1 KiB each; a raise for each of some thousand users fits.
ACTIVE_MAX: Final = 10_000
# What is over is in the journal for good. Here it is kept for lists, and so that a request that is
# sent again finds what it made.
OVER_MAX: Final = 1_000
OVER_KEPT_MS: Final = 90 * 86_400_000
ONCE_CHARACTERS_MAX: Final = 256
# Administrators rarely change grants in the same millisecond; after this many times it is a fault.
_TRIES_MAX: Final = 20
_COUNTER: Final = (files("policies.ledger") / "lua" / "counter.lua").read_bytes()
_CHANGE: Final = _COUNTER + b"\n" + (files("proxy") / "grant_store.lua").read_bytes()
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Grant).decode


class Commands(Protocol):
    """Whatever can send a command to Redis."""

    def execute(self, *command: bytes | str | int) -> Awaitable[Any]:
        """Send one command; the answer is awaited. Raises `LedgerUnavailable`."""
        ...


class UnknownGrant(BursarError):
    """There is no grant with this id."""


class OnceUsed(BursarError):
    """Another grant was asked for with the same idempotency key."""


class GrantsBusy(BursarError):
    """Grants are being changed by others all the time: try again."""


class Who(NamedTuple):
    """Who does something, and from where, as the journal says it."""

    actor: str
    #: An address, or `cli`.
    origin: str


class _Kept(NamedTuple):
    """All grants as they were read at once."""

    version: int
    grants: Mapping[str, Grant]
    #: Rows that another version of the program wrote.
    unreadable: int


class _Change(NamedTuple):
    """One grant as it is to be from now on."""

    #: Of the journal's entry; empty: it has one already.
    kind: str
    grant: Grant


class GrantStore:
    """Makes, lists and ends grants; for administrators."""

    def __init__(self, commands: Commands, keys: Keys, now_ms: Callable[[], int]) -> None:
        """Take the time from `now_ms`, the ledger's: by that clock grants end, on every replica."""
        self._commands = commands
        self._keys = keys
        self._now_ms = now_ms

    async def make(self, wish: Wish, who: Who, *, once: str | None = None) -> tuple[Grant, bool]:
        """Grant what is wanted; return the grant, and whether it is new.

        Args:
            once: an idempotency key: however often the same person sends the same wish with it,
                one grant is made.

        Raises:
            ValueError: the limit would be more than can be counted exactly, there are too many
                grants, or the idempotency key is none.
            OnceUsed: the idempotency key came with another wish before.
            GrantsBusy: others change grants all the time.
            LedgerUnavailable: it may have been made; with the same `once` it is safe to try again.
        """
        grant_id = _once_id(who, once) if once is not None else _random_id()
        outcome: list[tuple[Grant, bool]] = []

        def made(kept: Mapping[str, Grant]) -> _Change | None:
            now_ms = self._now_ms()
            if (before := kept.get(grant_id)) is not None:
                _check_same(before, wish)
                outcome[:] = [(before, False)]
                return None
            _check_room(kept.values(), wish, now_ms)
            grant = Grant(
                id=grant_id,
                budget=wish.budget.name,
                subject=wish.subject,
                unit=wish.budget.unit,
                amount=wish.amount,
                made_ms=now_ms,
                expires_ms=now_ms + wish.for_ms,
                reason=wish.reason,
                actor=who.actor,
            )
            outcome[:] = [(grant, True)]
            return _Change(MADE, grant)

        await self._change(made, who)
        return outcome[0]

    async def end(self, grant_id: str, who: Who, *, budget: str | None = None) -> Grant:
        """End a grant before its time. Doing it again, or when it is over, changes nothing.

        Args:
            budget: the name of the budget that it must belong to; None: any.

        Raises:
            UnknownGrant: there is no such grant.
            GrantsBusy: others change grants all the time.
            LedgerUnavailable: it may have ended; trying again is safe.
        """
        outcome: list[Grant] = []

        def ended(kept: Mapping[str, Grant]) -> _Change | None:
            now_ms = self._now_ms()
            grant = kept.get(grant_id)
            if grant is None or budget not in (None, grant.budget):
                whose = "" if budget is None else f" of budget '{budget}'"
                raise UnknownGrant(f"there is no grant {grant_id}{whose}")
            if not grant.is_active(now_ms):
                outcome[:] = [grant]
                return None
            grant = replace(grant, ended_ms=now_ms, ended_by=who.actor)
            outcome[:] = [grant]
            return _Change(ENDED, grant)

        await self._change(ended, who)
        return outcome[0]

    async def restore(self, grant: Grant) -> bool:
        """Put back what the journal has of a grant and Redis has lost; it is not journalled again.

        Returns:
            Whether it was put back: not if it is there, whatever became of it, or is over.

        Raises:
            GrantsBusy: others change grants all the time.
            LedgerUnavailable: it may have been put back; trying again is safe.
        """
        put_back = False

        def restored(kept: Mapping[str, Grant]) -> _Change | None:
            nonlocal put_back
            put_back = grant.id not in kept and grant.is_active(self._now_ms())
            return _Change("", grant) if put_back else None

        await self._change(restored, Who(grant.actor, ""))
        return put_back

    async def list(self) -> Sequence[Grant]:
        """Return all grants, those that were over lately too, the newest first.

        Raises:
            LedgerUnavailable: the ledger did not answer.
        """
        kept = await _read(self._commands, self._keys)
        newest = sorted(kept.grants.values(), key=lambda grant: grant.id)
        return sorted(newest, key=lambda grant: grant.made_ms, reverse=True)

    async def _change(
        self, decide: Callable[[Mapping[str, Grant]], _Change | None], who: Who
    ) -> None:
        """Read, decide, and write if nobody else has written meanwhile; else begin again."""
        keys = self._keys
        for _ in range(_TRIES_MAX):
            version, grants, _ = await _read(self._commands, keys)
            change = decide(grants)
            if change is None:
                return
            kind, grant = change
            forgotten = _forgotten(grants.values(), self._now_ms(), grant.id)
            arguments: list[bytes | str | int] = [
                *(version, grant.id, _encode(grant)),
                *(kind, json.dumps(grant.journalled(who.origin)), *forgotten),
            ]
            done = await self._commands.execute(
                "EVAL", _CHANGE, 3, keys.grants, keys.grants_version, keys.journal, *arguments
            )
            if int(done) >= 0:
                return
        raise GrantsBusy("grants are being changed by others all the time: try again")


class GrantBook:
    """The grants as one worker knows them."""

    def __init__(self, commands: Commands, keys: Keys, now_ms: Callable[[], int]) -> None:
        """Take the time from `now_ms`, the ledger's: by that clock grants end, on every replica."""
        self._commands = commands
        self._keys = keys
        self._now_ms = now_ms
        #: What is known.
        self.grants = Grants()
        #: The version of what is known; -1 before anything was read.
        self.version = -1
        #: Rows that this version of the program cannot read; these raise nothing.
        self.unreadable = 0

    async def refresh(self) -> None:
        """Read all grants anew. Raises `LedgerUnavailable`; then what was known stays."""
        version, grants, unreadable = await _read(self._commands, self._keys)
        self.grants = Grants(grants.values())
        self.version, self.unreadable = version, unreadable

    async def refresh_if_changed(self) -> None:
        """Ask for the version, and read all grants anew if it has changed.

        To be called every second: so soon a grant counts, or one that was ended no longer does.

        Raises:
            LedgerUnavailable: what was known stays.
        """
        version = await self._commands.execute("GET", self._keys.grants_version)
        if int(version or 0) != self.version:
            await self.refresh()

    def raised(self, budget: Budget, subject: str) -> Budget:
        """Return a budget with what is granted now; the very same one if nothing is."""
        if not self.grants:
            return budget
        return self.grants.raised(budget, subject, self._now_ms())


async def _read(commands: Commands, keys: Keys) -> _Kept:
    """Return all grants. The version is read first: they may be newer than it says, never older."""
    version = await commands.execute("GET", keys.grants_version)
    rows = await commands.execute("HGETALL", keys.grants)
    values = rows[1::2] if isinstance(rows, list) else rows.values()
    grants, unreadable = {}, 0
    for row in values:
        try:
            grant = _decode(row)
        except msgspec.DecodeError:
            unreadable += 1
        else:
            grants[grant.id] = grant
    return _Kept(int(version or 0), grants, unreadable)


def _random_id() -> str:
    return ID_PREFIX + secrets.token_hex(_ID_CHARACTERS // 2)


def _once_id(who: Who, once: str) -> str:
    """Return the id of what somebody makes with an idempotency key; others' keys are others'."""
    if not 0 < len(once) <= ONCE_CHARACTERS_MAX:
        raise ValueError(f"an idempotency key has 1 to {ONCE_CHARACTERS_MAX} characters")
    digest = sha256(json.dumps([who.actor, once]).encode()).hexdigest()
    return ID_PREFIX + digest[:_ID_CHARACTERS]


def _check_same(before: Grant, wish: Wish) -> None:
    asked = (wish.budget.name, wish.subject, wish.budget.unit, wish.amount, wish.reason)
    found = (before.budget, before.subject, before.unit, before.amount, before.reason)
    if asked != found or wish.for_ms != before.expires_ms - before.made_ms:
        raise OnceUsed(
            f"this idempotency key was used for another grant, {before.id}: use a new one"
        )


def _check_room(kept: Iterable[Grant], wish: Wish, now_ms: int) -> None:
    active = [grant for grant in kept if grant.is_active(now_ms)]
    if len(active) >= ACTIVE_MAX:
        raise ValueError(f"there are {ACTIVE_MAX} grants already: a new one has no room")
    budget = wish.budget
    room = Grants(active).room(budget, wish.subject, now_ms)
    if wish.amount > room:
        raise ValueError(
            f"{amount_text(budget.unit, wish.amount)} more is above what can be counted exactly: "
            f"there is room for {amount_text(budget.unit, room)}"
        )


def _forgotten(kept: Iterable[Grant], now_ms: int, changed: str) -> Sequence[str]:
    """Return ids of grants that were over so long ago that nobody looks for them here."""
    over = [grant for grant in kept if not grant.is_active(now_ms) and grant.id != changed]
    over.sort(key=lambda grant: grant.over_ms, reverse=True)
    return [
        grant.id
        for position, grant in enumerate(over)
        if position >= OVER_MAX or now_ms - grant.over_ms > OVER_KEPT_MS
    ]
