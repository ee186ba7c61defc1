"""Names of everything that the ledger keeps: one hash tag per organisation, one counter per window."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, unquote

from policies.budgets import Budget
from policies.reservations import Charge
from policies.windows import Calendar, FirstUse, Lifetime, Reported, Rolling

FIXED = "fixed"
ROLLING = "rolling"
FIRST_USE = "first-use"
REPORTED = "reported"


class Keys:
    """Key names of one organisation.

    The braces are Redis Cluster's hash tag: all keys of an organisation lie in one slot, so that one
    script may touch them all, and organisations spread over the shards.
    """

    __slots__ = (
        "callers",
        "callers_version",
        "deadlines",
        "grants",
        "grants_version",
        "journal",
        "prefix",
    )

    def __init__(self, organization: str) -> None:
        """Name everything once: a call asks for these names ten times."""
        #: What every key begins with.
        self.prefix = f"bursar:{{{quote(organization, safe='')}}}"
        #: The stream of journal entries.
        self.journal = f"{self.prefix}:journal"
        #: The sorted set of reserved calls by the end of their lease.
        self.deadlines = f"{self.prefix}:deadlines"
        #: The hash of callers' keys by the digest of their secret.
        self.callers = f"{self.prefix}:keys"
        #: Counts up whenever a caller's key changes.
        self.callers_version = f"{self.prefix}:keys:version"
        #: The hash of grants by their id.
        self.grants = f"{self.prefix}:grants"
        #: Counts up whenever a grant is made or ended.
        self.grants_version = f"{self.prefix}:grants:version"

    def topic(self, name: str) -> str:
        """Return the hash of values that were journalled last, by name, such as prices."""
        return f"{self.prefix}:last:{name}"

    def call(self, call_id: str) -> str:
        """Return the record of one call."""
        return f"{self.prefix}:call:{call_id}"

    def counter(self, name: str) -> str:
        """Return the hash that keeps one counter."""
        return f"{self.prefix}:counter:{name}"

    def receipts(self, provider: str, part: str) -> str:
        """Return what is kept of a provider's receipts: `due` is the queue of calls without one."""
        return f"{self.prefix}:receipts:{provider}:{part}"

    def wallet(self, provider: str) -> str:
        """Return what a provider last reported of its quotas."""
        return f"{self.prefix}:wallet:{provider}"

    def alerts(self, part: str) -> str:
        """Return what is kept of alerts: what was told, and what is still to be sent."""
        return f"{self.prefix}:alerts:{part}"

    def claim(self, work: str) -> str:
        """Return the claim of one replica to do work that only one may do at a time."""
        return f"{self.prefix}:claim:{work}"

    def subjects(self, name: str) -> str:
        """Return the set of subjects that a budget has counters for, within the window of a counter."""
        budget, unit, _, window_id = name.split(":", 3)
        return f"{self.prefix}:subjects:{budget}:{unit}:{window_id}"


@lru_cache(maxsize=4_096)
def counter_name(budget: str, unit: str, subject: str, window_id: str) -> str:
    """Return the identity of a counter.

    The unit is a part of it: a budget that counts calls from today on must not take its dollars so
    far for calls.
    """
    return f"{budget}:{quote(unit, safe='')}:{quote(subject, safe='')}:{window_id}"


def counter_parts(name: str) -> tuple[str, str, str, str]:
    """Return budget, unit, subject and window of a counter's identity."""
    budget, unit, subject, window_id = name.split(":", 3)
    return budget, unquote(unit), unquote(subject), window_id


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a budget counts at one moment."""

    counter: str
    kind: str
    window_id: str
    #: Fixed windows: the span [start_ms, end_ms), end 0 for never. Else 0.
    start_ms: int
    end_ms: int
    #: Rolling and first-use: the window's length. Reported: when a report is stale.
    length_ms: int
    #: Rolling: the sub-bucket's width. Reported: what to do without a report (`Reported.flags`).
    bucket_ms: int


def place(budget: Budget, subject: str, now_ms: int) -> Placement:
    """Return where a budget counts a call of this subject at this time."""
    match budget.window:
        case Calendar() | Lifetime() as window:
            span = window.span(now_ms)
            name = counter_name(budget.name, budget.unit, subject, span.id)
            return Placement(name, FIXED, span.id, span.start_ms, span.end_ms or 0, 0, 0)
        case Rolling() as window:
            name = counter_name(budget.name, budget.unit, subject, window.id)
            return Placement(name, ROLLING, window.id, 0, 0, window.length_ms, window.bucket_ms)
        case FirstUse() as window:
            name = counter_name(budget.name, budget.unit, subject, window.id)
            return Placement(name, FIRST_USE, window.id, 0, 0, window.length_ms, 0)
        case Reported() as window:
            name = counter_name(budget.name, budget.unit, subject, window.id)
            return Placement(
                name, REPORTED, window.id, 0, 0, window.stale_after_ms, bucket_ms=window.flags
            )


def charge_of(
    budget: Budget, subject: str, placement: Placement, *, slot: int, held: int, bound: int
) -> Charge:
    """Return the charge that a reservation makes at a place."""
    return Charge(
        budget=budget.name,
        subject=subject,
        unit=budget.unit,
        counter=placement.counter,
        kind=placement.kind,
        length_ms=placement.end_ms if placement.kind == FIXED else placement.length_ms,
        bucket_ms=placement.bucket_ms,
        slot=slot,
        held=held,
        bound=bound,
    )
