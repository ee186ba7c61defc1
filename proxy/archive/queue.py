"""The journal's stream as the archive takes from it: claimed by one replica, read in order, cut behind it."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final, Protocol

from policies.errors import BursarError
from policies.ledger.keys import Keys
from proxy.archive.writer import BEFORE_THE_FIRST, Chain

#: A claim that is not renewed ends: longer than a batch takes, and short enough to wait for.
CLAIM_MS: Final = 15_000
#: A batch is read into memory whole.
BATCH_BYTES_MAX: Final = 8 * 1024 * 1024
#: Of a long backlog as much goes at once as a tick of Redis has time for.
CUT_AT_ONCE: Final = 20_000

_FOLDER: Final = files("proxy.archive") / "lua"
_TAKE, _PUT, _WAITING, _LET_GO = (
    (_FOLDER / f"{name}.lua").read_bytes() for name in ("take", "put", "waiting", "let_go")
)

Row = tuple[bytes, Sequence[bytes]]


class Commands(Protocol):
    """Whatever can send a command to Redis."""

    def execute(self, *command: bytes | str | int) -> Awaitable[Any]:
        """Send one command; the answer is awaited. Raises `LedgerUnavailable`."""
        ...


class NotOurs(BursarError):
    """The archive's work is another replica's by now."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the archive stands, as it was noted in Redis beside the journal."""

    number: int
    stream_id: str
    #: Of the entry with that number, in hexadecimal digits.
    hash: str
    #: How many entries the journal ever had up to there; -1: nobody knows.
    ordinal: int

    def text(self) -> str:
        """Return it as it is noted."""
        return f"{self.number} {self.stream_id} {self.hash} {self.ordinal}"

    def is_of(self, chain: Chain) -> bool:
        """Tell whether this is where a chain ends."""
        return (self.number, self.hash) == (chain.number, chain.hash.hex())


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What the journal has for the archive."""

    #: Another replica does the work.
    others: bool
    #: None: nobody has noted any, or what is there cannot be read.
    place: Place | None
    #: Entries in Redis, those too that the archive has.
    length: int
    #: Entries that there ever were; -1: the server does not tell.
    added: int
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much waits for the archive."""

    #: Entries that the archive has not.
    entries: int
    #: Entries in Redis.
    length: int
    #: The stream's last id, and the last one that the archive has.
    last_id: str
    archived_id: str


class JournalQueue:
    """One organisation's journal. Every method raises `LedgerUnavailable` when Redis does not answer."""

    def __init__(self, commands: Commands, keys: Keys, *, owner: str | None = None) -> None:
        self._commands = commands
        self._journal = keys.journal
        self._claim = keys.claim("archive")
        self._place = f"{keys.journal}:archived"
        self._owner = owner if owner is not None else secrets.token_hex(16)

    async def take(self, behind: str, count_max: int) -> Taken:
        """Claim the work, or keep the claim, and read entries behind an id."""
        keys = (self._claim, self._journal, self._place)
        limits = (behind, count_max, BATCH_BYTES_MAX)
        answer = await self._run(_TAKE, keys, self._owner, CLAIM_MS, *limits)
        ours, stands, length, added, *rows = answer
        return Taken(
            others=int(ours) == 0,
            place=_place(stands),
            length=int(length),
            added=int(added),
            rows=tuple((row[0], row[1]) for row in rows),
        )

    async def put(self, place: Place, *, keep_ms: int) -> bool:
        """Note where the archive stands, and cut off what it has; False: the claim is another's."""
        keys = (self._claim, self._journal, self._place)
        arguments = (self._owner, place.text(), place.stream_id, keep_ms, CUT_AT_ONCE)
        return int(await self._run(_PUT, keys, *arguments)) >= 0

    async def let_go(self) -> None:
        """Let another replica do the work at once."""
        await self._run(_LET_GO, (self._claim,), self._owner)

    async def entry(self, stream_id: str) -> Row | None:
        """Return one row of the journal; None: it is not there."""
        rows = await self._commands.execute("XRANGE", self._journal, stream_id, stream_id)
        return (rows[0][0], rows[0][1]) if rows else None

    async def waiting(self) -> Waiting:
        """Return how much waits; asks Redis alone, and claims nothing."""
        answer = await self._run(_WAITING, (self._journal, self._place))
        stands, length, added, last_id = answer
        place = _place(stands)
        return Waiting(
            entries=waiting_entries(place, int(length), int(added)),
            length=int(length),
            last_id=last_id.decode(),
            archived_id=place.stream_id if place is not None else BEFORE_THE_FIRST,
        )

    def _run(
        self, script: bytes, keys: tuple[str, ...], *arguments: bytes | str | int
    ) -> Awaitable[Any]:
        return self._commands.execute("EVAL", script, len(keys), *keys, *arguments)


def waiting_entries(place: Place | None, length: int, added: int) -> int:
    """Return how many entries the archive has not; where nobody can tell, all that there are."""
    if place is None or place.ordinal < 0 or added < 0:
        return length
    return max(0, min(length, added - place.ordinal))


def is_behind(stream_id: str, other: str) -> bool:
    """Tell whether an id of a stream comes after another one of the same stream."""
    return _parts(stream_id) > _parts(other)


def _parts(stream_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = stream_id.partition("-")
    return int(milliseconds), int(sequence or 0)


def _place(noted: bytes) -> Place | None:
    parts = noted.decode("utf-8", "replace").split(" ")
    try:
        number, stream_id, digits, ordinal = parts
        _parts(stream_id)
        return Place(int(number), stream_id, digits, int(ordinal))
    except ValueError:
        return None
