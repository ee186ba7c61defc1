"""Entries are read as far as they are known; what cannot be read is no fault."""

from __future__ import annotations

import pytest

from proxy.archive.backtest.records import Row, recorded, said_at_end, said_of_call

MOVE = '["all:USD::lifetime","USD",3,-5,10,0,1]'
CHECK = '["all","","USD","all:USD::lifetime","fixed",0,0,0,5,6,100,"enforce",2,1]'


def row(
    moves: str = f"[{MOVE}]", checks: str | None = f"[{CHECK}]", more: str | None = None
) -> Row:
    return (7, 1_000, 1, "admitted", "call_1", "{}", moves, checks, more)


def test_an_entry_is_read_with_what_it_looked_at_and_did() -> None:
    entry = recorded(row(more='{"forced":"1"}'))

    assert entry is not None
    assert (entry.number, entry.at_ms, entry.kind, entry.call_id) == (
        7,
        1_000,
        "admitted",
        "call_1",
    )
    (move,), (check,) = entry.moves, entry.checks
    assert (move.spent_change, move.reserved_change, move.spent) == (3, -5, 10)
    assert (move.overrun, move.prior) == (1, 0)
    assert (check.budget, check.held, check.bound, check.limit) == ("all", 5, 6, 100)
    assert (check.mode, check.overrun_max, check.short) == ("enforce", 2, 1)
    assert entry.forced


def test_what_a_later_version_adds_at_an_end_is_passed_over() -> None:
    longer = recorded(
        row(f"[{MOVE[:-1]},1,{{}}]]", f'[{CHECK[:-1]},"new"]]', '{"forced":"0","x":1}')
    )

    assert longer is not None
    assert longer.moves[0].prior == 1
    assert not longer.forced


@pytest.mark.parametrize(
    ("moves", "checks"),
    [
        ("no JSON", None),
        ("{}", None),
        ("[[1]]", None),
        (f"[{MOVE}]", "[1]"),
        (f"[{MOVE.replace('3', '3.5')}]", None),
        (f"[{MOVE.replace('3', 'null')}]", None),
        ("", None),
    ],
)
def test_what_is_no_entry_is_none(moves: str, checks: str | None) -> None:
    assert recorded(row(moves, checks)) is None


def test_an_entry_of_a_later_version_is_none() -> None:
    number, at_ms, _, *rest = row()

    assert recorded((number, at_ms, 99, *rest)) is None  # type: ignore[arg-type]  # A tuple all the same.


def test_an_act_has_no_call_and_an_old_decision_no_checks() -> None:
    entry = recorded((1, 1, 1, "policies_loaded", None, "{}", "[]", None, None))

    assert entry is not None
    assert (entry.call_id, entry.moves, entry.checks) == ("", [], [])


def test_what_is_said_of_a_call_is_read_as_far_as_it_is_known() -> None:
    said = said_of_call(
        '{"team":"red","user":null,"key":"k","tags":{"app":"x"},"provider":"p","model":"m",'
        '"quote":{"nano_usd":3,"bound_nano_usd":5,"input_tokens":7,"kind":"likely","basis":[]},"z":1}'
    )

    assert (said.team, said.user, said.tags) == ("red", None, {"app": "x"})
    assert said.quote is not None
    assert (said.quote.nano_usd, said.quote.input_tokens, said.quote.kind) == (3, 7, "likely")


@pytest.mark.parametrize("text", ["", "[]", "<html>", '{"team":5}', '{"quote":{"nano_usd":1.5}}'])
def test_what_is_said_in_no_known_way_is_nothing(text: str) -> None:
    assert said_of_call(text).team is None
    assert said_at_end("[" + text).nano_usd is None


def test_an_end_says_what_is_counted() -> None:
    said = said_at_end('{"nano_usd":3,"credits":{"flows":5},"usage":[{"input_tokens":1}]}')

    assert (said.nano_usd, said.credits, said.usage) == (3, {"flows": 5}, [{"input_tokens": 1}])
