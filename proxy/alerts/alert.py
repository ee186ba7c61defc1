"""What is told: one thing that somebody should hear of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

#: The kind of the journal's entries.
JOURNAL_KIND = "alert"
ENDED_KIND = "alert_ended"


class Topic(StrEnum):
    """What alerts are about."""

    BUDGET_THRESHOLD = "budget_threshold"
    BUDGET_EXHAUSTED = "budget_exhausted"
    WALLET_LOW = "wallet_low"
    WALLET_CLOSED = "wallet_closed"
    DRIFT = "drift"
    RECEIPTS_OVERDUE = "receipts_overdue"
    ARCHIVE_BEHIND = "archive_behind"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One thing to be told, once for as long as its mark stands."""

    topic: Topic
    #: What it is about, in the topic: the same name is told once.
    name: str
    #: One sentence for people.
    text: str
    #: The facts in it, for programs; money as whole nano-units.
    facts: Mapping[str, str | int | None] = field(default_factory=dict)
    #: When its mark ends, in ms by the ledger's clock: with the window that it is about. None: it
    #: stands for as long as the alert is found again, so that what comes back is told again.
    until_ms: int | None = None

    @property
    def mark(self) -> str:
        """What keeps it from being told twice."""
        return f"{self.topic}|{self.name}"
