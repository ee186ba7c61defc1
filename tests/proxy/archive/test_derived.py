"""Derived rows are added to, replaced, and found again."""

from __future__ import annotations

import pytest

from policies.call_ids import new_call_id
from proxy.archive.database import Database
from proxy.archive.derived import known_calls, store
from proxy.archive.lives import Call
from proxy.archive.partitions import ensure
from proxy.archive.projection import Changes, Stand
from proxy.archive.tables import counter_hours, counters
from tests.doubles.fake_clock import NOON_MS


def call(call_id: str, month: int, **more: object) -> Call:
    columns: dict[str, object] = {
        "month": month,
        "call_id": call_id,
        "number": 1,
        "at_ms": NOON_MS,
        "state": "reserved",
        "team": "red",
        "user": None,
        "key_id": "k",
        "provider": "p",
        "model": "m",
        "dialect": "d",
        "streamed": True,
    }
    return Call(**{**columns, **more})  # type: ignore[arg-type]  # A test's own table of columns.


@pytest.mark.parametrize("count", [1, 1_500])
def test_calls_are_found_again_as_they_were(database: Database, count: int) -> None:
    rows = [call(new_call_id(NOON_MS), 202_611) for _ in range(count)]
    rows.append(call("odd", 0))
    with database.begin() as connection:
        ensure(connection, "calls", 1, (0, 202_611))
        store(connection, 1, Changes(calls={row.call_id: row for row in rows}))

        found = known_calls(connection, 1, [*(row.call_id for row in rows), "missing"])

    assert found == {row.call_id: row for row in rows}


def test_another_organisations_calls_are_not_known(database: Database) -> None:
    with database.begin() as connection:
        ensure(connection, "calls", 1, (0,))
        store(connection, 1, Changes(calls={"odd": call("odd", 0)}))

        assert known_calls(connection, 2, ["odd"]) == {}


def test_a_call_is_replaced_by_its_newer_row(database: Database) -> None:
    with database.begin() as connection:
        ensure(connection, "calls", 1, (0,))
        for state in ("reserved", "settled"):
            store(connection, 1, Changes(calls={"odd": call("odd", 0, state=state)}))

        assert known_calls(connection, 1, ["odd"])["odd"].state == "settled"


def test_sums_are_added_to_and_counters_stand_as_last_said(database: Database) -> None:
    first = Changes(counters={"c": Stand("USD", 5, 1, 0, 5, 1, 10)}, hours={("c", 7): [5, 1]})
    second = Changes(counters={"c": Stand("USD", 3, 0, 2, -2, 2, 20)}, hours={("c", 7): [-2, 0]})
    with database.begin() as connection:
        store(connection, 1, first)
        store(connection, 1, second)

        counter = connection.execute(counters.select()).one()
        hour = connection.execute(counter_hours.select()).one()

    assert tuple(counter) == (1, "c", "USD", 3, 0, 2, 3, 2, 20)
    assert tuple(hour) == (1, "c", 7, 3, 1)
