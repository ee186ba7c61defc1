"""Policies while the proxy runs: loaded anew on request and when a file changes, all or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Protocol

from watchfiles import Change, awatch

from policies.budgets import Budget
from policies.documents import PolicyErrors, load
from policies.lined_yaml import Mistake
from policies.rulebook import Rulebook, Team
from policies.units import policy_text

# An editor writes a file in several steps, and a deployment several files; both take milliseconds.
SETTLED_AFTER_MS: Final = 200
STEP_MS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """The files could be used; what they say is in force."""

    version: str
    #: What differs from before, one line each; empty when nothing does.
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The files cannot be used; what was in force before stays."""

    mistakes: tuple[Mistake, ...]


class Observer(Protocol):
    """Whoever tells operators."""

    def policies_changed(self, outcome: Reloaded) -> None:
        """Other policies are in force."""
        ...

    def policies_rejected(self, outcome: Rejected) -> None:
        """The policy files have mistakes; the policies so far stay in force."""
        ...

    def policies_unwatched(self, fault: str) -> None:
        """Changes of files are not noticed; policies are loaded on request alone."""
        ...


class PolicyWatch:
    """Keeps what is in force in step with the files."""

    def __init__(
        self,
        path: Path,
        rulebook: Rulebook,
        apply: Callable[[Rulebook], Awaitable[None]],
        observer: Observer,
        *,
        environ: Mapping[str, str],
    ) -> None:
        """Begin with what was loaded at start.

        Args:
            path: a file or a folder.
            rulebook: what is in force.
            apply: puts another rulebook in force.
            observer: is told of every change, and of every change that was not possible.
            environ: what `${NAME}` in the files stands for.
        """
        self._path = path
        self.rulebook = rulebook
        self._apply = apply
        self._observer = observer
        self._environ = environ
        self._reloading = asyncio.Lock()

    async def reload(self) -> Reloaded | Rejected:
        """Load the files, and put what they say in force if they can be used."""
        async with self._reloading:
            try:
                # Parsing blocks; calls go on meanwhile.
                loaded = await asyncio.to_thread(load, [self._path], self._environ)
            except PolicyErrors as error:
                return self._reject(error.mistakes)
            if loaded.organization != self.rulebook.organization:
                said = (
                    f"cannot change from '{self.rulebook.organization}' to '{loaded.organization}' "
                    "while the proxy runs: restart it"
                )
                return self._reject((Mistake(str(self._path), 1, "organization", said),))
            outcome = Reloaded(
                version=loaded.version, changes=tuple(differences(self.rulebook, loaded))
            )
            if loaded.version != self.rulebook.version:
                await self._apply(loaded)
                self.rulebook = loaded
                self._observer.policies_changed(outcome)
            return outcome

    def _reject(self, mistakes: tuple[Mistake, ...]) -> Rejected:
        outcome = Rejected(mistakes=mistakes)
        self._observer.policies_rejected(outcome)
        return outcome

    async def run(self) -> None:
        """Load the files whenever one of them changes, until cancelled."""
        try:
            async with aclosing(self._batches()) as batches:
                async for _ in batches:
                    await self.reload()
        except (OSError, RuntimeError) as fault:
            # The system has a limit on watches, and some file systems know none.
            self._observer.policies_unwatched(str(fault))

    def _batches(self) -> AsyncGenerator[object, None]:
        # A file is watched by its folder: editors replace files, and a watch would go with the old.
        folder = self._path if self._path.is_dir() else self._path.parent
        return awatch(
            folder,
            watch_filter=self._concerns,
            recursive=False,
            debounce=SETTLED_AFTER_MS,
            step=STEP_MS,
        )

    def _concerns(self, change: Change, changed: str) -> bool:
        """Tell whether a change may be one of the policies."""
        del change
        name = Path(changed).name
        # Kubernetes swaps a link named `..data`, behind which all files of a folder change.
        return name.startswith("..") or self._path.is_dir() or name == self._path.name


# What has changed…


def differences(old: Rulebook, new: Rulebook) -> Iterator[str]:
    """Yield what differs between two rulebooks, in words."""
    if old.version == new.version:
        return
    found = [
        *_between("team", old.teams, new.teams),
        *_between("budget", old.budgets, new.budgets),
    ]
    yield from found or ["the order of the budgets changed"]


def _between(
    kind: str, old: Mapping[str, Team] | Mapping[str, Budget], new: Mapping[str, Any]
) -> Iterator[str]:
    for name in old:
        if name not in new:
            yield f"{kind} {name} removed"
    for name, after in new.items():
        before = old.get(name)
        if before is None:
            yield f"{kind} {name} added"
            continue
        for field in fields(after):
            was, now = getattr(before, field.name), getattr(after, field.name)
            if was != now:
                yield f"{kind} {name}: {_change(field.name, before, after)}"


def _change(field: str, before: Any, after: Any) -> str:  # noqa: ANN401 - Team or Budget alike.
    if field == "limit" and before.unit == after.unit:
        unit = before.unit
        return f"limit {policy_text(unit, before.limit)} → {policy_text(unit, after.limit)}"
    return f"{field.removesuffix('_nano_usd')} changed"
