"""How budgets were spent, in windows that are open and in those long closed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, Row, select

from policies.ledger.keys import counter_parts
from proxy.archive.filters import refuse_odd_page
from proxy.archive.lines import CounterLine, HourLine, SpenderLine
from proxy.archive.tables import counter_hours, counter_spenders, counters

HOUR_MS: Final = 3_600_000
#: Counters are looked up so many at once: a list of values in SQL has its limits.
_AT_ONCE: Final = 500
#: Of a counter's name: budget, unit, subject, window.
_COLONS: Final = 3


def standing(
    connection: Connection, organization_id: int, names: Sequence[str]
) -> tuple[CounterLine, ...]:
    """Return how counters stood after their last entry, of those that are archived."""
    found: list[CounterLine] = []
    for start in range(0, len(names), _AT_ONCE):
        rows = connection.execute(
            select(counters).where(
                counters.c.organization_id == organization_id,
                counters.c.counter.in_(names[start : start + _AT_ONCE]),
            )
        )
        found += [_counter(row) for row in rows]
    return tuple(found)


def counters_of(
    connection: Connection,
    organization_id: int,
    budget: str,
    *,
    subject: str | None,
    count_max: int,
) -> tuple[CounterLine, ...]:
    """Return a budget's counters, windows long closed included, the last used first."""
    refuse_odd_page(None, count_max)
    # A colon ends a budget's name, and ';' is what follows a colon. Postgres must compare characters,
    # not words as some language sorts them.
    name = counters.c.counter
    ordered = name if connection.dialect.name == "sqlite" else name.collate("C")
    conditions = [
        counters.c.organization_id == organization_id,
        ordered >= f"{budget}:",
        ordered < f"{budget};",
    ]
    if subject is not None:
        middle = f":{quote(subject, safe='')}:"
        conditions.append(name.contains(middle, autoescape=True))
    rows = connection.execute(
        select(counters).where(*conditions).order_by(counters.c.number.desc())
    )
    found: list[CounterLine] = []
    for row in rows:
        line = _counter(row)
        # A unit may look like a subject, and LIKE takes `Red` for `red`.
        if line.budget == budget and subject in (None, line.subject):
            found.append(line)
            if len(found) == count_max:
                break
    return tuple(found)


def burn_down(connection: Connection, organization_id: int, counter: str) -> tuple[HourLine, ...]:
    """Return what was booked on a counter in each hour that saw any, ascending."""
    return burn_downs(connection, organization_id, [counter]).get(counter, ())


def burn_downs(
    connection: Connection, organization_id: int, names: Sequence[str]
) -> dict[str, tuple[HourLine, ...]]:
    """Return the same for several counters; those without an hour are not in it."""
    found: dict[str, list[HourLine]] = {}
    for start in range(0, len(names), _AT_ONCE):
        rows = connection.execute(
            select(counter_hours)
            .where(
                counter_hours.c.organization_id == organization_id,
                counter_hours.c.counter.in_(names[start : start + _AT_ONCE]),
            )
            .order_by(counter_hours.c.counter, counter_hours.c.hour)
        )
        for row in rows:
            line = HourLine(hour_ms=row.hour * HOUR_MS, spent=row.spent, refused=row.refused)
            found.setdefault(row.counter, []).append(line)
    return {name: tuple(hours) for name, hours in found.items()}


def spenders(
    connection: Connection, organization_id: int, counter: str, count_max: int
) -> tuple[SpenderLine, ...]:
    """Return who spent what of a counter, most first."""
    refuse_odd_page(None, count_max)
    table = counter_spenders
    who = (table.c.team, table.c.user, table.c.key_id, table.c.model)
    rows = connection.execute(
        select(*who, table.c.calls, table.c.refused, table.c.spent)
        .where(table.c.organization_id == organization_id, table.c.counter == counter)
        .order_by(table.c.spent.desc(), table.c.refused.desc(), *who)
        .limit(count_max)
    )
    return tuple(
        SpenderLine(
            team=row.team,
            user=row.user,
            key_id=row.key_id,
            model=row.model,
            calls=row.calls,
            refused=row.refused,
            spent=row.spent,
        )
        for row in rows
    )


def _counter(row: Row[Any]) -> CounterLine:
    # A later version may name counters in another way: such a one is a budget of its own.
    named = row.counter.count(":") >= _COLONS
    budget, _, subject, window_id = (
        counter_parts(row.counter) if named else (row.counter, "", "", "")
    )
    return CounterLine(
        counter=row.counter,
        budget=budget,
        subject=subject,
        window_id=window_id,
        unit=row.unit,
        spent=row.spent,
        reserved=row.reserved,
        overrun=row.overrun,
        at_ms=row.at_ms,
    )
