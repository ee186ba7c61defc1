"""Where an organisation's chain ends, and where it begins."""

from __future__ import annotations

from sqlalchemy import Connection, select

from proxy.archive.chain import genesis
from proxy.archive.lines import Head
from proxy.archive.tables import checkpoints, entries, organizations


def organization_number(connection: Connection, organization: str) -> int | None:
    """Return the id of an organisation; None: the archive has nothing of it yet."""
    found: int | None = connection.execute(
        select(organizations.c.id).where(organizations.c.name == organization)
    ).scalar()
    return found


def head(connection: Connection, organization_id: int, organization: str) -> Head:
    """Return where the chain ends; of an organisation without entries, where it will begin."""
    row = connection.execute(
        select(organizations).where(organizations.c.id == organization_id)
    ).first()
    if row is None:
        return Head(
            number=0,
            hash=genesis(organization),
            at_ms=None,
            first_number=1,
            checkpoint_number=None,
            checkpoint_ms=None,
        )
    at_ms = connection.execute(
        select(entries.c.at_ms).where(
            entries.c.organization_id == organization_id, entries.c.number == row.number
        )
    ).scalar()
    signed = connection.execute(
        select(checkpoints.c.number, checkpoints.c.at_ms)
        .where(checkpoints.c.organization_id == organization_id)
        .order_by(checkpoints.c.number.desc())
        .limit(1)
    ).first()
    return Head(
        number=row.number,
        hash=row.hash,
        at_ms=at_ms,
        first_number=row.first_number,
        checkpoint_number=signed.number if signed is not None else None,
        checkpoint_ms=signed.at_ms if signed is not None else None,
    )
