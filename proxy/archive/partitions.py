"""Monthly partitions on Postgres, one for each month of an organisation; SQLite has none.

There is no default partition: rows that lie in it could only be deleted, and it would have to be
searched whenever another one is made. A month that nobody expected gets a partition of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from sqlalchemy import Connection, text

from proxy.archive.database import Dialect

Partitioned = Literal["entries", "calls"]

#: Any number, the same in every version: whoever holds it makes or drops partitions.
_LOCK: Final = 4_836_279_121
# Asked of the catalogue itself: `to_regclass` alone remembers what was not there before the lock.
_THERE: Final = text(
    "SELECT 1 FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
    "WHERE inhparent = to_regclass(:parent) AND relname = :name"
)
_LOCKED: Final = text("SELECT pg_advisory_xact_lock(:lock)")


def partition_name(table: Partitioned, organization_id: int, month: int) -> str:
    """Return the name of a partition, such as entries_1_202611."""
    return f"{table}_{organization_id}_{month}"


def lock(connection: Connection, dialect: Dialect) -> None:
    """Let nobody else make or drop partitions, or enter organisations, until this transaction ends."""
    if dialect == "postgresql":
        connection.execute(_LOCKED, {"lock": _LOCK})


def ensure(
    connection: Connection, table: Partitioned, organization_id: int, months: Iterable[int]
) -> None:
    """Make the partitions of these months, where they are not there yet."""
    if connection.dialect.name != "postgresql":
        return
    for month in months:
        name = partition_name(table, organization_id, month)
        asked = {"parent": table, "name": name}
        if connection.execute(_THERE, asked).scalar() is None:
            lock(connection, "postgresql")
            if connection.execute(_THERE, asked).scalar() is None:
                _make(connection, table, name, organization_id, month)


def _make(
    connection: Connection, table: Partitioned, name: str, organization_id: int, month: int
) -> None:
    """Make a partition beside the table and attach it: readers of the others are not kept waiting."""
    connection.execute(text(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)"))
    connection.execute(
        text(
            f"ALTER TABLE {table} ATTACH PARTITION {name} "
            f"FOR VALUES FROM ({organization_id}, {month}) TO ({organization_id}, {month + 1})"
        )
    )
    if table == "entries":
        # Triggers for rows come with the table; those for statements do not.
        connection.execute(
            text(
                f"CREATE TRIGGER {name}_no_truncate BEFORE TRUNCATE ON {name} "
                "FOR EACH STATEMENT EXECUTE FUNCTION bursar_append_only()"
            )
        )
