"""The latest entries of the journal."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from policies.journal import Entry
from policies.ledger.interface import Ledger

# The first look goes back this far; each further one ten times as far, until enough was found.
FIRST_LOOK_MS: Final = 1_000
LOOK_FACTOR: Final = 10
PAGE_ENTRIES: Final = 1_000
FROM_THE_BEGINNING: Final = "-"


async def latest(ledger: Ledger, count_max: int) -> Sequence[Entry]:
    """Return the latest entries, oldest first.

    The journal is read forwards alone. Its ids begin with the time, so a look can begin late: at
    most about ten times as many entries are read as are wanted.
    """
    now_ms, back_ms = ledger.now_ms(), FIRST_LOOK_MS
    while True:
        begin = f"{now_ms - back_ms}-0" if back_ms < now_ms else FROM_THE_BEGINNING
        found = await _last_behind(ledger, begin, count_max)
        if len(found) >= count_max or begin == FROM_THE_BEGINNING:
            return found
        back_ms *= LOOK_FACTOR


async def _last_behind(ledger: Ledger, after: str, count_max: int) -> Sequence[Entry]:
    kept: deque[Entry] = deque(maxlen=count_max)
    while page := await ledger.journal(after=after, count_max=PAGE_ENTRIES):
        kept.extend(page)
        after = page[-1].id
    return list(kept)
