"""What readers of the archive get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from proxy.archive.chain import ChainedEntry

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """Some of a list, newest first."""

    items: tuple[Item, ...]
    #: Where the next page begins (`before`); None: there is none. A page may hold less than was asked
    #: for, even nothing, and still have a next one: only so much is looked through at once.
    next: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLine:
    """A call, as its entries left it: the columns of `calls`."""

    #: Of the entry that admitted or refused it: the order of calls, and the cursor of lists.
    number: int
    call_id: str
    at_ms: int
    #: One of `proxy.archive.filters.CALL_STATES`.
    state: str
    team: str
    user: str | None
    key_id: str
    provider: str
    model: str
    dialect: str
    streamed: bool
    status: int | None
    refused_by: str | None
    quoted_nano_usd: int | None
    settled_nano_usd: int | None
    receipted_nano_usd: int | None
    charged_nano_usd: int | None
    #: JSON text: the disjoint parts of its usage.
    usage: str | None
    input_tokens: int | None
    output_tokens: int | None
    generation_id: str | None
    #: JSON text.
    tags: str | None
    ended_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLife:
    """A call and every entry about it, in order."""

    line: CallLine
    entries: tuple[ChainedEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendLine:
    """What the calls of one group came to."""

    #: The value of each thing that was grouped by, in that order: `day` as `2026-11-23` (UTC), an
    #: empty `user` for calls that named nobody.
    group: dict[str, str]
    #: Admitted.
    calls: int
    refused: int
    charged_nano_usd: int
    #: None: the grouping has no such sum (by user and by key, only the above is kept).
    receipted: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    settled_nano_usd: int | None = None
    receipted_nano_usd: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterLine:
    """How a counter stood after its last entry, in its unit."""

    counter: str
    budget: str
    subject: str
    #: Of the window: `policies.windows`.
    window_id: str
    unit: str
    spent: int
    reserved: int
    overrun: int
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HourLine:
    """What was booked on a counter within an hour that begins at this time, in the counter's unit."""

    hour_ms: int
    spent: int
    #: Calls.
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpenderLine:
    """Who spent what of a counter, on which model, in the counter's unit."""

    team: str
    #: Empty: nobody was named.
    user: str
    key_id: str
    model: str
    calls: int
    refused: int
    spent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where an organisation's chain ends, and where it begins."""

    #: Of the last entry; 0: there is none yet.
    number: int
    hash: bytes
    #: None: there is none.
    at_ms: int | None
    #: The first entry that retention has left.
    first_number: int
    #: The last that was signed; None: none was.
    checkpoint_number: int | None
    checkpoint_ms: int | None
