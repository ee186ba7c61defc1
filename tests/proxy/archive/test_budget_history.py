"""How budgets were spent: their counters, hours and spenders."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from policies.ledger.keys import counter_name
from proxy.archive import budget_history
from proxy.archive.budget_history import HOUR_MS
from proxy.archive.database import Database
from proxy.archive.filters import BadFilter
from proxy.archive.lines import CounterLine
from proxy.archive.tables import counters
from tests.doubles.archived import archive_entries
from tests.doubles.fake_clock import NOON_MS
from tests.doubles.lived_calls import DOLLAR, MONTH, Lives

RED = counter_name("red-month", "USD", "", MONTH)


def put(database: Database, *names: str) -> None:
    with database.begin() as connection:
        for number, name in enumerate(names, 1):
            connection.execute(
                insert(counters).values(
                    organization_id=1,
                    counter=name,
                    unit="USD",
                    spent=number,
                    reserved=0,
                    overrun=0,
                    booked=number,
                    number=number,
                    at_ms=NOON_MS,
                )
            )


def of(
    database: Database, budget: str, subject: str | None = None, count_max: int = 100
) -> list[CounterLine]:
    with database.read() as connection:
        return list(
            budget_history.counters_of(connection, 1, budget, subject=subject, count_max=count_max)
        )


def test_a_budget_burns_down_hour_by_hour(database: Database) -> None:
    lives = Lives()
    for hour, dollars in ((0, 1), (0, 2), (3, 4)):
        lives.call(at_ms=NOON_MS + hour * HOUR_MS, dollars=dollars)
    lives.call("refused", at_ms=NOON_MS + 3 * HOUR_MS)
    lives.call(team="blue", dollars=100)
    archive_entries(database, "acme", lives.entries)

    with database.read() as connection:
        hours = budget_history.burn_down(connection, 1, RED)
        both = budget_history.burn_downs(connection, 1, [RED, "none:USD::2026-11"])

    assert [(hour.hour_ms, hour.spent, hour.refused) for hour in hours] == [
        (NOON_MS, 3 * DOLLAR, 0),
        (NOON_MS + 3 * HOUR_MS, 4 * DOLLAR, 1),
    ]
    assert both == {RED: hours}


def test_who_spent_it_most_first(database: Database) -> None:
    lives = Lives()
    lives.call(user="alice", dollars=1)
    lives.call(user="bob", dollars=5)
    lives.call(user=None, dollars=2)
    lives.call("refused", user="carol")
    archive_entries(database, "acme", lives.entries)

    with database.read() as connection:
        lines = budget_history.spenders(connection, 1, RED, 10)
        two = budget_history.spenders(connection, 1, RED, 2)

    assert [(line.user, line.spent, line.calls, line.refused) for line in lines] == [
        ("bob", 5 * DOLLAR, 1, 0),
        ("", 2 * DOLLAR, 1, 0),
        ("alice", 1 * DOLLAR, 1, 0),
        ("carol", 0, 0, 1),
    ]
    assert two == lines[:2]
    assert {line.model for line in lines} == {"acme/mini"}


def test_how_counters_stand(database: Database) -> None:
    lives = Lives()
    lives.call(dollars=3)
    lives.call("reserved", dollars=1)
    archive_entries(database, "acme", lives.entries)

    with database.read() as connection:
        [line] = budget_history.standing(connection, 1, [RED, "other:USD::2026-11"])

    assert (line.counter, line.budget, line.subject, line.window_id) == (
        RED,
        "red-month",
        "",
        MONTH,
    )
    assert (line.unit, line.spent, line.reserved) == ("USD", 3 * DOLLAR, 2 * DOLLAR)


def test_more_counters_than_one_statement_takes(database: Database) -> None:
    names = [counter_name("each", "USD", f"user-{index}", MONTH) for index in range(1_200)]
    put(database, *names)

    with database.read() as connection:
        found = budget_history.standing(connection, 1, names)

    assert [line.counter for line in found] != []
    assert {line.counter for line in found} == set(names)


def test_a_budgets_counters_the_last_used_first(database: Database) -> None:
    old = counter_name("red", "USD", "", "2026-10")
    new = counter_name("red", "USD", "", "2026-11")
    others = [
        counter_name(name, "USD", "", "2026-11")
        for name in ("re", "red-each", "Red", "red;", "r_d")
    ]
    put(database, old, *others, new)

    assert [line.counter for line in of(database, "red")] == [new, old]
    assert [line.counter for line in of(database, "red", count_max=1)] == [new]
    assert of(database, "r%") == of(database, "red:USD") == of(database, "") == []


@pytest.mark.parametrize("subject", ["alice", "a%b", "a_b", "Größe", "it's: here", "<b>"])
def test_a_subjects_counters(database: Database, subject: str) -> None:
    mine = counter_name("each", "USD", subject, "2026-11")
    put(
        database,
        mine,
        counter_name("each", "USD", "ALICE", "2026-11"),
        counter_name("each", "USD", "aXb", "2026-11"),
        counter_name("each", subject, "else", "2026-11"),
    )

    assert [line.counter for line in of(database, "each", subject)] == [mine]


def test_counters_that_a_later_version_names_otherwise(database: Database) -> None:
    put(database, "red:odd", "odd")

    with database.read() as connection:
        found = budget_history.standing(connection, 1, ["red:odd", "odd"])

    assert {(line.counter, line.budget, line.window_id) for line in found} == {
        ("red:odd", "red:odd", ""),
        ("odd", "odd", ""),
    }
    assert of(database, "red") == []


def test_too_many_are_not_asked_for(sqlite_archive: Database) -> None:
    with sqlite_archive.read() as connection, pytest.raises(BadFilter, match="limit"):
        budget_history.spenders(connection, 1, RED, 100_000)
    with pytest.raises(BadFilter, match="limit"):
        of(sqlite_archive, "red", count_max=0)
