"""The newest rows that fit: how far it is looked, and where it goes on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, insert

from proxy.archive import scan
from proxy.archive.database import Database
from proxy.archive.scan import DISORDER_MS, Search, Span, newest, span_of, values_of
from proxy.archive.tables import calls, organizations
from tests.doubles.fake_clock import NOON_MS
from tests.doubles.lived_calls import call_id

OWN = (calls.c.organization_id == 1,)
COLUMNS = ("number", "at_ms", "model")


def put(database: Database, at_ms: list[int], models: list[str] | None = None) -> None:
    """Rows of calls with numbers 1, 4, 7 …"""
    with database.begin() as connection:
        connection.execute(calls.delete())
        connection.execute(organizations.delete())
        connection.execute(
            insert(organizations).values(
                id=1,
                name="acme",
                number=len(at_ms) * 3,
                hash=b"",
                stream_id="",
                month=0,
                first_number=1,
                first_hash=b"",
            )
        )
        rows = [
            {
                "organization_id": 1,
                "month": 202611,
                "call_id": call_id(NOON_MS, index),
                "number": index * 3 + 1,
                "at_ms": at,
                "state": "settled",
                "team": "red",
                "key_id": "key_1",
                "provider": "sim",
                "model": models[index] if models else "m",
                "dialect": "messages",
                "streamed": False,
                "entries": "",
            }
            for index, at in enumerate(at_ms)
        ]
        if rows:
            connection.execute(insert(calls), rows)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(st.integers(0, 400_000), max_size=40),
    jitter=st.lists(st.integers(0, DISORDER_MS), min_size=40, max_size=40),
    since=st.integers(0, 6_000_000),
    length=st.integers(1, 3_000_000),
)
def test_a_span_has_all_rows_of_its_time(
    sqlite_archive: Database, steps: list[int], jitter: list[int], since: int, length: int
) -> None:
    at_ms, now = [], NOON_MS
    for step, late in zip(steps, jitter, strict=False):
        now += step
        at_ms.append(now - late)
    put(sqlite_archive, at_ms)
    since_ms, until_ms = NOON_MS + since, NOON_MS + since + length

    with sqlite_archive.read() as connection:
        span = span_of(connection, calls, 1, since_ms=since_ms, until_ms=until_ms)

    for index, at in enumerate(at_ms):
        number = index * 3 + 1
        assert not since_ms <= at < until_ms or span.low <= number < span.high
        # And it is not all there is: whatever is far away is outside.
        if at < since_ms - 2 * DISORDER_MS or at >= until_ms + 2 * DISORDER_MS:
            assert not span.low <= number < span.high


def test_a_span_ends_where_the_archive_ended_when_it_was_asked(database: Database) -> None:
    put(database, [NOON_MS] * 5) if database.dialect == "sqlite" else None

    with database.read() as connection:
        assert span_of(connection, calls, 7) == Span(0, 0)
        if database.dialect == "sqlite":
            assert span_of(connection, calls, 1) == Span(0, 16)
            assert span_of(connection, calls, 1, before=9) == Span(0, 9)
            assert span_of(connection, calls, 1, before=99) == Span(0, 16)


def test_no_more_is_looked_through_than_is_allowed(
    sqlite_archive: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "LOOKED_THROUGH_MAX", 10)
    put(sqlite_archive, [NOON_MS] * 100, ["rare"] + ["often"] * 99)
    search = Search(
        table=calls,
        columns=COLUMNS,
        branches=[OWN],
        residual=lambda columns: [columns["model"] == "rare"],
    )

    with sqlite_archive.read() as connection:
        rows, following = newest(connection, search, Span(0, 301), 5)
        assert (rows, following) == ([], 271)
        looks = 1
        while not rows and following is not None:
            rows, following = newest(connection, search, Span(0, following), 5)
            looks += 1

    assert [row.number for row in rows] == [1]
    assert looks == 10


def test_branches_are_put_together_in_order(sqlite_archive: Database) -> None:
    models = ["a", "b", "c"] * 10
    put(sqlite_archive, [NOON_MS] * 30, models)
    search = Search(
        table=calls,
        columns=COLUMNS,
        branches=[(*OWN, calls.c.model == model) for model in ("a", "c")],
    )

    with sqlite_archive.read() as connection:
        rows, following = newest(connection, search, Span(0, 91), 7)

    expected = [index * 3 + 1 for index in reversed(range(30)) if models[index] != "b"]
    assert [row.number for row in rows] == expected[:7]
    assert following == expected[6]


def test_nothing_is_looked_for_without_branches(sqlite_archive: Database) -> None:
    with sqlite_archive.read() as connection:
        search = Search(table=calls, columns=COLUMNS, branches=[])
        assert newest(connection, search, Span(0, 10), 5) == ([], None)


def test_values_are_hopped_to(sqlite_archive: Database) -> None:
    put(sqlite_archive, [NOON_MS] * 40, ["b", "a", "c", "a"] * 10)

    with sqlite_archive.read() as connection:
        assert values_of(connection, calls.c.model, OWN, 10) == ["a", "b", "c"]
        assert values_of(connection, calls.c.model, OWN, 2) == ["a", "b"]
        assert values_of(connection, calls.c.model, (calls.c.organization_id == 2,), 9) == []


@pytest.mark.parametrize(
    ("branch", "index"),
    [
        (OWN, "calls_by_number"),
        ((*OWN, calls.c.team == "red"), "calls_by_team"),
        ((*OWN, calls.c.model == "m"), "calls_by_model"),
    ],
)
def test_sqlite_takes_the_index_that_is_meant(
    sqlite_archive: Database, branch: tuple[scan.Condition, ...], index: str
) -> None:
    plans: list[str] = []
    with sqlite_archive.read() as connection:

        @event.listens_for(connection, "before_cursor_execute", retval=True)
        def explain(
            _connection: object,
            _cursor: object,
            statement: str,
            parameters: Any,
            _context: object,
            _many: object,
        ) -> tuple[str, Any]:
            cursor = connection.connection.cursor()
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.extend(str(row[3]) for row in cursor.fetchall())
            return statement, parameters

        newest(connection, Search(table=calls, columns=COLUMNS, branches=[branch]), Span(0, 9), 5)

    assert len(plans) == 1
    assert f"USING INDEX {index}" in plans[0]
    assert "TEMP B-TREE" not in "".join(plans)
