"""How a call is shown, in every state that it can be in."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from policies.journal import Entry
from policies.ledger.interface import CallRecord
from policies.reservations import Charge, Reservation, State
from proxy.admin.call_rows import call_row, call_view, life_view, line_row, refused_row
from proxy.archive.chain import ChainedEntry
from proxy.archive.lines import CallLife, CallLine

DATA = {
    "team": "red",
    "user": "alice",
    "key": "key_1",
    "provider": "sim",
    "model": "acme/mini",
    "dialect": "messages",
    "streamed": True,
    "quote": {"nano_usd": 500},
}
CHARGE = Charge(
    budget="all",
    subject="",
    unit="USD",
    counter="all::lifetime",
    kind="fixed",
    length_ms=0,
    bucket_ms=0,
    slot=0,
    held=500,
    bound=500,
)


def record(
    state: State,
    outcome: dict[str, Any],
    charged: tuple[int, ...] = (300,),
    receipt: dict[str, Any] | None = None,
) -> CallRecord:
    return CallRecord(
        state=state,
        reservation=Reservation(call_id="call_1", at_ms=0, charges=(CHARGE,)),
        charged=charged,
        data=json.dumps(DATA),
        outcome=json.dumps(outcome) if outcome else "",
        receipt=json.dumps(receipt) if receipt else "",
        ended_ms=60_000 if outcome else 0,
        generation_ids=("gen_1", "gen_2"),
    )


def test_a_call_in_flight_has_a_quote_alone() -> None:
    view = call_view("call_1", record(State.RESERVED, {}, ()))

    assert (view.state, view.at) == ("reserved", "1970-01-01T00:00:00Z")
    assert view.quoted is not None
    assert view.quoted.nano_usd == 500
    assert (view.settled, view.receipted, view.status, view.outcome) == (None, None, None, None)
    assert view.charges[0].charged is None
    assert (view.team, view.key_id, view.generation_id) == ("red", "key_1", "gen_1")


@pytest.mark.parametrize("state", [State.SETTLED, State.UNRECEIPTED])
def test_a_settled_call_has_its_metered_amount_and_usage(state: State) -> None:
    usage = [
        {"model": "a", "input_tokens": 1, "output_tokens": 2},
        {"model": "b", "input_tokens": 10},
    ]

    row = call_row("call_1", record(state, {"nano_usd": 300, "status": 200, "usage": usage}))

    assert row.settled is not None
    assert row.settled.usd == "0.0000003"
    assert row.usage == {"input_tokens": 11, "output_tokens": 2}
    assert row.status == 200


def test_a_receipted_call_has_what_was_metered_and_what_was_billed() -> None:
    receipt = {"source": "look-up", "nano_usd": 310, "settled_nano_usd": 300, "id": "gen_1"}

    view = call_view("call_1", record(State.RECEIPTED, {"nano_usd": 300}, receipt=receipt))

    assert (view.settled and view.settled.nano_usd) == 300
    assert (view.receipted and view.receipted.nano_usd) == 310
    assert view.receipt == receipt
    assert view.ended_at == "1970-01-01T00:01:00Z"


def test_a_call_that_nobody_saw_end_has_its_receipt_alone() -> None:
    row = call_row("call_1", record(State.RECEIPTED, {}, receipt={"nano_usd": 310}))

    assert row.settled is None
    assert (row.receipted and row.receipted.nano_usd) == 310


@pytest.mark.parametrize("word", ["never", "given_up"])
def test_a_call_without_a_receipt_says_why(word: str) -> None:
    receipt = {word: "the provider does not know its ids"}

    view = call_view("call_1", record(State.UNRECEIPTED, {"nano_usd": 300}, receipt=receipt))

    assert (view.settled and view.settled.nano_usd) == 300
    assert view.receipted is None
    assert view.receipt == receipt


def test_the_outcome_tells_ids_that_were_not_noted_before() -> None:
    outcome = {"nano_usd": 300, "generation_ids": ["gen_2", "gen_3"]}

    view = call_view("call_1", record(State.SETTLED, outcome))

    assert view.generation_ids == ["gen_1", "gen_2", "gen_3"]
    assert view.generation_id == "gen_1"


def test_a_ghost_is_told_from_calls() -> None:
    ghost = replace(
        record(State.SETTLED, {"nano_usd": 300}),
        data=json.dumps({"provider": "sim", "team": None, "ghost": "row", "ghost_id": "r:1"}),
    )

    view = call_view("ghost-sim-1", ghost)

    assert (view.ghost, view.team, view.dialect) == ("row", None, None)


@pytest.mark.parametrize("state", [State.RELEASED, State.EXPIRED])
def test_a_call_that_was_never_metered_has_no_metered_amount(state: State) -> None:
    row = call_row("call_1", record(state, {"reason": "the provider refused"}))

    assert row.settled is None
    assert row.usage == {}


def test_a_call_that_was_released_before_it_was_reserved_says_little() -> None:
    bare = CallRecord(
        state=State.RELEASED,
        reservation=Reservation(call_id="call_1", at_ms=0, charges=()),
        charged=(),
        data="{}",
        outcome="{}",
        generation_ids=(),
    )

    view = call_view("call_1", bare)

    assert (view.team, view.charges, view.generation_id) == (None, [], None)


def test_a_refused_call_is_shown_from_the_journal() -> None:
    entry = Entry(id="1-0", kind="refused", call_id="call_1", at_ms=0, data=json.dumps(DATA))

    row = refused_row(entry)

    assert (row.state, row.team, row.settled) == ("refused", "red", None)
    assert (row.quoted and row.quoted.nano_usd) == 500


def test_what_is_no_object_says_nothing() -> None:
    entry = Entry(id="1-0", kind="refused", call_id="call_1", at_ms=0, data="[]")

    assert refused_row(entry).team is None


# --- Calls of the archive ---


def line(**fields: Any) -> CallLine:
    made = dict.fromkeys(CallLine.__dataclass_fields__)
    said = {"number": 1, "call_id": "call_1", "at_ms": 0, "state": "settled", "streamed": True}
    texts = dict.fromkeys(("team", "key_id", "provider", "model", "dialect"), "")
    return CallLine(**{**made, **said, **texts, **fields})


def entry(kind: str, data: object, moves: object = (), checks: object = None) -> ChainedEntry:
    return ChainedEntry(
        number=1,
        stream_id="1-0",
        at_ms=0,
        version=1,
        kind=kind,
        call_id="call_1",
        data=json.dumps(data),
        moves=json.dumps(moves),
        checks=None if checks is None else json.dumps(checks),
    )


CHECKS = [["all", "", "USD", "all::", "fixed", 0, 0, 0, 500, 500, 9_000, "enforce", 0, 0]]


def test_what_nobody_said_is_null_though_the_archive_has_an_empty_text() -> None:
    row = line_row(line(usage='{"input_tokens": 5, "note": "x"}', quoted_nano_usd=7))

    assert (row.team, row.user, row.key_id, row.model, row.dialect) == (None,) * 5
    assert row.usage == {"input_tokens": 5}
    assert (row.quoted and row.quoted.nano_usd, row.settled) == (7, None)


def test_a_life_is_told_from_its_entries() -> None:
    life = CallLife(
        line=line(state="receipted", ended_ms=60_000),
        entries=(
            entry("admitted", DATA, [["all::", "USD", 0, 500, 0, 500, 0]], CHECKS),
            entry("settle", {"nano_usd": 300}, [["all::", "USD", 300, -500, 9_300, 0, 0]]),
            entry("receipt", {"nano_usd": 310}, [["all::", "USD", 10, 0, 9_310, 0, 0]]),
        ),
    )

    view = life_view(life)

    assert (view.quote, view.outcome, view.receipt) == (
        {"nano_usd": 500},
        {"nano_usd": 300},
        {"nano_usd": 310},
    )
    assert view.charges[0].charged == {"nano_usd": 310, "usd": "0.00000031"}
    assert view.ended_at == "1970-01-01T00:01:00Z"


@pytest.mark.parametrize(("state", "charged"), [("reserved", False), ("expired", True)])
def test_a_call_in_flight_is_charged_nothing_yet(state: str, charged: bool) -> None:
    first = entry("admitted", DATA, [["all::", "USD", 0, 500, 0, 500, 0]], CHECKS)

    view = life_view(CallLife(line=line(state=state), entries=(first,)))

    assert (view.charges[0].charged is not None) is charged


def test_of_a_life_whose_beginning_retention_has_dropped_the_rest_is_told() -> None:
    late = entry("give_up", {"given_up": "late"})

    view = life_view(CallLife(line=line(generation_id="gen_1"), entries=(late,)))

    assert (view.quote, view.charges, view.generation_ids) == (None, [], ["gen_1"])
    assert view.receipt == {"given_up": "late"}


def test_what_came_to_light_late_says_most() -> None:
    entries = (entry("expire", {"reason": "gone"}), entry("settle", {"nano_usd": 3}))

    assert life_view(CallLife(line=line(), entries=entries)).outcome == {"nano_usd": 3}
