"""Somebody who owns the database, and changes what its triggers would not let anybody change."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from proxy.archive.database import Database


def tamper(database: Database, *statements: str, **values: Any) -> None:
    """Run statements with every guard of the database taken down."""
    with database.begin() as connection:
        if database.dialect == "postgresql":
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        else:
            triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            for name in list(connection.execute(text(triggers)).scalars()):
                connection.execute(text(f"DROP TRIGGER {name}"))
        for statement in statements:
            connection.execute(text(statement), values)
