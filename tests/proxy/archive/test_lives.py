"""A call's row says what the last of its entries left."""

from __future__ import annotations

import json

import pytest

from proxy.archive.contents import contents_of
from proxy.archive.lives import Call, after
from proxy.archive.stream import StreamEntry
from tests.doubles.fake_clock import NOON_MS
from tests.doubles.journal_rows import asked, check, entry, move, settled


def lived(*entries: StreamEntry) -> Call:
    call: Call | None = None
    for number, each in enumerate(entries, start=1):
        numbered = each.numbered(number)
        call = after(call, numbered, contents_of(numbered))
    assert call is not None
    return call


ADMITTED = entry("admitted", data=asked(), moves=[move(reserved=5)])
SETTLED = entry("settle", data=settled(), moves=[move(spent=3, reserved=-5)], at_ms=NOON_MS + 9)
EXPIRED = entry("expire", moves=[move(spent=5, reserved=-5)], at_ms=NOON_MS + 8)


def test_an_admitted_call_is_reserved() -> None:
    call = lived(ADMITTED)

    assert (call.state, call.team, call.user, call.key_id) == ("reserved", "red", "ann", "key_1")
    assert (call.provider, call.model, call.dialect) == ("venice", "small", "chat_completions")
    assert (call.streamed, call.quoted_nano_usd, call.charged_nano_usd) == (True, 5, None)
    assert (call.number, call.at_ms, call.month, call.ended_ms) == (1, NOON_MS, 0, None)
    assert json.loads(call.tags or "") == {"app": "chat"}


def test_a_refused_call_names_the_budget_that_refused_it() -> None:
    checks = [check(short=False), check("b:USD::x", short=True)]

    call = lived(entry("refused", data=asked(), checks=checks))

    assert (call.state, call.refused_by, call.ended_ms) == ("refused", "b", None)


def test_a_settled_call_has_its_amount_and_its_tokens() -> None:
    usage = [
        {"model": "a", "input_tokens": 1, "cache_read_tokens": 2, "output_tokens": 4},
        {"model": "b", "audio_input_tokens": 8, "audio_output_tokens": 16, "web_searches": 1},
    ]

    call = lived(ADMITTED, entry("settle", data=settled(usage=usage), at_ms=NOON_MS + 9))

    assert (call.state, call.settled_nano_usd, call.charged_nano_usd) == ("settled", 3, 3)
    assert (call.input_tokens, call.output_tokens) == (11, 20)
    assert json.loads(call.usage or "")["web_searches"] == 1
    assert (call.status, call.generation_id, call.ended_ms) == (200, "gen-1", NOON_MS + 9)
    assert call.entries == "1,2"


def test_a_released_call_cost_nothing() -> None:
    call = lived(ADMITTED, entry("release", data={"status": 429, "generation_ids": []}))

    assert (call.state, call.charged_nano_usd, call.status) == ("released", 0, 429)


def test_an_expired_call_is_charged_at_what_was_held() -> None:
    moves = [move(reserved=-5), move("c:USD::x", reserved=-7), move(unit="calls", reserved=-9)]

    assert lived(ADMITTED, entry("expire", moves=moves)).charged_nano_usd == 7


def test_an_expired_call_that_no_dollars_counted_is_charged_at_its_quote() -> None:
    moves = [move(unit="calls", reserved=-1)]

    assert lived(ADMITTED, entry("expire", moves=moves)).charged_nano_usd == 5


def test_a_late_settlement_corrects_an_expiry_and_the_end_stays() -> None:
    call = lived(ADMITTED, EXPIRED, SETTLED)

    assert (call.state, call.charged_nano_usd, call.ended_ms) == ("settled", 3, NOON_MS + 8)


def test_a_receipt_is_what_counts() -> None:
    call = lived(ADMITTED, SETTLED, entry("receipt", data={"nano_usd": 4}))

    assert (call.state, call.settled_nano_usd, call.receipted_nano_usd) == ("receipted", 3, 4)
    assert call.charged_nano_usd == 4
    assert (call.input_tokens, call.output_tokens) == (10, 20)


def test_a_receipt_that_counts_tokens_says_how_many() -> None:
    receipt = {"nano_usd": 4, "id": "gen-9", "usage": {"input_tokens": 7, "output_tokens": 8}}

    call = lived(ADMITTED, EXPIRED, entry("receipt", data=receipt))

    assert (call.input_tokens, call.output_tokens, call.generation_id) == (7, 8, "gen-9")


def test_without_a_receipt_the_metered_amount_stands() -> None:
    call = lived(ADMITTED, SETTLED, entry("give_up", data={"given_up": "nobody knows"}))

    assert (call.state, call.charged_nano_usd) == ("unreceipted", 3)


def test_a_call_that_was_refused_may_be_admitted_after_all() -> None:
    call = lived(entry("refused", data=asked(), checks=[check(short=True)]), ADMITTED)

    assert (call.state, call.number, call.refused_by, call.entries) == ("reserved", 2, None, "1,2")


def test_a_refusal_of_a_call_that_runs_changes_nothing() -> None:
    assert lived(ADMITTED, entry("refused", data=asked())).state == "reserved"


def test_a_call_that_redis_forgot_is_held_anew_in_its_old_place() -> None:
    call = lived(ADMITTED, SETTLED, ADMITTED)

    assert (call.state, call.number, call.charged_nano_usd) == ("reserved", 1, None)


def test_kinds_that_move_no_money_are_a_part_of_its_life() -> None:
    assert lived(ADMITTED, entry("would_refuse"), entry("restore")).entries == "1,2,3"


def test_the_list_of_entries_is_bounded() -> None:
    call = lived(ADMITTED, *[entry("would_refuse")] * 500)

    assert len(call.entries.split(",")) == 100


def test_an_end_without_its_beginning_makes_no_row() -> None:
    numbered = SETTLED.numbered(1)

    assert after(None, numbered, contents_of(numbered)) is None


@pytest.mark.parametrize("data", [[], "x", {"usage": 1, "generation_ids": 5, "status": "ok"}])
def test_an_outcome_that_cannot_be_read_leaves_the_quote(data: object) -> None:
    call = lived(ADMITTED, entry("settle", data=data))

    assert (call.state, call.settled_nano_usd, call.charged_nano_usd) == ("settled", None, 5)
    assert (call.status, call.usage) == (None, None)


def test_a_decision_that_cannot_be_read_is_a_call_of_nobody() -> None:
    call = lived(entry("admitted", data=[1]))

    assert (call.team, call.user, call.key_id, call.model, call.streamed) == (
        "",
        None,
        "",
        "",
        False,
    )


@pytest.mark.parametrize("status", [True, -1, 10**9, "200"])
def test_an_odd_status_is_none(status: object) -> None:
    assert lived(ADMITTED, entry("settle", data=settled(status=status))).status is None


def test_odd_counts_of_tokens_are_left_out_and_absurd_ones_bounded() -> None:
    usage = [{"input_tokens": -1, "output_tokens": 2**52, "cache_read_tokens": "7"}, "x"]

    call = lived(ADMITTED, entry("settle", data=settled(usage=usage)))

    assert (call.input_tokens, call.output_tokens) == (0, 10**12)
