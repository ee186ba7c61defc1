"""What a journal that can be verified is made of, whether it comes from a database or from a file."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from proxy.archive.chain import ChainedEntry


class Damage(StrEnum):
    """What was done to a journal."""

    CHANGED = "changed"
    REMOVED = "removed"
    REORDERED = "reordered"
    ADDED = "added"
    #: Entries are missing at the end.
    CUT = "cut"
    #: From some entry on everything was changed and the hashes were made to fit.
    REWRITTEN = "rewritten"
    #: A checkpoint or a key is not what it says, or nothing that counts was signed.
    NOT_SIGNED = "not_signed"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a journal says of itself before its first entry."""

    organization: str
    #: The first entry that is there, and the hash of the one before it.
    first_number: int
    first_hash: bytes
    #: In words for people: `the database`, or a file's name.
    where: str
    #: Entries come by their numbers, as a database sorts them: one that is missing comes no later.
    sorted: bool
    #: When it was taken from the archive; None: it is the archive.
    at_ms: int | None = None
    #: It was asked for up to a time: that it ends before the archive does is no sign of a cut.
    until_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """An entry, and the hash that is stored with it."""

    entry: ChainedEntry
    hash: bytes
    where: str
    #: Where a database files it; files have no months.
    month: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A signed head; it comes behind the entry that it is about."""

    number: int
    at_ms: int
    hash: bytes
    key_id: str
    signature: bytes
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """The public half of a key that signs; it comes before what it has signed."""

    id: str
    #: 32 bytes of Ed25519.
    public_key: bytes
    created_ms: int
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """What a journal says of its last entry; it is the last piece."""

    #: 0: there is none.
    number: int
    hash: bytes
    where: str
    #: Where a database files what comes next; no entry is filed later.
    month: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Something that is no piece, and what is wrong with it; nothing behind it is read."""

    said: str
    where: str
    what: Damage = Damage.UNREADABLE
    #: An entry should be here.
    entry: bool = True


Piece = StoredEntry | Checkpoint | PublicKey | End | Unreadable


def well_formed(entry: ChainedEntry) -> bool:
    """Tell whether an entry's values have the types that they should have, whoever filled it."""
    numbers = (entry.number, entry.at_ms, entry.version)
    texts = (entry.stream_id, entry.kind, entry.data, entry.moves)
    maybe = (entry.call_id, entry.checks, entry.more)
    return (
        all(type(value) is int for value in numbers)
        and all(isinstance(value, str) for value in texts)
        and all(value is None or isinstance(value, str) for value in maybe)
    )
