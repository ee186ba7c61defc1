"""What a batch of entries makes of everything that is derived from them.

Pure, and the same however entries are cut into batches: sums change by differences, and what a
difference is taken from stands in the call's own row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeVar

from policies.journal import ADMITTED, REFUSED, RESTORE, VERSION
from policies.reservations import State
from proxy.archive.chain import ChainedEntry
from proxy.archive.contents import Contents, contents_of
from proxy.archive.lives import Call, after

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000


class Stand(NamedTuple):
    """How a counter stood after an entry; `booked`: what this batch added to all that was booked."""

    unit: str
    spent: int
    reserved: int
    overrun: int
    booked: int
    number: int
    at_ms: int


K = TypeVar("K")
Day = tuple[int, str, str, str]
Key = tuple[int, str, str, str]
Hour = tuple[str, int]
Spender = tuple[str, str, str, str, str]


@dataclass(slots=True)
class Changes:
    """New rows of calls and counters, and what is added to each sum."""

    calls: dict[str, Call] = field(default_factory=dict)
    counters: dict[str, Stand] = field(default_factory=dict)
    #: By day, team, provider, model: calls, refused, receipted, input and output tokens, settled,
    #: receipted and charged nano-dollars.
    days: dict[Day, list[int]] = field(default_factory=dict)
    #: By day, team, user, key: calls, refused, charged nano-dollars.
    keys: dict[Key, list[int]] = field(default_factory=dict)
    #: By counter and hour: spent, refused.
    hours: dict[Hour, list[int]] = field(default_factory=dict)
    #: By counter, team, user, key, model: calls, refused, spent.
    spenders: dict[Spender, list[int]] = field(default_factory=dict)
    #: Entries of versions that this program does not know: they are kept, and nothing is made of them.
    newer: Counter[int] = field(default_factory=Counter)


def calls_of(entries: Sequence[ChainedEntry]) -> tuple[str, ...]:
    """Return the ids of calls whose rows `project` wants to know, each once."""
    ids = (each.call_id for each in entries if each.call_id is not None and _is_known(each))
    return tuple(dict.fromkeys(ids))


def project(entries: Sequence[ChainedEntry], known: Mapping[str, Call]) -> Changes:
    """Return what entries change, given the rows of calls that they are about."""
    changes = Changes()
    for entry in entries:
        if not _is_known(entry):
            changes.newer[entry.version] += 1
            continue
        contents = contents_of(entry)
        call, first = _call(changes, known, entry, contents)
        _book(changes, entry, contents, call, first=first)
    for call_id, call in changes.calls.items():
        _add_up(changes, call, 1)
        if before := known.get(call_id):
            _add_up(changes, before, -1)
    changes.days = {key: sums for key, sums in changes.days.items() if any(sums)}
    changes.keys = {key: sums for key, sums in changes.keys.items() if any(sums)}
    return changes


def _is_known(entry: ChainedEntry) -> bool:
    return 0 < entry.version <= VERSION


def _call(
    changes: Changes, known: Mapping[str, Call], entry: ChainedEntry, contents: Contents
) -> tuple[Call | None, bool]:
    """Return the call's row after an entry, and whether this decision on it is the first of its kind."""
    call_id = entry.call_id
    if call_id is None:
        return None, False
    call = changes.calls.get(call_id)
    if call is None and call_id in known:
        call = known[call_id].copy()
    state = call.state if call is not None else None
    call = after(call, entry, contents)
    if call is not None:
        changes.calls[call_id] = call
    return call, state is None or (state == REFUSED) != (entry.kind == REFUSED)


def _book(
    changes: Changes, entry: ChainedEntry, contents: Contents, call: Call | None, *, first: bool
) -> None:
    """Add an entry's movements to what is known of their counters."""
    hour = entry.at_ms // HOUR_MS
    # Whose call it is may be forgotten; what it spent is a part of the counter all the same.
    who = (call.team, call.user or "", call.key_id, call.model) if call else ("", "", "", "")
    admitted = int(entry.kind == ADMITTED and first)
    for move in contents.moves:
        # What a rebuild puts back was booked when it was spent.
        spent = move.spent_change if entry.kind != RESTORE else 0
        before = changes.counters.get(move.counter)
        changes.counters[move.counter] = Stand(
            move.unit,
            move.spent,
            move.reserved,
            move.overrun,
            spent + (before.booked if before else 0),
            entry.number,
            entry.at_ms,
        )
        if spent:
            _add(changes.hours, (move.counter, hour), (spent, 0))
        if spent or admitted:
            _add(changes.spenders, (move.counter, *who), (admitted, 0, spent))
    if entry.kind == REFUSED and first:
        for short in contents.refusing():
            _add(changes.hours, (short.counter, hour), (0, 1))
            _add(changes.spenders, (short.counter, *who), (0, 1, 0))


def _add_up(changes: Changes, call: Call, sign: int) -> None:
    """Add a call's row to the sums of its day, or take it out of them."""
    day = call.at_ms // DAY_MS
    refused = call.state == REFUSED
    receipted = call.state == State.RECEIPTED
    amounts = (
        int(not refused),
        int(refused),
        int(receipted),
        call.input_tokens or 0,
        call.output_tokens or 0,
        call.settled_nano_usd or 0,
        call.receipted_nano_usd or 0,
        call.charged_nano_usd or 0,
    )
    _add(changes.days, (day, call.team, call.provider, call.model), amounts, sign)
    by_key = (int(not refused), int(refused), call.charged_nano_usd or 0)
    _add(changes.keys, (day, call.team, call.user or "", call.key_id), by_key, sign)


def _add(sums: dict[K, list[int]], key: K, amounts: tuple[int, ...], sign: int = 1) -> None:
    found = sums.get(key)
    if found is None:
        sums[key] = [sign * amount for amount in amounts]
        return
    for at, amount in enumerate(amounts):
        found[at] += sign * amount
