"""One organisation's part of a Redis: emptied, copied, put back; and its journal as the archive gets it."""

from __future__ import annotations

from typing import Any

from policies.ledger.connection import Commands
from policies.ledger.keys import Keys
from proxy.archive.database import Database
from proxy.archive.stream import read_row
from tests.doubles.archived import archive_entries


async def names_of(connection: Commands, keys: Keys) -> list[bytes]:
    # The braces of the hash tag are no pattern, and neither is anything else in a test's name.
    found: list[bytes] = await connection.execute("KEYS", f"{keys.prefix}:*")
    return found


async def forget(connection: Commands, keys: Keys) -> None:
    names = await names_of(connection, keys)
    if names:
        await connection.execute("DEL", *names)


async def copy(connection: Commands, keys: Keys) -> dict[bytes, Any]:
    names = await names_of(connection, keys)
    return {name: await connection.execute("DUMP", name) for name in names}


async def put_back(connection: Commands, keys: Keys, copied: dict[bytes, Any]) -> None:
    await forget(connection, keys)
    for name, value in copied.items():
        await connection.execute("RESTORE", name, 0, value)


async def archive(
    connection: Commands, keys: Keys, database: Database, organization: str, behind: str = "-"
) -> str:
    """Archive what the journal has behind an id, as the archive's work does; return the last id."""
    begin = behind if behind == "-" else f"({behind}"
    rows = await connection.execute("XRANGE", keys.journal, begin, "+")
    entries = [read_row((row[0], row[1])) for row in rows]
    if entries:
        archive_entries(database, organization, entries)
    return entries[-1].stream_id if entries else behind
