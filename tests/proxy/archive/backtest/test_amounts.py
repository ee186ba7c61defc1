"""What a past call came to is followed in every unit that is asked for."""

from __future__ import annotations

import json

from policies.units import CALLS, TOKENS, USD
from proxy.archive.backtest.amounts import Charged, charged_of
from proxy.archive.backtest.records import Check, Move, Recorded, SaidCall, SaidQuote

QUOTED = SaidCall(quote=SaidQuote(nano_usd=50, bound_nano_usd=60))
UNITS = {USD, TOKENS, CALLS, "flows"}


def check(unit: str, kind: str = "fixed", held: int = 50) -> Check:
    return Check("b", "", unit, f"b:{unit}", kind, 0, 0, 0, held, held, 99, "enforce", 0, 0)


def entry(kind: str, said: object = None, *moves: Move) -> Recorded:
    return Recorded(1, 1, kind, "call", json.dumps(said or {}), list(moves), [])


def move(unit: str, change: int, prior: int = 0) -> Move:
    return Move(f"b:{unit}", unit, change, 0, 0, 0, 0, prior)


def followed(charged: Charged, *entries: Recorded) -> dict[str, int]:
    for each in entries:
        charged.take(each, UNITS)
    return charged.amounts


def test_counters_of_the_unit_tell_it_to_the_last() -> None:
    charged = charged_of(QUOTED, [check(USD), check(TOKENS)])
    assert charged.nano_usd == 50

    settled = entry("settle", {"nano_usd": 999}, move(USD, 30), move(TOKENS, 12))
    receipt = entry("receipt", {"nano_usd": 999}, move(USD, 3), move(TOKENS, 0))

    amounts = followed(charged, settled, receipt)
    assert (amounts[USD], amounts[TOKENS], amounts[CALLS]) == (33, 12, 1)
    assert charged.nano_usd == 33


def test_where_none_counted_it_the_end_says_it() -> None:
    usage = [{"model": "m", "input_tokens": 3, "cache_read_tokens": 2, "output_tokens": 5}]
    settled = entry("settle", {"nano_usd": 30, "usage": usage, "credits": {"flows": 4}})

    amounts = followed(charged_of(QUOTED, []), settled)

    assert (amounts[USD], amounts[TOKENS], amounts["flows"], amounts[CALLS]) == (30, 10, 4, 1)


def test_a_receipt_that_says_nothing_of_tokens_leaves_them() -> None:
    settled = entry("settle", {"nano_usd": 30, "usage": [{"input_tokens": 3}]})
    receipt = entry("receipt", {"nano_usd": 44})

    amounts = followed(charged_of(QUOTED, []), settled, receipt)

    assert (amounts[USD], amounts[TOKENS]) == (44, 3)


def test_a_window_that_is_over_and_keeps_nothing_tells_nothing() -> None:
    charged = charged_of(QUOTED, [check(USD, "rolling")])

    amounts = followed(charged, entry("settle", {"nano_usd": 30}, move(USD, 0, prior=1)))

    assert amounts[USD] == 30


def test_a_call_that_was_let_go_costs_nothing_and_one_that_expired_its_quote() -> None:
    released, expired = charged_of(QUOTED, []), charged_of(QUOTED, [])

    assert followed(released, entry("release")) == {}
    assert released.nano_usd == 0
    assert followed(expired, entry("expire"), entry("give_up"))[USD] == 50


def test_odd_usage_is_no_usage() -> None:
    odd: tuple[object, ...] = (None, 5, "x", [None, 1], [{"input_tokens": "3"}], {})
    for usage in odd:
        settled = entry("settle", {"nano_usd": 1, "usage": usage})
        assert TOKENS not in followed(charged_of(QUOTED, []), settled)
