"""What the counters of a ledger have to be by what is archived, for windows that may still count.

A calendar window starts at nothing, so that all that was booked on it is what it has come to (`counters`,
column `booked`). Of a window that slides or begins with its use, the entries of its length are gone through
again. What a ledger lost and what it was given back is entered nowhere as spent, and changes nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select

from policies.journal import ADMITTED, RESTORE
from policies.ledger.counter import Counter
from policies.ledger.interface import CounterRecord
from policies.ledger.keys import FIRST_USE, FIXED, REPORTED, ROLLING, counter_parts, place
from policies.reservations import Charge, Operation
from policies.rulebook import UNATTRIBUTED, Rulebook
from policies.windows import HOUR_MS
from proxy.archive.backtest.in_force import InForce
from proxy.archive.backtest.past import Reads, Told, entries_of, go_through, nobody, numbers_between
from proxy.archive.backtest.records import Check, Recorded
from proxy.archive.heads import organization_number
from proxy.archive.recovery.calls import calls_by_id, charge_of
from proxy.archive.recovery.windows import Window, may_be_open, window_of
from proxy.archive.tables import counter_hours, counters

#: Operations after which a call holds nothing.
ENDING: Final = frozenset(operation.value for operation in Operation)
#: Calls that are looked up at a time.
_AT_ONCE: Final = 300
_NOBODY: Final = -1
#: A call that came in before anything was booked on a window was in flight for no longer.
_LEAD_MS: Final = 86_400_000


@dataclass(slots=True)
class Known:
    """A counter, as far as its entries tell it, in its unit."""

    counter: str
    unit: str
    window: Window
    #: All that was booked, by calls.
    booked: int = 0
    overrun: int = 0
    #: The ledger said otherwise after the last entry: it had lost something.
    lost: bool = False
    #: The last entry that moved it.
    number: int = 0


@dataclass(slots=True)
class Picture:
    """All counters of windows that may still count, and the calls that hold something on them."""

    known: dict[str, Known] = field(default_factory=dict)
    engine: InForce = field(default_factory=InForce)
    #: By id: what the calls that have not ended hold.
    holding: dict[str, tuple[Charge, ...]] = field(default_factory=dict)
    #: Calendar windows of which nothing tells when they end: neither an entry nor the policies.
    undetermined: list[str] = field(default_factory=list)

    def take(self, entry: Recorded) -> None:
        """Go one entry further than the archive: the journal's own, which is not archived yet."""
        if entry.kind == RESTORE:
            return
        self.engine.take(entry)
        for check in entry.checks:
            if check.kind != REPORTED and check.counter not in self.known:
                window = window_of(check.counter, check)
                self.known[check.counter] = Known(check.counter, check.unit, window)
        for move in entry.moves:
            known = self.known.get(move.counter)
            if known is not None:
                known.booked += move.spent_change
                known.overrun = move.overrun
        if entry.kind == ADMITTED:
            self.holding[entry.call_id] = tuple(map(charge_of, entry.checks))
        elif entry.kind in ENDING:
            self.holding.pop(entry.call_id, None)

    def records(self, now_ms: int) -> list[CounterRecord]:
        """Return what each counter must have, of windows that are open at a time."""
        made = (self.record(known, now_ms) for known in self.known.values())
        return [record for record in made if record is not None]

    def record(self, known: Known, now_ms: int) -> CounterRecord | None:
        """Return what one counter must have; None: its window is over."""
        window, length_ms = known.window, known.window.length_ms
        if length_ms is None or (window.kind == FIXED and 0 < length_ms <= now_ms):
            return None
        counter = self.engine.balances.counters.get(known.counter, Counter())
        spent, overrun, buckets = known.booked, known.overrun, {}
        if (
            window.kind == FIRST_USE
            and not counter.start_ms <= now_ms < counter.start_ms + length_ms
        ):
            return None
        if window.kind == ROLLING:
            counter.evict(now_ms, length_ms, window.bucket_ms)
            buckets = {at: amount for at, amount in counter.buckets.items() if amount > 0}
            spent = sum(buckets.values())
        elif window.kind == FIRST_USE:
            spent, overrun = max(0, counter.spent), counter.overrun
        elif known.lost:
            overrun = max(overrun, counter.overrun)
        return CounterRecord(
            counter=known.counter,
            kind=window.kind,
            length_ms=length_ms,
            bucket_ms=window.bucket_ms,
            spent=max(0, spent),
            overrun=max(0, overrun),
            buckets=buckets,
            start_ms=counter.start_ms if window.kind == FIRST_USE else 0,
        )

    def reserved(self) -> dict[str, int]:
        """Return what calls in flight hold on each counter."""
        held: dict[str, int] = {}
        for charges in self.holding.values():
            for charge in charges:
                counter = self.engine.balances.counters.get(charge.counter)
                if charge.kind == FIRST_USE and (
                    counter is None or counter.start_ms >= charge.slot + charge.length_ms
                ):
                    continue  # The window that it is held in is over.
                held[charge.counter] = held.get(charge.counter, 0) + charge.held
        return held


def picture_of(
    database: Reads,
    organization: str,
    now_ms: int,
    rulebook: Rulebook,
    told: Told = nobody,
) -> Picture:
    """Return what is archived of the counters whose windows may still count something.

    Args:
        database: the archive.
        organization: whose.
        now_ms: the ledger's time.
        rulebook: tells when a window ends of which no entry tells it.
        told: how many of the entries are gone through that have to be.

    Raises:
        ArchiveUnavailable: the database did not answer.
    """
    with database.read() as connection:
        own = organization_number(connection, organization) or _NOBODY
        found = {known.counter: known for known in _known(connection, own, now_ms)}
        begin_ms = _begin_ms(connection, own, found.values(), now_ms)
    picture = Picture(known=found)
    looked_at: dict[str, Check] = {}
    if begin_ms is not None:
        span, first = numbers_between(database, organization, begin_ms, None)
        picture.engine = InForce(from_the_beginning=first)
        go_through(database, organization, span, _remembering(picture.engine, looked_at), told)
    _tell_ends(database, organization, picture, looked_at, rulebook, now_ms)
    return picture


def closed_counters(database: Reads, organization: str, names: Iterable[str]) -> list[Known]:
    """Return counters of calendar windows by name, whether they are over or not.

    Raises:
        ArchiveUnavailable: the database did not answer.
    """
    wanted = sorted(set(names))
    found: list[Known] = []
    with database.read() as connection:
        own = organization_number(connection, organization) or _NOBODY
        for at in range(0, len(wanted), _AT_ONCE):
            rows = connection.execute(
                select(counters).where(
                    counters.c.organization_id == own,
                    counters.c.counter.in_(wanted[at : at + _AT_ONCE]),
                )
            )
            found += [_known_of(row) for row in rows]
    return found


def _known(connection: Connection, organization_id: int, now_ms: int) -> list[Known]:
    rows = connection.execute(select(counters).where(counters.c.organization_id == organization_id))
    return [_known_of(row) for row in rows if may_be_open(row.counter, row.at_ms, now_ms)]


def _known_of(row: Row[Any]) -> Known:
    window = window_of(row.counter, None)
    return Known(
        counter=row.counter,
        unit=row.unit,
        window=window,
        booked=row.booked,
        overrun=row.overrun,
        lost=window.kind == FIXED and row.spent != row.booked,
        number=row.number,
    )


def _begin_ms(
    connection: Connection, organization_id: int, found: Iterable[Known], now_ms: int
) -> int | None:
    """Return from when on entries have to be gone through; None: no counter needs it."""
    begins = [
        now_ms - (known.window.length_ms or 0) - known.window.bucket_ms
        for known in found
        if known.window.kind in (ROLLING, FIRST_USE)
    ]
    for known in found:
        if known.lost:
            first_hour = connection.execute(
                select(func.min(counter_hours.c.hour)).where(
                    counter_hours.c.organization_id == organization_id,
                    counter_hours.c.counter == known.counter,
                )
            ).scalar()
            begins.append(now_ms if first_hour is None else first_hour * HOUR_MS - _LEAD_MS)
    return min(begins) if begins else None


def _remembering(engine: InForce, looked_at: dict[str, Check]) -> Callable[[Recorded], None]:
    def take(entry: Recorded) -> None:
        for check in entry.checks:
            looked_at[check.counter] = check
        engine.take(entry)

    return take


def _tell_ends(
    database: Reads,
    organization: str,
    picture: Picture,
    looked_at: dict[str, Check],
    rulebook: Rulebook,
    now_ms: int,
) -> None:
    """Find out when calendar windows end: their counters' names do not say in which time zone."""
    unclear = [known for known in picture.known.values() if known.window.length_ms is None]
    ends = {name: check.length_ms for name, check in looked_at.items() if check.kind == FIXED}
    ends |= _ends(database, organization, [each for each in unclear if each.counter not in ends])
    for known in unclear:
        end_ms = ends.get(known.counter)
        if end_ms is None:
            end_ms = _end_by_policy(rulebook, known.counter, now_ms)
        if end_ms is None:
            picture.undetermined.append(known.counter)
        known.window = Window(kind=FIXED, length_ms=end_ms)


def _ends(database: Reads, organization: str, unclear: list[Known]) -> dict[str, int]:
    """Return when windows end by the calls that moved their counters last."""
    with database.read() as connection:
        own = organization_number(connection, organization) or _NOBODY
        entries = entries_of(connection, own, [known.number for known in unclear])
    checks = [check for entry in entries.values() for check in entry.checks]
    ends = {check.counter: check.length_ms for check in checks if check.kind == FIXED}
    ids = sorted({entry.call_id for entry in entries.values() if entry.call_id})
    for at in range(0, len(ids), _AT_ONCE):
        for call in calls_by_id(database, organization, ids[at : at + _AT_ONCE]):
            charges = call.record.reservation.charges
            ends |= {each.counter: each.length_ms for each in charges if each.kind == FIXED}
    return ends


def _end_by_policy(rulebook: Rulebook, counter: str, now_ms: int) -> int | None:
    name, unit, subject, _ = counter_parts(counter)
    budget = rulebook.budgets.get(name)
    if name == UNATTRIBUTED:
        budget = rulebook.unattributed
    if budget is None or budget.unit != unit:
        return None
    at = place(budget, subject, now_ms)
    return at.end_ms if at.counter == counter else None
