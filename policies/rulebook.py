"""The rulebook: which teams exist, what they may use, and which budgets count a call.

How budgets match, in the order of the files:

- *All* budgets that match a call must admit it; none of them overrides another.
- A budget without `team` counts the calls of every team. One with `team` counts that team's alone.
- `users`, `keys`, `models`, `providers` and `tags` narrow a budget down. A call must match every
  part that is given: one of the users and one of the models, and all of the tags.
- `each` keeps a counter of its own for each value, all with the same limit: `team: research,
  each: user` gives every user of the team the limit; without `team`, every user there is.
- Callers who lack the value that `each` asks for share one counter (see `budgets.subject_of`).
- A call that no budget counts is admitted: budgets restrict, teams permit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Final, Literal

from policies.budgets import Budget, Caller, subject_of
from policies.money import EXACT_MAX
from policies.units import USD
from policies.windows import Calendar

Acceptable = Literal["user", "session", "tags"]

# One entry for each combination of key, user, tags, model and provider that calls were made with;
# with 1,000 keys on 4 models each. Clients choose some of these values, hence a bound.
CACHE_ENTRIES_MAX: Final = 4_096
#: The budget for what providers bill and no call of ours explains; policies may limit it, and warn.
UNATTRIBUTED: Final = "unattributed"
# Longer names of models are looked up anew each time, so that they cannot fill the memory.
CACHED_MODEL_CHARS_MAX: Final = 256


_UNATTRIBUTED: Final = Budget(
    name=UNATTRIBUTED, unit=USD, limit=EXACT_MAX, window=Calendar("month"), mode="shadow"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """What the calls of one team may do."""

    name: str
    #: Globs on the model as the caller names it; a model that matches none is not allowed.
    models: tuple[str, ...] = ("*",)
    #: The users there are; empty when the team does not say, and anyone may be named.
    members: frozenset[str] = frozenset()
    #: Which `x-bursar-*` headers the team's keys may send.
    accept: frozenset[Acceptable] = frozenset()
    #: A request whose tokens its bytes do not show: assume a full context window, or refuse it.
    hidden_input: Literal["context_window", "refuse"] = "context_window"
    #: An answer that comes later: fetch it by its id to settle the call, or refuse it.
    background: Literal["poll", "refuse"] = "poll"
    #: What a request without an output limit is quoted at; None: the most that the model can do.
    default_max_output_tokens: int | None = None
    #: How many rounds of tools a provider is assumed to run where the request does not say.
    tool_rounds_max: int = 10

    def allows(self, model: str) -> bool:
        """Tell whether the team may use this model."""
        return any(fnmatchcase(model, glob) for glob in self.models)

    def has_member(self, user: str | None) -> bool:
        """Tell whether the team's calls may be made for this user.

        A key that names no user belongs to the team as such.
        """
        return user is None or not self.members or user in self.members


@dataclass(frozen=True, slots=True)
class UnknownTeam:
    """The key's team is in no policy file, perhaps not any more."""

    team: str


@dataclass(frozen=True, slots=True)
class NotAMember:
    """The call is made for a user whom the team does not list."""

    team: str
    user: str


@dataclass(frozen=True, slots=True)
class ModelNotAllowed:
    """The team may not use this model."""

    team: str
    model: str


Barred = UnknownTeam | NotAMember | ModelNotAllowed


@dataclass(frozen=True, slots=True)
class Rules:
    """What applies to one call: the team, and each budget with the subject whose counter it is."""

    team: Team
    budgets: tuple[tuple[Budget, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What is remembered for calls that differ in nothing but their session."""

    #: For these very calls, unless a budget keeps a counter for each session.
    rules: Rules
    budgets: tuple[Budget, ...]
    by_session: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rulebook:
    """Everything that the policy files say, checked."""

    organization: str = "default"
    teams: Mapping[str, Team] = field(default_factory=dict)
    #: By name, in the order of the files.
    budgets: Mapping[str, Budget] = field(default_factory=dict)
    #: Changes whenever the meaning does, and never with comments or layout.
    version: str = field(init=False)
    #: The budgets that may count a team's calls: most belong to another team.
    _candidates: Mapping[str, tuple[Budget, ...]] = field(init=False, repr=False, compare=False)
    _cache: dict[tuple[object, ...], _Found] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        candidates = {
            team: tuple(
                budget
                for budget in self.budgets.values()
                if budget.scope.team in (None, team) and budget.name != UNATTRIBUTED
            )
            for team in self.teams
        }
        object.__setattr__(self, "_candidates", candidates)
        object.__setattr__(self, "version", self._digest())

    @property
    def unattributed(self) -> Budget:
        """The budget that counts what no call explains; it counts no call, and refuses none."""
        return self.budgets.get(UNATTRIBUTED) or _UNATTRIBUTED

    def rules_for(
        self, caller: Caller, model: str, provider: str, *, spelling: str | None = None
    ) -> Rules | Barred:
        """Return what applies to a call, or why it may not be made.

        Args:
            model: the name by which the model is known to the price list, so that no spelling of
                it is a way around a budget or into a model that is not allowed.
            spelling: the caller's own name for the very same model; policies may use that too.
        """
        key = (caller.key_id, caller.team, caller.user, caller.tags, model, spelling, provider)
        found = self._cache.get(key)
        if found is None:
            names = (model,) if spelling is None else (model, spelling)
            barred = self._barred(caller, names)
            if barred is not None:
                return barred
            found = self._find(caller, names, provider)
            if len(model) <= CACHED_MODEL_CHARS_MAX:
                self._remember(key, found)
        if not found.by_session:
            return found.rules
        return _rules(found.rules.team, found.budgets, caller, model)

    def _barred(self, caller: Caller, names: tuple[str, ...]) -> Barred | None:
        team = self.teams.get(caller.team)
        if team is None:
            return UnknownTeam(caller.team)
        if caller.user is not None and not team.has_member(caller.user):
            return NotAMember(team.name, caller.user)
        if not any(team.allows(name) for name in names):
            return ModelNotAllowed(team.name, names[0])
        return None

    def _find(self, caller: Caller, names: tuple[str, ...], provider: str) -> _Found:
        budgets = tuple(
            budget
            for budget in self._candidates[caller.team]
            if any(budget.scope.matches(caller, name, provider) for name in names)
        )
        return _Found(
            rules=_rules(self.teams[caller.team], budgets, caller, names[0]),
            budgets=budgets,
            by_session=any(budget.each == "session" for budget in budgets),
        )

    def _remember(self, key: tuple[object, ...], found: _Found) -> None:
        if len(self._cache) >= CACHE_ENTRIES_MAX:
            self._cache.clear()
        self._cache[key] = found

    def _digest(self) -> str:
        """Return a short hash of what the rulebook means."""
        content = [
            self.organization,
            [asdict(self.teams[name]) for name in sorted(self.teams)],
            # The order counts: a refusal names the first budget without room. The window's repr
            # tells apart windows whose fields are the same.
            [asdict(budget) | {"window": repr(budget.window)} for budget in self.budgets.values()],
        ]
        canonical = json.dumps(content, sort_keys=True, default=sorted)
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def _rules(team: Team, budgets: tuple[Budget, ...], caller: Caller, model: str) -> Rules:
    return Rules(team, tuple((budget, subject_of(budget, caller, model)) for budget in budgets))
