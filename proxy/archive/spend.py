"""What calls came to, by team, user, key, provider, model and day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, Literal, get_args

from sqlalchemy import BigInteger, Column, ColumnElement, Connection, Row, Table, cast, func, select

from proxy.archive.filters import BadFilter, kept_names, refuse_odd_times
from proxy.archive.lines import SpendLine
from proxy.archive.tables import spend_days, spend_keys

Grouping = Literal["team", "user", "key", "provider", "model", "day"]
GROUPINGS: Final[tuple[Grouping, ...]] = get_args(Grouping)
#: Lines of one answer: nobody reads more, and a spreadsheet is better served by an export.
LINES_MAX: Final = 50_000
DAY_MS: Final = 86_400_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: The last day that a calendar has: 9999-12-31.
_DAY_MAX: Final = 2_932_896
#: What is kept by user and key alone, and by provider and model alone.
_BY_KEY: Final = frozenset({"user", "key"})
_BY_MODEL: Final = frozenset({"provider", "model"})
_COLUMNS: Final = {"key": "key_id"}
_SUMS: Final = (
    "calls",
    "refused",
    "receipted",
    "input_tokens",
    "output_tokens",
    "settled_nano_usd",
    "receipted_nano_usd",
    "charged_nano_usd",
)
_KEY_SUMS: Final = ("calls", "refused", "charged_nano_usd")


def lines(
    connection: Connection,
    organization_id: int,
    group_by: Sequence[str],
    *,
    since_ms: int | None,
    until_ms: int | None,
    teams: frozenset[str] | None,
) -> tuple[SpendLine, ...]:
    """Return what calls came to, by whole days (UTC) that touch [since, until).

    By day, then most charged first. Without a grouping, one line for all.

    Raises:
        BadFilter: the question makes no sense, or its answer has more than LINES_MAX lines.
    """
    table = table_for(group_by)
    refuse_odd_times(since_ms, until_ms)
    groups = [table.c[_COLUMNS.get(name, name)] for name in group_by]
    names = _KEY_SUMS if table is spend_keys else _SUMS
    # Postgres sums whole numbers to decimals, which Python is slow to read. Nine billion dollars fit.
    sums = [cast(func.sum(table.c[name]), BigInteger).label(name) for name in names]
    charged = func.sum(table.c.charged_nano_usd)
    order: list[Column[Any] | ColumnElement[Any]] = [charged.desc(), *groups]
    if "day" in group_by:
        order.insert(0, table.c.day)
    rows = connection.execute(
        select(*groups, *sums)
        .where(*_conditions(table, organization_id, since_ms, until_ms, teams))
        # In the order of the table's key, whose beginnings need no sorting.
        .group_by(*sorted(groups, key=list(table.columns).index))
        .order_by(*order)
        .limit(LINES_MAX + 1)
    ).all()
    if len(rows) > LINES_MAX:
        raise BadFilter("group_by", f"more than {LINES_MAX:,} lines: ask for less time or groups")
    # Without groups SQL answers a line of nothing for no rows at all.
    return tuple(_line(group_by, row) for row in rows if row.calls is not None)


def table_for(group_by: Sequence[str]) -> Table:
    """Return the sums that a grouping is answered from. Raises `BadFilter` where none can."""
    for name in group_by:
        if name not in GROUPINGS:
            raise BadFilter("group_by", f"'{name}' is none: use some of {', '.join(GROUPINGS)}")
    if len(set(group_by)) < len(group_by):
        raise BadFilter("group_by", "something is named twice")
    by_key, by_model = _BY_KEY & set(group_by), _BY_MODEL & set(group_by)
    if by_key and by_model:
        raise BadFilter(
            "group_by",
            f"{' and '.join(sorted(by_key | by_model))} are not summed together: use user and key, "
            "or provider and model, each with team and day",
        )
    return spend_keys if by_key else spend_days


def _conditions(
    table: Table,
    organization_id: int,
    since_ms: int | None,
    until_ms: int | None,
    teams: frozenset[str] | None,
) -> list[ColumnElement[bool]]:
    conditions = [table.c.organization_id == organization_id]
    if since_ms is not None:
        conditions.append(table.c.day >= min(since_ms // DAY_MS, _DAY_MAX))
    if until_ms is not None:
        conditions.append(table.c.day < min(-(-until_ms // DAY_MS), _DAY_MAX + 1))
    if teams is not None:
        conditions.append(table.c.team.in_(sorted(kept_names(teams))))
    return conditions


def _line(group_by: Sequence[str], row: Row[Any]) -> SpendLine:
    values = list(row)
    group = dict(zip(group_by, values, strict=False))
    if "day" in group:
        group["day"] = day_text(group["day"])
    sums = iter(values[len(group) :])
    calls, refused = next(sums), next(sums)
    if len(values) == len(group) + len(_KEY_SUMS):
        return SpendLine(group=group, calls=calls, refused=refused, charged_nano_usd=next(sums))
    return SpendLine(
        group=group,
        calls=calls,
        refused=refused,
        receipted=next(sums),
        input_tokens=next(sums),
        output_tokens=next(sums),
        settled_nano_usd=next(sums),
        receipted_nano_usd=next(sums),
        charged_nano_usd=next(sums),
    )


@lru_cache(maxsize=1_024)
def day_text(day: int) -> str:
    """Return a day since 1970 (UTC) as `2026-11-23`."""
    return (_EPOCH + timedelta(days=day)).date().isoformat()
