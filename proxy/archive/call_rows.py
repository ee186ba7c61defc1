"""Rows of calls found by their ids, without another index: an id tells the month it is filed in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from proxy.archive.filters import kept_names
from proxy.archive.months import month_of_call
from proxy.archive.tables import calls

#: Ids are looked up so many at once: a list of values in SQL has its limits.
_AT_ONCE: Final = 500


def call_row(
    connection: Connection, organization_id: int, call_id: str, *, teams: frozenset[str] | None
) -> Row[Any] | None:
    """Return a call's row; None: there is none, or not of these teams (None: all)."""
    if not _can_be_one(call_id):
        return None
    row = connection.execute(
        select(calls).where(
            calls.c.organization_id == organization_id,
            calls.c.month == month_of_call(call_id),
            calls.c.call_id == call_id,
        )
    ).first()
    return row if row is not None and (teams is None or row.team in kept_names(teams)) else None


def teams_of(
    connection: Connection, organization_id: int, call_ids: Iterable[str]
) -> dict[str, str]:
    """Return the team of each call that is archived."""
    by_month: dict[int, list[str]] = {}
    for call_id in dict.fromkeys(call_ids):
        by_month.setdefault(month_of_call(call_id), []).append(call_id)
    found: dict[str, str] = {}
    for month, ids in by_month.items():
        for start in range(0, len(ids), _AT_ONCE):
            rows = connection.execute(
                select(calls.c.call_id, calls.c.team).where(
                    calls.c.organization_id == organization_id,
                    calls.c.month == month,
                    calls.c.call_id.in_(ids[start : start + _AT_ONCE]),
                )
            )
            found.update((row.call_id, row.team) for row in rows)
    return found


def numbers_of(row: Row[Any]) -> Sequence[int]:
    """Return the numbers of a call's entries, ascending."""
    return sorted(int(number) for number in row.entries.split(",") if number.isdecimal())


def _can_be_one(call_id: str) -> bool:
    """Tell whether a text can be asked for: Postgres keeps no NUL, UTF-8 no half of a pair."""
    return "\0" not in call_id and call_id == call_id.encode(errors="replace").decode()
