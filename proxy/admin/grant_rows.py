"""A grant as the admin API shows it, and whoever makes grants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from policies.clock import rfc3339
from policies.grants import Grant, Wish
from proxy.admin.schemas import GrantRow
from proxy.grant_store import Who
from proxy.standing_rows import amount_json


class GrantAdministration(Protocol):
    """Whatever makes and ends grants. Everything raises `LedgerUnavailable`."""

    async def make(self, wish: Wish, who: Who, *, once: str | None = None) -> tuple[Grant, bool]:
        """Grant what is wanted; return the grant, and whether it is new."""
        ...

    async def end(self, grant_id: str, who: Who, *, budget: str | None = None) -> Grant:
        """End a grant before its time."""
        ...

    async def list(self) -> Sequence[Grant]:
        """Return all grants, those that were over lately too, the newest first."""
        ...


def grant_row(grant: Grant, now_ms: int) -> GrantRow:
    """Return a grant as it stands at a time, by the ledger's clock."""
    return GrantRow(
        id=grant.id,
        budget=grant.budget,
        subject=grant.subject,
        unit=grant.unit,
        amount=amount_json(grant.unit, grant.amount),
        state=_state(grant, now_ms),
        made_at=rfc3339(grant.made_ms),
        expires_at=rfc3339(grant.expires_ms),
        ended_at=None if grant.ended_ms is None else rfc3339(grant.ended_ms),
        ended_by=grant.ended_by,
        reason=grant.reason,
        actor=grant.actor,
    )


def _state(grant: Grant, now_ms: int) -> Literal["active", "expired", "ended"]:
    if grant.ended_ms is not None:
        return "ended"
    return "active" if grant.is_active(now_ms) else "expired"
