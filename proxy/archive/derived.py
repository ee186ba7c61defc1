"""Reading and writing the rows that are derived from entries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from proxy.archive import tables
from proxy.archive.lives import COLUMNS, Call
from proxy.archive.months import month_of_call
from proxy.archive.projection import Changes

#: SQLite takes 32,766 parameters in a statement, Postgres twice as many.
_IDS_AT_ONCE: Final = 1_000

Row = dict[str, Any]


def known_calls(
    connection: Connection, organization_id: int, call_ids: Sequence[str]
) -> dict[str, Call]:
    """Return the rows of those calls that there are."""
    months: dict[int, list[str]] = {}
    for call_id in call_ids:
        months.setdefault(month_of_call(call_id), []).append(call_id)
    table = tables.calls.c
    columns = [table[name] for name in COLUMNS]
    found = {}
    for month, ids in months.items():
        for at in range(0, len(ids), _IDS_AT_ONCE):
            wanted = select(*columns).where(
                table.organization_id == organization_id,
                table.month == month,
                table.call_id.in_(ids[at : at + _IDS_AT_ONCE]),
            )
            for row in connection.execute(wanted):
                call = Call(**dict(zip(COLUMNS, row, strict=True)))
                found[call.call_id] = call
    return found


def store(connection: Connection, organization_id: int, changes: Changes) -> None:
    """Write what a batch changed."""
    own: Row = {"organization_id": organization_id}
    calls = [own | call.columns() for call in changes.calls.values()]
    _put(connection, tables.calls, calls)
    counters = [
        own | {"counter": counter} | stand._asdict() for counter, stand in changes.counters.items()
    ]
    _put(connection, tables.counters, counters, added=("booked",))
    for table, sums in (
        (tables.spend_days, changes.days),
        (tables.spend_keys, changes.keys),
        (tables.counter_hours, changes.hours),
        (tables.counter_spenders, changes.spenders),
    ):
        names = [column.name for column in table.columns][1:]
        rows = (
            own | dict(zip(names, (*key, *amounts), strict=True))
            for key, amounts in _in_order(sums.items())
        )
        keys = {column.name for column in table.primary_key}
        _put(connection, table, list(rows), added=[name for name in names if name not in keys])


def _in_order(sums: Iterable[tuple[tuple[Any, ...], list[int]]]) -> list[tuple[Any, ...]]:
    """Return sums in the order of their keys: neighbours in the table, written side by side."""
    return sorted(sums, key=lambda item: item[0])


def _put(
    connection: Connection, table: Table, rows: Sequence[Row], *, added: Sequence[str] = ()
) -> None:
    """Insert rows; of one that is there, replace the values, and add to those that are sums."""
    if not rows:
        return
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement: Any = insert(table)
    keys = [column.name for column in table.primary_key]
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=keys,
            set_={
                column.name: column + statement.excluded[column.name]
                if column.name in added
                else statement.excluded[column.name]
                for column in table.columns
                if column.name not in keys
            },
        ),
        rows,
    )
