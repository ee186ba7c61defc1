"""The journal of the in-memory ledger: a list of entries, and the values that were journalled last."""

from __future__ import annotations

import json
from collections.abc import Sequence

from policies.clock import Clock
from policies.journal import Check, Entry, Movement


class MemoryJournal:
    """Entries in order; their ids are their places, from 1."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: list[Entry] = []
        self._last: dict[tuple[str, str], str] = {}

    def write(
        self,
        kind: str,
        call_id: str,
        data: str,
        movements: Sequence[Movement] = (),
        *,
        checks: Sequence[Check] = (),
        forced: bool = False,
    ) -> None:
        """Write one entry, stamped with the time."""
        json.loads(data)  # What is journalled is JSON; the oracle says so early.
        self._entries.append(
            Entry(
                id=str(len(self._entries) + 1),
                kind=kind,
                call_id=call_id,
                at_ms=self._clock.now_ms(),
                data=data,
                movements=tuple(movements),
                checks=tuple(checks),
                forced=forced,
            )
        )

    def once(self, topic: str, name: str, value: str, *, kind: str, data: str) -> bool:
        """Write that a named value changed, unless it is the value that was written last."""
        if self._last.get((topic, name)) == value:
            return False
        self._last[topic, name] = value
        self.write(kind, "", data)
        return True

    def read(self, after: str, count_max: int) -> Sequence[Entry]:
        """Return entries in order, behind the given id (`-`: from the beginning)."""
        begin = 0 if after == "-" else int(after)
        return self._entries[begin : begin + count_max]
