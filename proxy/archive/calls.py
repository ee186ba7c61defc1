"""Calls as the archive has them: pages of them, newest first, and the whole life of one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, literal_column

from proxy.archive.call_days import call_days
from proxy.archive.call_rows import call_row, numbers_of
from proxy.archive.contents import name_of
from proxy.archive.entry_rows import entries_by_number
from proxy.archive.filters import CallFilter, kept_names, refuse_odd_page
from proxy.archive.lines import CallLife, CallLine, Page
from proxy.archive.scan import Columns, Condition, Search, Span, newest, span_of, values_of
from proxy.archive.tables import calls

#: More values than that are not looked up one by one, but in passing.
BRANCHES_MAX: Final = 50
#: Callers name models as they like: a glob is compared with so many names.
MODELS_MAX: Final = 2_000
#: Days that are looked through for one page, where days can be skipped.
LOOKS_MAX: Final = 4
#: States that every page has: no index knows them.
ORDINARY_STATES: Final = frozenset({"settled", "receipted"})
#: As in the index `calls_by_state`, word for word: SQLite takes that index for nothing else.
_UNORDINARY: Final[Condition] = literal_column("state NOT IN ('settled', 'receipted')")
_COLUMNS: Final = tuple(
    column.name
    for column in calls.columns
    if column.name not in {"organization_id", "month", "entries"}
)


def page(
    connection: Connection,
    organization_id: int,
    wanted: CallFilter,
    *,
    before: int | None,
    count_max: int,
) -> Page[CallLine]:
    """Return calls whose number is below `before`, newest first. Raises `BadFilter`."""
    refuse_odd_page(before, count_max)
    teams = _teams(wanted)
    if teams is not None and not teams:
        return Page(items=(), next=None)
    models = _models(connection, organization_id, wanted.model)
    if models is not None and not models:
        return Page(items=(), next=None)
    span = span_of(
        connection,
        calls,
        organization_id,
        before=before,
        since_ms=wanted.since_ms,
        until_ms=wanted.until_ms,
    )
    days = call_days(organization_id, wanted, teams, models)
    search = _search(connection, organization_id, wanted, teams, models)
    if days is not None:
        search = replace(search, looks=LOOKS_MAX)
    found: list[Row[Any]] = []
    following: int | None = None
    for _ in range(LOOKS_MAX):
        if days is not None:
            skipped = days.skip(connection, span)
            if skipped is None:
                following = None
                break
            span = skipped
        rows, following = newest(connection, search, span, count_max - len(found))
        found += rows
        if days is None or following is None or len(found) == count_max:
            break
        span = Span(span.low, following)
    return Page(items=tuple(_line(row) for row in found), next=following)


def life(
    connection: Connection,
    organization_id: int,
    call_id: str,
    *,
    teams: frozenset[str] | None,
) -> CallLife | None:
    """Return a call with its entries; None: there is none, or not of these teams (None: all)."""
    row = call_row(connection, organization_id, call_id, teams=teams)
    if row is None:
        return None
    entries = entries_by_number(connection, organization_id, numbers_of(row))
    return CallLife(line=_line(row), entries=entries)


def _line(row: Row[Any]) -> CallLine:
    fields = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for a row's columns.
    return CallLine(**{name: fields[name] for name in _COLUMNS})


# What is asked of the database…


def _search(
    connection: Connection,
    organization_id: int,
    wanted: CallFilter,
    teams: Sequence[str] | None,
    models: Sequence[str] | None,
) -> Search:
    """Choose an index: what is rarest first; all else is compared in passing."""
    own = calls.c.organization_id == organization_id
    branches: list[tuple[Condition, ...]] = [(own,)]
    known: str | None = None
    if wanted.state is not None and wanted.state not in ORDINARY_STATES:
        branches, known = [(own, _UNORDINARY, calls.c.state == wanted.state)], "state"
    elif models is not None and len(models) <= BRANCHES_MAX:
        branches, known = [(own, calls.c.model == model) for model in models], "model"
    elif teams is not None and len(teams) <= BRANCHES_MAX:
        branches, known = [(own, calls.c.team == team) for team in teams], "team"

    def residual(columns: Columns) -> list[Condition]:
        exact = (
            ("user", wanted.user),
            ("key_id", wanted.key_id),
            ("provider", wanted.provider),
            ("state", None if known == "state" else wanted.state),
        )
        conditions = [columns[name] == name_of(value) for name, value in exact if value is not None]
        if teams is not None and known != "team":
            conditions.append(columns["team"].in_(teams))
        if wanted.model is not None and known != "model":
            conditions.append(_named(connection, columns["model"], wanted.model, models))
        if wanted.since_ms is not None:
            conditions.append(columns["at_ms"] >= wanted.since_ms)
        if wanted.until_ms is not None:
            conditions.append(columns["at_ms"] < wanted.until_ms)
        return conditions

    return Search(
        table=calls,
        columns=_COLUMNS,
        branches=branches,
        residual=residual if residual(calls.c) else None,
    )


def _teams(wanted: CallFilter) -> list[str] | None:
    """Return the teams whose calls are asked for and may be seen; None: all."""
    if wanted.team is None:
        return None if wanted.teams is None else sorted(kept_names(wanted.teams))
    seen = wanted.teams is None or wanted.team in wanted.teams
    return [name_of(wanted.team)] if seen else []


def _models(connection: Connection, organization_id: int, wanted: str | None) -> list[str] | None:
    """Return the models that fit; None: all, or more than can be gone through."""
    if wanted is None:
        return None
    if "*" not in wanted:
        return [name_of(wanted)]
    own = (calls.c.organization_id == organization_id,)
    models = values_of(connection, calls.c.model, own, MODELS_MAX)
    if len(models) == MODELS_MAX:
        return None
    glob = re.compile(".*".join(map(re.escape, wanted.split("*"))), re.DOTALL)
    return [model for model in models if glob.fullmatch(model)]


def _named(
    connection: Connection,
    model: ColumnElement[str],
    wanted: str,
    models: Sequence[str] | None,
) -> Condition:
    """Return that a model is one of those that fit."""
    if models is not None:
        return model.in_(models)
    if connection.dialect.name == "sqlite":
        # SQLite's LIKE takes `GPT` for `gpt`; its GLOB does not, but has more signs.
        return model.op("GLOB", is_comparison=True)(re.sub(r"[\[?]", r"[\g<0>]", wanted))
    return model.like(re.sub(r"[\\%_]", r"\\\g<0>", wanted).replace("*", "%"), escape="\\")
