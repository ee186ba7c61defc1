"""Past calls under another policy: who would have been refused, and what that would have held back.

What cannot be known is assumed, and said (`ASSUMPTIONS`): it is part of every answer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Final, Literal

from policies.grants import ENDED, MADE, Grant, Grants, from_journal
from policies.journal import ADMITTED, REFUSED
from policies.ledger.counter import Counter
from policies.ledger.keys import FIRST_USE, REPORTED
from policies.reservations import Operation
from policies.rulebook import Barred, ModelNotAllowed, NotAMember, Rulebook, Rules
from proxy.archive.backtest.amounts import Charged, charged_of
from proxy.archive.backtest.asks import Unpriced, caller_of, checks_of
from proxy.archive.backtest.balances import Balances, HeldCall, has_no_room
from proxy.archive.backtest.in_flight import CallsInFlight
from proxy.archive.backtest.records import Check, Recorded, SaidCall, said_of_call
from proxy.prices.names import same_model

ASSUMPTIONS: Final = (
    "People would have made the same calls, at the same times.",
    "A call that was refused then and passes now is charged its quote, at once.",
    "A call that passed then and is refused now frees what it was charged then.",
    "Quotes are as they were; limits of the output, clamping and learning are not worked out anew.",
    "Requests that reached no budget (a wrong key, a model that was not allowed, no price) stay refused.",
    "What a provider's own quotas refused stays refused; calls that passed without the ledger pass.",
    "Grants raise the limits of budgets of the same name and unit, as they did then.",
)
#: Why a call is refused that no budget refuses.
Cause = Literal["budget", "team", "member", "model", "price", "wallet"]
_MOVES: Final = frozenset(operation.value for operation in Operation)


@dataclass(slots=True)
class Line:
    """What a budget does to the calls of a team; or a rule that is none."""

    budget: str
    team: str
    cause: Cause = "budget"
    #: Calls that it refuses now, and those of them that had passed.
    refused: int = 0
    newly_refused: int = 0
    first_ms: int | None = None
    first_call: str | None = None
    #: What these were charged then, in nano-dollars; for those still in flight, the quote.
    held_back_nano_usd: int = 0
    #: Calls that it had refused, and that pass now; their quotes, in nano-dollars.
    newly_admitted: int = 0
    admitted_nano_usd: int = 0
    #: Calls that it would refuse if it were enforced.
    noticed: int = 0


@dataclass(slots=True)
class Outlook:
    """What came of another policy."""

    lines: dict[tuple[str, str, Cause], Line] = field(default_factory=dict)
    calls: int = 0
    admitted: int = 0
    refused: int = 0
    newly_refused: int = 0
    newly_admitted: int = 0
    held_back_nano_usd: int = 0
    admitted_nano_usd: int = 0
    #: Calls that passed while the ledger was away.
    forced: int = 0
    #: Operations on calls of which the admission was not looked at: it is too long ago.
    unknown: int = 0

    def line(self, budget: str, team: str, cause: Cause = "budget") -> Line:
        """Return the line of a budget and a team."""
        key = (budget, team, cause)
        found = self.lines.get(key)
        if found is None:
            found = self.lines[key] = Line(budget, team, cause)
        return found


@dataclass(slots=True)
class _Past:
    """A call that passed then."""

    charged: Charged
    #: What it holds now; None: it is refused now.
    held: HeldCall | None
    units: set[str]
    #: Where it is counted as held back.
    line: Line | None = None

    @property
    def is_pending(self) -> bool:
        """Whether it has not ended."""
        return not self.charged.ended


@dataclass(slots=True)
class _Decided:
    """What a call asks of each budget, and what refuses it; None: it passes."""

    checks: list[Check]
    refused_by: tuple[str, Cause] | None = None


class Candidate:
    """Goes through the journal under another policy."""

    def __init__(self, rulebook: Rulebook, *, report_from_ms: int = 0) -> None:
        """Take the policy, and from when on calls are reported; those before bring the counters there."""
        self._rulebook = rulebook
        self._report_from_ms = report_from_ms
        self._balances = Balances()
        self._calls = CallsInFlight[_Past](lambda call: call.is_pending)
        self._grants: dict[str, Grant] = {}
        self._granted = Grants()
        self.found = Outlook()

    def take(self, entry: Recorded) -> None:
        """Go one entry further."""
        kind = entry.kind
        if kind in (ADMITTED, REFUSED):
            self._decide(entry)
        elif kind in _MOVES:
            self._moved(entry)
        elif kind in (MADE, ENDED):
            self._grant(entry)
        self._balances.sweep(entry.at_ms)

    # Deciding…

    def _decide(self, entry: Recorded) -> None:
        said = said_of_call(entry.data)
        if said.ghost is not None or self._calls.get(entry.call_id) is not None:
            # Nobody made it; or it was booked again by a ledger that had lost it.
            return
        reported = entry.at_ms >= self._report_from_ms
        decided = self._decided(entry, said)
        checks, refused_by = decided.checks, decided.refused_by
        line: Line | None = None
        if refused_by is not None and reported:
            line = self._count_refusal(entry, said, *refused_by)
        held = None
        if refused_by is None:
            held = self._balances.hold(checks, entry.at_ms, forced=entry.forced)
        if entry.kind == ADMITTED:
            units = {check.unit for check in checks}
            past = _Past(charged_of(said, entry.checks), held, units, line)
            self._calls.put(entry.call_id, past, entry.at_ms)
            self._hold_back(past, 0)
        elif held is not None:
            self._balances.charge(held, [check.held for check in checks], entry.at_ms)
        if reported:
            self._count(entry, said, refused=refused_by is not None)

    def _decided(self, entry: Recorded, said: SaidCall) -> _Decided:
        if said.provider is None or said.model is None:
            return _Decided([])
        rules = self._rules(said)
        if not isinstance(rules, Rules):
            return _Decided([], _barred(rules))
        now_ms = entry.at_ms
        budgets = [
            (self._granted.raised(budget, subject, now_ms), subject)
            for budget, subject in rules.budgets
        ]
        checks = checks_of(said, entry.checks, budgets, now_ms)
        if isinstance(checks, Unpriced):
            return _Decided([], (checks.budget, "price"))
        short = [check for check in checks if has_no_room(check, self._open(check, now_ms))]
        if now_ms >= self._report_from_ms:
            for check in short:
                if check.mode != "enforce":
                    self.found.line(check.budget, said.team or "").noticed += 1
        if entry.forced:
            return _Decided(checks)
        for check in short:
            if check.mode == "enforce":
                return _Decided(checks, (check.budget, "budget"))
        wallet = _refusing_wallet(entry)
        return _Decided(checks, None if wallet is None else (wallet, "wallet"))

    def _rules(self, said: SaidCall) -> Rules | Barred:
        model, provider = said.model or "", said.provider or ""
        spelled = said.spelled
        if spelled is not None and not same_model(model, spelled):
            spelled = None
        return self._rulebook.rules_for(caller_of(said), model, provider, spelling=spelled)

    def _open(self, check: Check, now_ms: int) -> Counter:
        counter = self._balances.opened(check, now_ms)
        if check.kind == FIRST_USE:
            check.slot = counter.start_ms
        return counter

    # Following…

    def _moved(self, entry: Recorded) -> None:
        past = self._calls.get(entry.call_id)
        if past is None:
            self.found.unknown += entry.at_ms >= self._report_from_ms
            return
        before = past.charged.nano_usd
        past.charged.take(entry, past.units)
        self._hold_back(past, before)
        if past.held is not None:
            charged = _charged(past.held, past.charged.amounts, entry.kind)
            self._balances.charge(past.held, charged, entry.at_ms)
        self._calls.ended(entry.call_id, entry.kind)

    def _hold_back(self, past: _Past, before: int) -> None:
        """Count what a call that is refused now had been charged, as far as that is known by now."""
        if past.line is not None:
            change = past.charged.nano_usd - before
            past.line.held_back_nano_usd += change
            self.found.held_back_nano_usd += change

    def _grant(self, entry: Recorded) -> None:
        try:
            grant = from_journal(json.loads(entry.data))
        except (ValueError, KeyError, TypeError):
            return
        self._grants[grant.id] = grant
        self._grants = {
            name: each for name, each in self._grants.items() if each.is_active(entry.at_ms)
        }
        self._granted = Grants(self._grants.values())

    # Counting…

    def _count_refusal(
        self, entry: Recorded, said: SaidCall, name: str, cause: Cause
    ) -> Line | None:
        line = self.found.line(name, said.team or "", cause)
        line.refused += 1
        if line.first_ms is None:
            line.first_ms, line.first_call = entry.at_ms, entry.call_id
        if entry.kind == ADMITTED:
            line.newly_refused += 1
            return line
        return None

    def _count(self, entry: Recorded, said: SaidCall, *, refused: bool) -> None:
        found = self.found
        found.calls += 1
        found.forced += entry.forced
        found.admitted += not refused
        found.refused += refused
        if refused:
            found.newly_refused += entry.kind == ADMITTED
        elif entry.kind == REFUSED:
            quoted = charged_of(said, entry.checks).nano_usd
            found.newly_admitted += 1
            found.admitted_nano_usd += quoted
            line = found.line(_refused_by(entry), said.team or "")
            line.newly_admitted += 1
            line.admitted_nano_usd += quoted


def _charged(held: HeldCall, amounts: dict[str, int], operation: str) -> list[int]:
    """Return what a call is charged of each budget after an operation."""
    if operation == Operation.RELEASE:
        return [0] * len(held.holds)
    if operation == Operation.EXPIRE:
        return [check.held for check in held.holds]
    if operation == Operation.GIVE_UP:
        return held.charged
    # A unit of which nothing says what it came to stays as it is charged, or was held.
    return [
        amounts.get(check.unit, check.held if held.pending else before)
        for check, before in zip(held.holds, held.charged, strict=True)
    ]


def _barred(barred: Barred) -> tuple[str, Cause]:
    match barred:
        case ModelNotAllowed(team):
            return team, "model"
        case NotAMember(team):
            return team, "member"
        case _:
            return barred.team, "team"


def _refusing_wallet(entry: Recorded) -> str | None:
    """Return the provider's own quota that had no room for a call."""
    if entry.kind != REFUSED:
        return None
    return next(
        (check.budget for check in entry.checks if check.short and check.kind == REPORTED), None
    )


def _refused_by(entry: Recorded) -> str:
    return next(
        (check.budget for check in entry.checks if check.short and check.mode == "enforce"), ""
    )
