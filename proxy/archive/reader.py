"""The archive as the admin API, the dashboard and the commands read it: one organisation's, at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Concatenate, Final, ParamSpec, TypeVar

from sqlalchemy import Connection

from proxy.archive import audit_trail, budget_history, calls, heads, spend
from proxy.archive.chain import ChainedEntry
from proxy.archive.database import ArchiveUnavailable, Database
from proxy.archive.filters import AuditFilter, CallFilter
from proxy.archive.heads import organization_number
from proxy.archive.lines import (
    CallLife,
    CallLine,
    CounterLine,
    Head,
    HourLine,
    Page,
    SpenderLine,
    SpendLine,
)
from proxy.archive.spend import Grouping

#: The id of no organisation.
NOBODY: Final = 0

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class ArchiveReader:
    """Reads one organisation's archive; each question is a transaction of its own, in a thread.

    Every method raises `ArchiveUnavailable` when the database does not answer, and `BadFilter` for a
    question that makes no sense.
    """

    def __init__(self, database: Database, organization: str) -> None:
        self._database = database
        self._organization = organization

    # Calls…

    async def calls(
        self, wanted: CallFilter, *, before: int | None, count_max: int
    ) -> Page[CallLine]:
        """Return calls whose number is below `before`, newest first."""
        return await self._read(calls.page, wanted, before=before, count_max=count_max)

    async def call(self, call_id: str, *, teams: frozenset[str] | None) -> CallLife | None:
        """Return a call with its entries; None: there is none, or not of these teams (None: all)."""
        return await self._read(calls.life, call_id, teams=teams)

    # Money…

    async def spend(
        self,
        group_by: Sequence[Grouping],
        *,
        since_ms: int | None,
        until_ms: int | None,
        teams: frozenset[str] | None,
    ) -> tuple[SpendLine, ...]:
        """Return what calls came to, by whole days (UTC) that touch [since, until).

        By day, then most charged first. `teams` as in `CallFilter`.
        """
        return await self._read(
            spend.lines, group_by, since_ms=since_ms, until_ms=until_ms, teams=teams
        )

    async def counters(self, names: Sequence[str]) -> tuple[CounterLine, ...]:
        """Return how counters stood last, of those that are archived."""
        return await self._read(budget_history.standing, names)

    async def counters_of(
        self, budget: str, *, subject: str | None = None, count_max: int = 100
    ) -> tuple[CounterLine, ...]:
        """Return a budget's counters, windows long closed included, the last used first."""
        return await self._read(
            budget_history.counters_of, budget, subject=subject, count_max=count_max
        )

    async def burn_down(self, counter: str) -> tuple[HourLine, ...]:
        """Return what was booked on a counter in each hour that saw any, ascending."""
        return await self._read(budget_history.burn_down, counter)

    async def burn_downs(self, names: Sequence[str]) -> dict[str, tuple[HourLine, ...]]:
        """Return the same for several counters at once; those without an hour are not in it."""
        return await self._read(budget_history.burn_downs, names)

    async def spenders(self, counter: str, count_max: int = 100) -> tuple[SpenderLine, ...]:
        """Return who spent what of a counter, most first."""
        return await self._read(budget_history.spenders, counter, count_max)

    # The journal…

    async def audit(
        self, wanted: AuditFilter, *, before: int | None, count_max: int
    ) -> Page[ChainedEntry]:
        """Return entries whose number is below `before`, newest first."""
        return await self._read(audit_trail.page, wanted, before=before, count_max=count_max)

    async def head(self) -> Head:
        """Return where the chain ends."""
        return await self._read(heads.head, self._organization)

    # How…

    async def _read(
        self,
        question: Callable[Concatenate[Connection, int, Parameters], Result],
        *arguments: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Result:
        """Ask in a thread: neither database is waited for on the loop."""

        def ask() -> Result:
            with self._database.read() as connection:
                number = organization_number(connection, self._organization)
                # Nothing is archived yet: there is nothing below an id that none has.
                return question(connection, number or NOBODY, *arguments, **named)

        return await asyncio.to_thread(ask)


class Away(ArchiveReader):
    """An archive that could not be opened: whatever is asked of it, it says why."""

    def __init__(
        self, fault: ArchiveUnavailable
    ) -> None:  # Without a database there is nothing to hand on.
        self._fault = fault
        self._organization = ""

    async def _read(
        self,
        question: Callable[Concatenate[Connection, int, Parameters], Result],
        *arguments: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Result:
        raise ArchiveUnavailable(str(self._fault)) from self._fault
