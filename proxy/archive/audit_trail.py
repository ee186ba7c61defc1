"""The journal as the archive has it: pages of entries, newest first."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row

from policies.journal import CALL_KINDS
from proxy.archive.call_rows import call_row, numbers_of, teams_of
from proxy.archive.chain import ChainedEntry
from proxy.archive.entry_rows import COLUMNS, entries_by_number, entry_of
from proxy.archive.filters import AuditFilter, kept_names, refuse_odd_page
from proxy.archive.lines import Page
from proxy.archive.scan import Columns, Condition, Search, Span, newest, span_of, values_of
from proxy.archive.tables import entries

#: Kinds of administrative acts that are told apart; there are about twenty.
_KINDS_MAX: Final = 1_000
#: How often it is looked for more, when what was found is not for this reader.
_LOOKS_MAX: Final = 20
#: Entries of one look that are compared outside of the database.
_LOOK_ENTRIES: Final = 1_000

Keep = Callable[[Sequence[Row[Any]]], list[Row[Any]]]


def page(
    connection: Connection,
    organization_id: int,
    wanted: AuditFilter,
    *,
    before: int | None,
    count_max: int,
) -> Page[ChainedEntry]:
    """Return entries whose number is below `before`, newest first. Raises `BadFilter`."""
    refuse_odd_page(before, count_max)
    if wanted.call_id is not None:
        return _of_call(connection, organization_id, wanted, wanted.call_id, before, count_max)
    acts = wanted.acts_only or wanted.actor is not None
    if wanted.kind is not None:
        # No act is named as a movement of money is, and the other way round: `journal.act` sees to it.
        if acts and wanted.kind in CALL_KINDS:
            return Page(items=(), next=None)
        acts = wanted.kind not in CALL_KINDS
    if wanted.teams is not None and (acts or not wanted.teams):
        return Page(items=(), next=None)
    span = span_of(
        connection,
        entries,
        organization_id,
        before=before,
        since_ms=wanted.since_ms,
        until_ms=wanted.until_ms,
    )
    search = _search(connection, organization_id, wanted, acts=acts)
    keep = _keep(connection, organization_id, wanted)
    return _page(connection, search, span, count_max, keep)


def _page(
    connection: Connection, search: Search, span: Span, count_max: int, keep: Keep | None
) -> Page[ChainedEntry]:
    if keep is None:
        rows, following = newest(connection, search, span, count_max)
        return Page(items=tuple(map(entry_of, rows)), next=following)
    kept: list[Row[Any]] = []
    following = None
    for _ in range(_LOOKS_MAX):
        rows, following = newest(connection, search, span, _LOOK_ENTRIES)
        kept += keep(rows)
        if len(kept) > count_max:
            return Page(
                items=tuple(map(entry_of, kept[:count_max])), next=kept[count_max - 1].number
            )
        if following is None:
            break
        span = Span(span.low, following)
    return Page(items=tuple(map(entry_of, kept)), next=following)


def _of_call(
    connection: Connection,
    organization_id: int,
    wanted: AuditFilter,
    call_id: str,
    before: int | None,
    count_max: int,
) -> Page[ChainedEntry]:
    """Return the entries of one call: its row knows their numbers."""
    row = call_row(connection, organization_id, call_id, teams=wanted.teams)
    if row is None:
        return Page(items=(), next=None)
    found = [
        entry
        for entry in reversed(entries_by_number(connection, organization_id, numbers_of(row)))
        if (before is None or entry.number < before)
        and wanted.kind in (None, entry.kind)
        and (wanted.since_ms is None or entry.at_ms >= wanted.since_ms)
        and (wanted.until_ms is None or entry.at_ms < wanted.until_ms)
    ]
    following = found[count_max - 1].number if len(found) > count_max else None
    return Page(items=tuple(found[:count_max]), next=following)


def _search(
    connection: Connection, organization_id: int, wanted: AuditFilter, *, acts: bool
) -> Search:
    own = entries.c.organization_id == organization_id
    branches: list[tuple[Condition, ...]] = [(own,)]
    if acts:
        # The index knows acts by their kind.
        act = (own, entries.c.call_id.is_(None))
        kinds = (
            [wanted.kind]
            if wanted.kind is not None
            else values_of(connection, entries.c.kind, act, _KINDS_MAX)
        )
        branches = [(*act, entries.c.kind == kind) for kind in kinds]

    def residual(columns: Columns) -> list[Condition]:
        conditions: list[Condition] = []
        if wanted.kind is not None and not acts:
            conditions.append(columns["kind"] == wanted.kind)
        if wanted.since_ms is not None:
            conditions.append(columns["at_ms"] >= wanted.since_ms)
        if wanted.until_ms is not None:
            conditions.append(columns["at_ms"] < wanted.until_ms)
        return conditions

    return Search(
        table=entries,
        columns=COLUMNS,
        branches=branches,
        residual=residual if residual(entries.c) else None,
    )


# What no database compares…


def _keep(connection: Connection, organization_id: int, wanted: AuditFilter) -> Keep | None:
    actor = wanted.actor
    if wanted.teams is not None:
        teams = kept_names(wanted.teams)

        def of_teams(rows: Sequence[Row[Any]]) -> list[Row[Any]]:
            ids = [row.call_id for row in rows if row.call_id is not None]
            found = teams_of(connection, organization_id, ids)
            return [row for row in rows if found.get(row.call_id) in teams]

        return of_teams
    if actor is not None:
        return lambda rows: [row for row in rows if _actor(row.data) == actor]
    return None


def _actor(data: str) -> str | None:
    """Return who did it; None: the act does not say, or nothing that can be read."""
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        return None
    actor = said.get("actor") if isinstance(said, dict) else None
    return actor if isinstance(actor, str) else None
