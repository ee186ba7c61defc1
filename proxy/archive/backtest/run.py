"""A backtest from beginning to end: where to begin, going through, and what came of it. Blocks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import or_, select

from policies.grants import ENDED, MADE
from policies.rulebook import Rulebook
from policies.rulebook_text import from_document
from policies.windows import Calendar, FirstUse, Lifetime, Reported, Rolling
from proxy.archive.backtest.candidate import Candidate, Outlook
from proxy.archive.backtest.in_force import InForce, Reproduction
from proxy.archive.backtest.past import (
    Read,
    Reads,
    Told,
    acts_below,
    go_through,
    nobody,
    numbers_between,
)
from proxy.archive.backtest.records import Recorded
from proxy.archive.heads import organization_number
from proxy.archive.tables import counters

#: How long a call may be in flight: what it came to is known when it was gone through from its admission.
LEAD_MS: Final = 86_400_000
#: The kind of the act by which policies came into force, with the whole of them.
POLICIES_LOADED: Final = "policies_loaded"
_NUMBERS_MAX: Final = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which time is asked about: [since, until), in milliseconds since 1970; None: all there is."""

    since_ms: int | None = None
    until_ms: int | None = None


def reproduce(
    database: Reads, organization: str, asked: Asked, told: Told = nobody
) -> tuple[Reproduction, Read]:
    """Decide again under the policy that was in force.

    Raises:
        ArchiveUnavailable: the database did not answer.
    """
    since_ms, begin_ms = asked.since_ms, None
    if since_ms is not None:
        begin_ms = since_ms - _longest_ms(database, organization) - LEAD_MS
    span, first = numbers_between(database, organization, begin_ms, asked.until_ms)
    engine = InForce(report_from_ms=since_ms or 0, from_the_beginning=first)
    take = _before(engine.take, asked.until_ms)
    read = go_through(database, organization, span, take, told)
    return engine.found, replace(read, from_the_beginning=first)


def look_ahead(
    database: Reads, organization: str, rulebook: Rulebook, asked: Asked, told: Told = nobody
) -> tuple[Outlook, Read]:
    """Decide again under another policy.

    Raises:
        ArchiveUnavailable: the database did not answer.
    """
    since_ms = asked.since_ms
    begin_ms = None if since_ms is None else begin_of(rulebook, since_ms)
    span, first = numbers_between(database, organization, begin_ms, asked.until_ms)
    engine = Candidate(rulebook, report_from_ms=since_ms or 0)
    for grant in acts_below(database, organization, span.low, (MADE, ENDED)):
        engine.take(grant)
    take = _before(engine.take, asked.until_ms)
    read = go_through(database, organization, span, take, told)
    return engine.found, replace(read, from_the_beginning=first)


def policy_of(database: Reads, organization: str, version: str) -> Rulebook | None:
    """Return a policy that was in force once, by its version; None: it is not archived.

    Raises:
        ArchiveUnavailable: the database did not answer.
        PolicyErrors: this program can no longer use it.
    """
    for act in reversed(acts_below(database, organization, _NUMBERS_MAX, (POLICIES_LOADED,))):
        try:
            said = json.loads(act.data)
        except ValueError:
            continue
        if isinstance(said, dict) and said.get("version") == version and "document" in said:
            return from_document(said["document"])
    return None


def begin_of(rulebook: Rulebook, since_ms: int) -> int | None:
    """Return from when on calls count for what is decided from `since_ms` on; None: from the first.

    A window that begins with its first use may have begun at any time: with as much before as it is
    long, it begins when it would have at the latest.
    """
    begins = [since_ms]
    for budget in rulebook.budgets.values():
        match budget.window:
            case Calendar() as window:
                begins.append(window.span(since_ms).start_ms)
            case Lifetime():
                return None
            case Rolling() as window:
                begins.append(since_ms - window.length_ms - window.bucket_ms)
            case FirstUse(length_ms):
                begins.append(since_ms - 2 * length_ms)
            case Reported():
                pass
    return min(begins) - LEAD_MS


def _before(take: Callable[[Recorded], None], until_ms: int | None) -> Callable[[Recorded], None]:
    if until_ms is None:
        return take

    def take_before(entry: Recorded) -> None:
        if entry.at_ms < until_ms:
            take(entry)

    return take_before


def _longest_ms(database: Reads, organization: str) -> int:
    """Return how long the longest window is that slides or begins with its use, of all there ever were."""
    with database.read() as connection:
        number = organization_number(connection, organization)
        names = connection.execute(
            select(counters.c.counter).where(
                counters.c.organization_id == number,
                or_(
                    counters.c.counter.like("%:rolling-%"), counters.c.counter.like("%:first-use-%")
                ),
            )
        ).scalars()
        windows = {name.rpartition(":")[2] for name in names}
    lengths = (window.rpartition("-")[2] for window in windows)
    # With the sub-bucket that is wholly older at its end.
    return max((int(each) * 61 // 60 + 1 for each in lengths if each.isdecimal()), default=0)
