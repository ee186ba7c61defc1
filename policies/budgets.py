"""A budget: whose calls it counts, in what unit and over which window, and what its limit does."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from policies.windows import Window

Mode = Literal["enforce", "warn", "shadow"]
QuoteKind = Literal["bound", "likely"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who a key belongs to."""

    key_id: str
    team: str
    user: str | None = None
    session: str | None = None
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which calls a budget counts; an empty part matches everything."""

    team: str | None = None
    users: frozenset[str] = frozenset()
    key_ids: frozenset[str] = frozenset()
    #: Globs on the model as the caller names it.
    models: tuple[str, ...] = ()
    providers: frozenset[str] = frozenset()
    tags: tuple[tuple[str, str], ...] = ()

    def matches(self, caller: Caller, model: str, provider: str) -> bool:
        """Tell whether a call of this caller counts."""
        return (
            self.team in (None, caller.team)
            and (not self.users or caller.user in self.users)
            and (not self.key_ids or caller.key_id in self.key_ids)
            and (not self.models or any(fnmatchcase(model, glob) for glob in self.models))
            and (not self.providers or provider in self.providers)
            and all(tag in caller.tags for tag in self.tags)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A limit on what the calls of a scope may come to within a window."""

    name: str
    scope: Scope = field(default_factory=Scope)
    #: A counter of its own for each value: `user`, `key`, `model`, `session` or `tag:NAME`.
    each: str | None = None
    unit: str
    #: Nano-units for money and credits, whole units for tokens and calls.
    limit: int
    window: Window
    mode: Mode = "enforce"
    #: Shares of the limit, in percent, at which the journal notes a warning.
    warn_at_percent: tuple[int, ...] = ()
    when_short: Literal["refuse", "clamp"] = "refuse"
    #: A clamp never lowers the output limit below this many tokens.
    clamp_floor: int = 256
    #: What to reserve for a call whose price is not known, in nano-dollars; None refuses it.
    when_unpriced_nano_usd: int | None = None
    #: What a worker may spend on its own while the ledger is away, in nano-dollars; None refuses.
    when_ledger_down_nano_usd: int | None = None
    quote: QuoteKind = "bound"
    #: With `likely`: by how much the bounds of all calls in flight may exceed what is left.
    overrun_max: int = 0


def subject_of(budget: Budget, caller: Caller, model: str) -> str:
    """Return the value that the budget keeps a counter for; empty when it keeps a single one.

    A caller who lacks the value shares one counter, named `-`, with all others who lack it:
    leaving out a header must not be a way around a budget.
    """
    match budget.each:
        case None:
            return ""
        case "user":
            value = caller.user
        case "key":
            value = caller.key_id
        case "model":
            value = model
        case "session":
            value = caller.session
        case tag:
            value = dict(caller.tags).get(tag.removeprefix("tag:"))
    return value or "-"
