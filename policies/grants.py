"""Grants: raises of a budget's limit for a while, each with a reason, an end, and who made it.

A grant is no money that moves: it is a limit that is higher until a time. Nothing has to run for it
to end, and several of them add up. When one ends after more was spent than the limit is without it,
the budget refuses until its window is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from policies.budgets import Budget
from policies.errors import BursarError
from policies.money import EXACT_MAX
from policies.rulebook import UNATTRIBUTED, Rulebook
from policies.texts import TEXT_CHARS_MAX, suggestion
from policies.units import parse_limit

#: As the journal names what happened to a grant.
MADE: Final = "grant_made"
ENDED: Final = "grant_ended"
# A shorter one would be over before every worker knows of it.
FOR_MS_MIN: Final = 1_000
#: A year and a day: what is to last longer belongs in the policies.
FOR_MS_MAX: Final = 366 * 86_400_000
# Budgets that stand for providers' own quotas; policies cannot take such a name either.
_WALLETS: Final = "wallet."

#: A budget as it counts for a subject now: with what is granted on top of its limit.
Raised = Callable[[Budget, str], Budget]


class NoSuchBudget(BursarError):
    """The policies have no budget of this name."""


def as_written(budget: Budget, subject: str) -> Budget:
    """Return a budget as the policies have it: nothing is granted."""
    del subject
    return budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One raise of a budget's limit."""

    id: str
    #: The budget's name.
    budget: str
    #: Whose counter may go higher; None: the budget's only one, or each of them.
    subject: str | None = None
    #: The budget's unit when the grant was made: if it counts another one now, nothing is granted.
    unit: str
    #: Nano-units for money and credits, whole units for tokens and calls; above zero.
    amount: int
    #: By the ledger's clock, in milliseconds since the epoch, like the other times.
    made_ms: int
    #: It counts until then, and not at that very millisecond.
    expires_ms: int
    reason: str
    #: Who made it: a token's name, or whoever was at the command line.
    actor: str
    #: When it was ended before its time, and by whom.
    ended_ms: int | None = None
    ended_by: str | None = None

    @property
    def over_ms(self) -> int:
        """When it ceased to count, or will."""
        return self.expires_ms if self.ended_ms is None else min(self.ended_ms, self.expires_ms)

    def is_active(self, now_ms: int) -> bool:
        """Tell whether it counts at a time."""
        return now_ms < self.over_ms

    def journalled(self, origin: str) -> dict[str, Any]:
        """Return what the journal says of it, as JSON; `origin`: from where it was made or ended."""
        data: dict[str, Any] = {
            "grant": self.id,
            "budget": self.budget,
            "subject": self.subject,
            "unit": self.unit,
            "amount": self.amount,
            "made_ms": self.made_ms,
            "expires_ms": self.expires_ms,
            "reason": self.reason,
            "actor": self.actor,
            "from": origin,
        }
        if self.ended_ms is not None:
            data |= {"made_by": self.actor, "actor": self.ended_by, "ended_ms": self.ended_ms}
        return data


def from_journal(data: Mapping[str, Any]) -> Grant:
    """Return the grant of a `grant_made` or `grant_ended` entry, as it was from then on.

    Raises:
        KeyError: something is missing.
    """
    ended_ms = data.get("ended_ms")
    return Grant(
        id=data["grant"],
        budget=data["budget"],
        subject=data["subject"],
        unit=data["unit"],
        amount=data["amount"],
        made_ms=data["made_ms"],
        expires_ms=data["expires_ms"],
        reason=data["reason"],
        actor=data["actor"] if ended_ms is None else data["made_by"],
        ended_ms=ended_ms,
        ended_by=None if ended_ms is None else data["actor"],
    )


class Grants:
    """The grants that are known at one moment; it never changes."""

    __slots__ = ("_by_counter", "_grants")

    def __init__(self, grants: Iterable[Grant] = ()) -> None:
        self._grants = tuple(grants)
        # By budget, then by subject: whoever raises a limit for each of thousands of users must not
        # slow the calls of all of them.
        self._by_counter: dict[str, dict[str | None, list[Grant]]] = {}
        for grant in self._grants:
            subjects = self._by_counter.setdefault(grant.budget, {})
            subjects.setdefault(grant.subject, []).append(grant)

    def __len__(self) -> int:
        """Return how many there are, those that are over too."""
        return len(self._grants)

    def __iter__(self) -> Iterator[Grant]:
        """Yield them in the order in which they were given."""
        return iter(self._grants)

    def active(self, budget: Budget, subject: str, now_ms: int) -> tuple[Grant, ...]:
        """Return what raises the limit of one counter at a time."""
        subjects = self._by_counter.get(budget.name)
        if subjects is None:
            return ()
        found = subjects.get(None, [])
        if subject and subject in subjects:
            found = [*found, *subjects[subject]]
        return tuple(
            grant for grant in found if grant.unit == budget.unit and grant.is_active(now_ms)
        )

    def granted(self, budget: Budget, subject: str, now_ms: int) -> int:
        """Return by how much a counter's limit is raised at a time, in the budget's unit.

        The policies may have raised the limit after a grant was made; what can be counted exactly is
        never exceeded.
        """
        amount = sum(grant.amount for grant in self.active(budget, subject, now_ms))
        return min(amount, _room(budget)) if amount else 0

    def raised(self, budget: Budget, subject: str, now_ms: int) -> Budget:
        """Return the budget with what is granted at a time; the very same one if nothing is."""
        amount = self.granted(budget, subject, now_ms)
        return replace(budget, limit=budget.limit + amount) if amount else budget

    def subjects(self, budget: Budget, now_ms: int) -> list[str]:
        """Return the subjects that something is granted to by name at a time."""
        subjects = self._by_counter.get(budget.name, {})
        return [each for each in subjects if each and self.active(budget, each, now_ms)]

    def room(self, budget: Budget, subject: str | None, now_ms: int) -> int:
        """Return how much more may be granted to a subject, or to each of them (None)."""
        subjects = self._by_counter.get(budget.name, {})
        wanted = [key for key in subjects if key is not None] if subject is None else [subject]
        granted = max(
            (
                sum(grant.amount for grant in self.active(budget, each, now_ms))
                for each in ["", *wanted]
            ),
            default=0,
        )
        return max(0, _room(budget) - granted)


def _room(budget: Budget) -> int:
    """Return how far a limit can go up and still be counted exactly, overruns included."""
    return max(0, EXACT_MAX - budget.overrun_max - budget.limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A grant that somebody wants, and that the policies allow."""

    budget: Budget
    subject: str | None
    #: In the budget's unit, as a grant's amount.
    amount: int
    for_ms: int
    reason: str


def wish(
    budget: Budget,
    *,
    amount: str,
    for_ms: int,
    reason: str,
    subject: str | None = None,
    all_subjects: bool = False,
) -> Wish:
    """Return a grant that is wanted of a budget.

    Args:
        amount: such as `50 USD`, in the budget's unit.
        for_ms: how long it is to count.
        reason: why; a line of text.
        subject: whose counter, where the budget keeps one for each of something.
        all_subjects: that it is for each of them; one of the two must be said.

    Raises:
        ValueError: it cannot be granted; the message says why, and what to do.
    """
    _check_subject(budget, subject, all_subjects=all_subjects)
    if not FOR_MS_MIN <= for_ms <= FOR_MS_MAX:
        raise ValueError(
            "a grant lasts from one second to 366 days: what is to last longer belongs in the policies"
        )
    line = reason.strip()
    if not (0 < len(line) <= TEXT_CHARS_MAX and line.isprintable()):
        raise ValueError(f"say why: a reason is a line of 1 to {TEXT_CHARS_MAX} characters")
    return Wish(
        budget=budget,
        subject=subject,
        amount=_amount(budget, amount),
        for_ms=for_ms,
        reason=line,
    )


def grantable(rulebook: Rulebook, name: str) -> Budget:
    """Return the budget of a name.

    Raises:
        NoSuchBudget: the policies have none.
        ValueError: it is one that nobody can raise.
    """
    if name == UNATTRIBUTED:
        raise ValueError(
            f"'{UNATTRIBUTED}' counts what no call explains, and refuses nothing: there is nothing "
            "to grant"
        )
    if name.startswith(_WALLETS):
        raise ValueError(f"'{name}' is a quota of the provider's own: only the provider raises it")
    budget = rulebook.budgets.get(name)
    if budget is None:
        known = [each for each in rulebook.budgets if each != UNATTRIBUTED]
        raise NoSuchBudget(f"'{name}' is not a budget: {suggestion(name, known)}")
    return budget


def _check_subject(budget: Budget, subject: str | None, *, all_subjects: bool) -> None:
    name, each = budget.name, (budget.each or "").removeprefix("tag:")
    if budget.each is None and (subject is not None or all_subjects):
        raise ValueError(f"budget '{name}' keeps one counter for all calls: name no subject")
    if budget.each is None:
        return
    if subject is not None and all_subjects:
        raise ValueError("name a subject, or say that the grant is for all of them, but not both")
    if subject is None and not all_subjects:
        raise ValueError(
            f"budget '{name}' has a limit for each {each}: name one, or say that it is for all of them"
        )
    if subject is not None and not (0 < len(subject) <= TEXT_CHARS_MAX and subject.isprintable()):
        raise ValueError(f"a subject has 1 to {TEXT_CHARS_MAX} printable characters")


def _amount(budget: Budget, text: str) -> int:
    unit, amount = parse_limit(text)
    if unit != budget.unit:
        raise ValueError(
            f"'{text.strip()}' is in {unit}, but budget '{budget.name}' counts {budget.unit}: "
            f"grant an amount such as '10 {budget.unit}'"
        )
    if amount == 0:
        raise ValueError(f"'{text.strip()}' raises nothing: grant an amount above zero")
    return amount
