"""What was read of a billing history, waiting in Redis for the calls that it belongs to.

Every row is given away exactly once: to the call that claims its request, or, when no call asks
for it in time, as ghost spend. The one exception is told to whoever gets it: a call that comes
after its rows became a ghost gets them too, and the ghost beside them. Rows only ever come on top
of others, so that passes may overlap, be cut, be repeated and run side by side.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final, Literal, Protocol, cast

from policies.ledger.keys import Keys
from proxy.receipts.history.groups import Group, name_of, request_of
from proxy.receipts.history.rows import Row
from proxy.receipts.history.walks import Endpoint

# One script holds up Redis for a few milliseconds with so many rows.
_ROWS_AT_ONCE: Final = 500
_FORGOTTEN_AT_ONCE: Final = 500
_FOLDER: Final = files("proxy.receipts.history") / "lua"
_FLAW: Final = "flaw"


class Commands(Protocol):
    """Whatever can send a command to Redis."""

    def execute(self, *command: bytes | str | int) -> Awaitable[Any]:
        """Send one command; the answer is awaited. Raises `LedgerUnavailable`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ghost:
    """Rows that no call explains, until it is marked as booked: always the same ones."""

    #: Names these rows for good: book them under this name, and they are booked once.
    id: str
    #: Which ghost of its group it is.
    number: int
    #: `late`: they came after the others of their group were given away; `call_id` may say to whom.
    kind: Literal["unclaimed", "late"]
    group: Group
    #: The call that has the other rows; empty for none.
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """A group that is the call's from now on."""

    group: Group
    #: Ghosts that rows of it had become before; what was booked of them is to be taken back.
    ghost_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotYet:
    """There are rows of the call, and more may come."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far the history was read."""

    #: The newest row when it was last read whole, in the provider's time; None: it never was.
    place_ms: int | None = None
    #: Where the last reading was stopped, in the provider's time; None: it was not.
    resume_ms: int | None = None
    #: Which endpoint was read last; None: none was.
    endpoint: Endpoint | None = None
    #: In Redis' time, when it was last read to its end; None: it never was.
    last_pass_ms: int | None = None


@cache
def script(name: str) -> bytes:
    """Return a script of the shelf by its file's name, with the functions on groups in front."""
    return (_FOLDER / "groups.lua").read_bytes() + (_FOLDER / f"{name}.lua").read_bytes()


class Shelf:
    """The groups of one provider. Whatever it does is done at once or not at all, and repeatable.

    Times named `now_ms` are in Redis' time. Everything raises `LedgerUnavailable`.
    """

    def __init__(self, commands: Commands, keys: Keys, provider: str) -> None:
        self._commands = commands
        parts = ("rows", "rows-seen", "rows-given", "scan")
        self._keys = tuple(keys.receipts(provider, part) for part in parts)

    async def put(self, groups: Iterable[Group], now_ms: int) -> int:
        """Add rows to the groups that they belong to; return how many were new."""
        new = 0
        arguments: list[str | int] = []
        rows = 0
        for group in groups:
            described = _described(group)
            arguments += [group.name, group.last_ms, len(described) // 3, *described]
            rows += len(described) // 3
            if rows >= _ROWS_AT_ONCE:
                new += int(await self._run("put", now_ms, *arguments))
                arguments, rows = [], 0
        if arguments:
            new += int(await self._run("put", now_ms, *arguments))
        return new

    async def take(
        self, call_id: str, request_ids: Sequence[str], settle_ms: int, now_ms: int
    ) -> Taken | NotYet | None:
        """Give a call the group of the first of its ids that there is; None: there is none.

        The same call gets the same again. A group that another call has is none.

        Args:
            call_id: whose it is from now on.
            request_ids: what the provider may know the call by.
            settle_ms: for how long nothing must have come of it.
            now_ms: the time.
        """
        ids = [each for each in dict.fromkeys(request_ids) if each and each.isprintable()]
        if not ids:
            return None
        names = [name_of(each) for each in ids]
        said, *more = await self._run("take", now_ms, call_id, settle_ms, *names)
        if said != b"taken":
            return NotYet() if said == b"unsettled" else None
        name = more[0].decode()
        ghosts: dict[int, list[bytes]] = {}
        for number, identity in zip(more[1::3], more[2::3], strict=True):
            ghosts.setdefault(int(number), []).append(identity)
        ghosts.pop(0, None)
        ids_of_ghosts = (_ghost_id(name, ghosts[number]) for number in sorted(ghosts))
        return Taken(_group(name, more[2::3], more[3::3]), tuple(ids_of_ghosts))

    async def mark_booked(self, call_id: str, request_id: str) -> bool:
        """Note that the receipt of a call is booked: its claim need not be kept three days.

        Returns:
            whether that was news.
        """
        return bool(await self._run("close", name_of(request_id), "", call_id))

    async def unclaimed(self, older_than_ms: int, count_max: int, now_ms: int) -> Sequence[Ghost]:
        """Return what no call explains: the same ghosts each time, until they are marked.

        Args:
            older_than_ms: for how long nothing must have come of a group.
            count_max: of how many groups at the most, the longest unchanged ones.
            now_ms: the time.
        """
        answer = await self._run("offer", now_ms, older_than_ms, count_max)
        return [_ghost(*each) for each in answer]

    async def mark_ghost(self, ghost: Ghost) -> bool:
        """Note that a ghost is booked, and offer it no more; return whether that was news."""
        return bool(await self._run("close", ghost.group.name, ghost.number, ""))

    async def prune(self, before_ms: int) -> int:
        """Forget what was given away altogether; return how many groups that were.

        Args:
            before_ms: a time of the provider; rows from before will not be read again, and if they
                are they count for nothing.
        """
        forgotten = 0
        while True:
            count = int(await self._run("forget", before_ms, _FORGOTTEN_AT_ONCE))
            forgotten += count
            if count < _FORGOTTEN_AT_ONCE:
                return forgotten

    async def place(self) -> Place:
        """Return how far the history was read."""
        fields = ("place_ms", "resume_ms", "endpoint", "last_pass_ms")
        found = await self._commands.execute("HMGET", self._keys[3], *fields)
        place, resume, endpoint, last_pass = found
        return Place(
            place_ms=None if place is None else int(place),
            resume_ms=None if resume is None else int(resume),
            endpoint=None if endpoint is None else cast("Endpoint", endpoint.decode()),
            last_pass_ms=None if last_pass is None else int(last_pass),
        )

    async def reached(self, place_ms: int, endpoint: Endpoint, now_ms: int) -> int:
        """Note that the history was read whole, once all of it is put; return the place kept.

        Args:
            place_ms: the newest row, in the provider's time; the place never goes back.
            endpoint: which of the two was read.
            now_ms: the time.
        """
        return int(await self._run("reached", place_ms, endpoint, now_ms))

    async def paused(self, resume_ms: int, endpoint: Endpoint) -> None:
        """Note where the reading of the history was stopped, in the provider's time."""
        pairs = ("resume_ms", resume_ms, "endpoint", endpoint)
        await self._commands.execute("HSET", self._keys[3], *pairs)

    async def _run(self, name: str, *arguments: str | int) -> Any:  # noqa: ANN401 - a script's answer.
        keys = self._keys
        return await self._commands.execute("EVAL", script(name), len(keys), *keys, *arguments)


def _described(group: Group) -> list[str | int]:
    """Return time, identity and the rest of each row, and of each flaw."""
    parts: list[str | int] = []
    for row in group.rows:
        rest = [row.prompt_tokens, row.completion_tokens, row.notes]
        parts += [row.at_ms, row.identity, json.dumps(rest, separators=(",", ":"))]
    for flaw in group.flaws:
        parts += [group.flawed_at_ms, json.dumps([_FLAW, flaw]), str(group.flawed_at_ms)]
    return parts


def _group(name: str, identities: Iterable[bytes], rests: Iterable[bytes]) -> Group:
    """Return a group as the shelf tells it."""
    rows: list[Row] = []
    flaws: list[str] = []
    flawed_at_ms = 0
    for identity, rest in zip(identities, rests, strict=True):
        known = json.loads(identity)
        if known[0] == _FLAW:
            flaws.append(known[1])
            flawed_at_ms = int(rest)
        else:
            rows.append(_row(known, json.loads(rest)))
    rows.sort(key=lambda row: (row.at_ms, row.identity))
    return Group(request_of(name), tuple(rows), tuple(sorted(flaws)), flawed_at_ms)


def _row(known: Sequence[Any], rest: Sequence[Any]) -> Row:
    at_ms, sku, units, billed, currency, request_id = known
    prompt_tokens, completion_tokens, notes = rest
    return Row(
        at_ms=at_ms,
        sku=sku,
        units=Decimal(units) if units else None,
        billed=Decimal(billed),
        currency=currency,
        request_id=request_id or None,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        notes=notes,
    )


def _ghost(name: bytes, number: bytes, kind: bytes, call_id: bytes, *rows: bytes) -> Ghost:
    text = name.decode()
    return Ghost(
        id=_ghost_id(text, rows[::2]),
        number=int(number),
        kind="late" if kind == b"late" else "unclaimed",
        group=_group(text, rows[::2], rows[1::2]),
        call_id=call_id.decode(),
    )


def _ghost_id(name: str, identities: Iterable[bytes]) -> str:
    """Return a name that no other rows have, also when their group was forgotten and began anew."""
    digest = sha256(b"\n".join(sorted(identities))).hexdigest()
    return f"{name}#{digest[:16]}"
