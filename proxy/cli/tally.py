"""How many calls there were, and how many were refused: what a person asks at the end of a run."""

from __future__ import annotations

from collections import Counter

from structlog.typing import FilteringBoundLogger

from proxy.dialects.interface import ErrorKind
from proxy.gateway.call import Refusal, Ticket
from proxy.gateway.watch import Watch
from proxy.telemetry.metrics import Metrics


class Tally(Watch):
    """Counts calls besides what every watch does."""

    def __init__(self, metrics: Metrics, log: FilteringBoundLogger) -> None:
        super().__init__(metrics, log)
        self.admissions = 0
        #: By a budget or a wallet.
        self.refusals = 0
        #: Errors of the proxy's own for every other reason, in words.
        self.others: Counter[str] = Counter()

    def admitted(self, ticket: Ticket, after_s: float) -> None:
        """A call passed the gate."""
        self.admissions += 1
        super().admitted(ticket, after_s)

    def refused(self, refusal: Refusal, dialect: str, call_id: str) -> None:
        """A call did not pass."""
        if refusal.kind in (ErrorKind.BUDGET_EXCEEDED, ErrorKind.WALLET_EXHAUSTED):
            self.refusals += 1
        else:
            self.others[refusal.kind.value.replace("_", " ")] += 1
        super().refused(refusal, dialect, call_id)
