"""The days on which there were calls that fit: sums by day are the index of who and what is rare.

No index on calls knows users, keys and providers, nor a team's calls of one model. But the sums know on
which days there were any, and whoever looks for them skips all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Table, func, select

from proxy.archive.contents import name_of
from proxy.archive.filters import CallFilter
from proxy.archive.scan import DISORDER_MS, Span, first_from
from proxy.archive.tables import calls, spend_days, spend_keys

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class CallDays:
    """Knows the days of one question."""

    organization_id: int
    table: Table
    conditions: tuple[ColumnElement[bool], ...]

    def skip(self, connection: Connection, span: Span) -> Span | None:
        """Return a span without what comes after the last day that fits; None: no day does."""
        latest_ms = connection.execute(
            select(calls.c.at_ms)
            .where(
                calls.c.organization_id == self.organization_id,
                calls.c.number >= span.low,
                calls.c.number < span.high,
            )
            .order_by(calls.c.number.desc())
            .limit(1)
        ).scalar()
        if latest_ms is None:
            return None
        # Times are not quite in order: an earlier number may be of the day after.
        day_max = (latest_ms + DISORDER_MS) // DAY_MS
        day = connection.execute(
            select(func.max(self.table.c.day)).where(
                self.table.c.organization_id == self.organization_id,
                self.table.c.day <= day_max,
                *self.conditions,
            )
        ).scalar()
        if day is None:
            return None
        end_ms = (day + 1) * DAY_MS
        if end_ms + DISORDER_MS > latest_ms:
            return span
        high = first_from(connection, calls, self.organization_id, span, end_ms + DISORDER_MS)
        return Span(span.low, high)


def call_days(
    organization_id: int,
    wanted: CallFilter,
    teams: Sequence[str] | None,
    models: Sequence[str] | None,
) -> CallDays | None:
    """Return the days of a question; None: an index of calls serves it better.

    Args:
        organization_id: whose calls.
        wanted: the question.
        teams: those that it comes to; None: all.
        models: those that it comes to; None: all, or more than were gone through.
    """
    by_key = [("user", wanted.user), ("key_id", wanted.key_id)]
    if wanted.user is not None or wanted.key_id is not None:
        table, exact = spend_keys, by_key
    elif wanted.provider is not None or (teams is not None and models is not None):
        table, exact = spend_days, [("provider", wanted.provider)]
    else:
        return None
    conditions = [table.c[name] == name_of(value) for name, value in exact if value is not None]
    if teams is not None:
        conditions.append(table.c.team.in_(teams))
    if models is not None and table is spend_days:
        conditions.append(table.c.model.in_(models))
    return CallDays(organization_id, table, tuple(conditions))
