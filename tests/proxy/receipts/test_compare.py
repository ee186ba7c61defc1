"""What a receipt changes: amounts, kept units, sums; and what is not believed."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.budgets import Budget
from policies.call_ids import new_call_id
from policies.ledger.interface import Ask, CallRecord
from policies.money import EXACT_MAX
from policies.reservations import State
from policies.units import CALLS, INPUT_TOKENS, OUTPUT_TOKENS, TOKENS, USD
from policies.usage import Usage
from policies.windows import Lifetime
from proxy.receipts.compare import METERING, Adjustment, adjust, day_name, known, without_receipt
from proxy.receipts.receipt import Final, SetAside
from tests.doubles.calls import reservation_of
from tests.doubles.fake_clock import NOON_MS

SETTLED: dict[str, Any] = {
    "certainty": "exact",
    "nano_usd": 700,
    "usage": [{"model": None, "input_tokens": 30, "output_tokens": 12}],
    "service_tier": "flex",
    "generation_ids": ["gen-b", "gen-c"],
}
DATA: dict[str, Any] = {
    "provider": "acme",
    "model": "acme/mini",
    "quote": {"nano_usd": 500, "bound_nano_usd": 1_000},
}
TOKEN_UNITS = frozenset({TOKENS, INPUT_TOKENS, OUTPUT_TOKENS})
#: 13:00 in UTC.
TODAY = "sums:2026-11-23"


def record(
    state: State = State.SETTLED,
    *,
    charged: dict[str, int] | None = None,
    data: dict[str, Any] | str = DATA,
    receipt: str = "",
    **outcome: Any,
) -> CallRecord:
    charges = {USD: 700} if charged is None else charged
    asks = [
        Ask(
            budget=Budget(name=unit, unit=unit, limit=10**12, window=Lifetime()),
            subject="",
            held=amount,
            bound=amount,
        )
        for unit, amount in charges.items()
    ]
    said = {} if state is State.EXPIRED else {**SETTLED, **outcome}
    return CallRecord(
        state=state,
        reservation=reservation_of("a", asks),
        charged=tuple(charges.values()),
        data=data if isinstance(data, str) else json.dumps(data),
        outcome=json.dumps(said),
        receipt=receipt,
        ended_ms=NOON_MS,
        generation_ids=("gen-a", "gen-b"),
    )


def adjusted(found: CallRecord, receipt: Final, factor: int = 100) -> Adjustment | SetAside:
    return adjust(found, known(found), receipt, source="look-up", absurd_factor=factor)


def booked(found: CallRecord, receipt: Final) -> Adjustment:
    adjustment = adjusted(found, receipt)
    assert isinstance(adjustment, Adjustment), adjustment
    return adjustment


# What is known…


def test_what_a_record_says_of_a_call() -> None:
    call = known(record())

    assert (call.provider, call.model, call.service_tier) == ("acme", "acme/mini", "flex")
    assert (call.metered_nano_usd, call.bound_nano_usd, call.exact) == (700, 1_000, True)
    assert call.usage == Usage(input_tokens=30, output_tokens=12)


def test_ids_are_noted_ones_first_and_each_once() -> None:
    assert known(record()).generation_ids == ("gen-a", "gen-b", "gen-c")


def test_of_a_call_that_nobody_saw_end_only_its_reservation_is_known() -> None:
    call = known(record(State.EXPIRED, charged={USD: 1_000}))

    assert (call.certainty, call.metered_nano_usd, call.exact) == ("", None, False)
    assert (call.generation_ids, call.usage) == (("gen-a", "gen-b"), Usage())


@pytest.mark.parametrize("certainty", ["at_least", "unknown", "unpriced", ""])
def test_only_exact_usage_is_exact(certainty: str) -> None:
    assert not known(record(certainty=certainty)).exact


def test_usage_of_several_models_is_one_sum() -> None:
    lines = [
        {"model": "x", "input_tokens": 1, "cache_read_tokens": 2, "made_up": 9},
        {"model": None, "input_tokens": 3, "output_tokens": 4},
    ]

    found = known(record(usage=lines)).usage

    assert found == Usage(input_tokens=4, cache_read_tokens=2, output_tokens=4)


def test_money_in_an_outcome_stays_exact() -> None:
    told = known(record(reported_cost={"USD": 0.1})).outcome["reported_cost"]["USD"]

    assert told == Decimal("0.1")


@pytest.mark.parametrize("data", ["{}", "", "[]", '{"provider":null,"model":null,"quote":null}'])
def test_a_record_that_says_nothing_is_read(data: str) -> None:
    call = known(record(data=data, charged={}))

    assert (call.provider, call.model) == ("", "")


# What is booked…


def test_a_receipt_is_booked_at_what_was_billed() -> None:
    found = booked(record(), Final(nano_usd=1_008, currency="USD", generation_id="gen-a"))

    assert found.amounts.nano_usd == 1_008
    assert found.amounts.of(CALLS) == 1
    assert found.difference_nano_usd == 308
    assert json.loads(found.outcome) == {
        "source": "look-up",
        "nano_usd": 1_008,
        "currency": "USD",
        "id": "gen-a",
        "settled_nano_usd": 700,
    }


def test_a_receipt_says_all_that_the_provider_said() -> None:
    receipt = Final(
        nano_usd=900,
        credits={"DIEM": 400},
        currency="DIEM+USD",
        usage=Usage(input_tokens=31, output_tokens=12),
        breakdown=(("input", 500), ("output", 400)),
    )

    outcome = json.loads(booked(record(), receipt).outcome)

    assert outcome["credits"] == {"DIEM": 400}
    assert outcome["breakdown"] == [["input", 500], ["output", 400]]
    assert outcome["usage"] == {"input_tokens": 31, "output_tokens": 12}
    assert outcome["usage_differs"] is True


def test_a_receipt_of_nothing_is_booked_too() -> None:
    found = booked(record(), Final(nano_usd=0))

    assert (found.amounts.nano_usd, found.difference_nano_usd) == (0, -700)


def test_credits_of_the_receipt_are_the_truth_also_where_there_are_none() -> None:
    assert booked(record(), Final(nano_usd=9, credits={"DIEM": 9})).amounts.of("DIEM") == 9
    assert booked(record(), Final(nano_usd=9)).amounts.of("DIEM") == 0


def test_tokens_of_a_whole_answer_stay_as_the_answer_said() -> None:
    found = booked(record(), Final(nano_usd=1, usage=Usage(input_tokens=99, output_tokens=99)))

    assert found.keep == TOKEN_UNITS
    assert found.usage_differs


def test_the_same_tokens_in_other_parts_do_not_differ() -> None:
    usage = Usage(input_tokens=10, cache_read_tokens=20, output_tokens=12, reasoning_tokens=5)

    assert not booked(record(), Final(nano_usd=1, usage=usage)).usage_differs


@pytest.mark.parametrize("certainty", ["at_least", "unknown", "unpriced"])
def test_tokens_of_a_cut_answer_are_corrected(certainty: str) -> None:
    usage = Usage(input_tokens=10, cache_read_tokens=20, output_tokens=40)

    found = booked(record(certainty=certainty), Final(nano_usd=1, usage=usage))

    assert found.keep == frozenset()
    assert (found.amounts.input_tokens, found.amounts.output_tokens) == (30, 40)
    assert not found.usage_differs
    assert found.difference_nano_usd is None


@pytest.mark.parametrize("state", [State.SETTLED, State.EXPIRED])
def test_tokens_are_kept_where_the_receipt_tells_none(state: State) -> None:
    assert booked(record(state, certainty="unknown"), Final(nano_usd=1)).keep == TOKEN_UNITS


# What is not believed…


@pytest.mark.parametrize(
    "receipt",
    [
        Final(nano_usd=-1),
        Final(nano_usd=EXACT_MAX + 1),
        Final(nano_usd=1, credits={"DIEM": -1}),
        Final(nano_usd=1, credits={"USD2": 1, "DIEM": EXACT_MAX + 1}),
    ],
)
def test_what_cannot_be_counted_is_set_aside(receipt: Final) -> None:
    assert isinstance(adjusted(record(), receipt), SetAside)


@pytest.mark.parametrize(
    ("found", "most"),
    [
        # Cents are never absurd.
        (record(), 100 * 10_000_000),
        (record(data={**DATA, "quote": {"bound_nano_usd": 10**9}}), 100 * 10**9),
        # Metered, or charged, above the bound.
        (record(nano_usd=2 * 10**9), 100 * 2 * 10**9),
        (record(State.EXPIRED, charged={USD: 3 * 10**9, CALLS: 1}), 100 * 3 * 10**9),
        # Another unit is no money.
        (record(charged={TOKENS: 10**12}), 100 * 10_000_000),
        # Nobody knew the price: unknown is not zero, and still there is a bound.
        (record(data={"provider": "acme", "model": "new"}), 1_000 * 10**9),
    ],
)
def test_an_absurd_amount_is_set_aside(found: CallRecord, most: int) -> None:
    assert isinstance(adjusted(found, Final(nano_usd=most)), Adjustment)

    aside = adjusted(found, Final(nano_usd=most + 1))
    assert isinstance(aside, SetAside)
    assert "absurd_factor" in aside.reason


def test_what_is_absurd_is_a_setting() -> None:
    assert isinstance(adjusted(record(), Final(nano_usd=20_000_001), factor=2), SetAside)
    assert isinstance(adjusted(record(), Final(nano_usd=20_000_001), factor=3), Adjustment)


# Sums…


def test_a_receipt_adds_up_by_model_and_by_minute() -> None:
    tally = booked(record(), Final(nano_usd=1_008)).tally

    assert (tally.provider, tally.name) == ("acme", TODAY)
    assert dict(tally.counts) == {
        "acme/mini|receipted": 1,
        "acme/mini|billed": 1_008,
        "acme/mini|metered": 700,
        "acme/mini|compared": 1,
        "acme/mini|compared_metered": 700,
        "acme/mini|compared_billed": 1_008,
        "@1300|billed": 1_008,
        "@1300|calls": 1,
    }


def test_what_was_metered_again_is_no_bill_of_the_account() -> None:
    found = record(certainty="at_least")
    receipt = Final(nano_usd=50)

    metered = adjust(found, known(found), receipt, source=METERING, absurd_factor=100)

    assert isinstance(metered, Adjustment)
    assert dict(metered.tally.counts) == {
        "acme/mini|receipted": 1,
        "acme/mini|billed": 50,
        "acme/mini|metered": 700,
    }


@pytest.mark.parametrize(("came_ms", "minute"), [(-120_000, "@1258"), (0, "@1300"), (1, "@1300")])
def test_a_call_that_was_reserved_late_counts_when_it_came_in(came_ms: int, minute: str) -> None:
    found = record()
    call_id = new_call_id(NOON_MS + came_ms)
    late = replace(found, reservation=replace(found.reservation, call_id=call_id))

    counts = dict(booked(late, Final(nano_usd=5)).tally.counts)

    assert counts[f"{minute}|calls"] == 1


def test_what_was_not_metered_exactly_is_not_compared() -> None:
    cut = dict(booked(record(certainty="at_least"), Final(nano_usd=9)).tally.counts)
    expired = dict(booked(record(State.EXPIRED), Final(nano_usd=9)).tally.counts)

    assert cut["acme/mini|metered"] == 700
    assert "acme/mini|metered" not in expired
    assert "acme/mini|compared" not in {*cut, *expired}


@pytest.mark.parametrize("never", [True, False])
def test_a_call_without_a_receipt_adds_up_too(never: bool) -> None:
    outcome, tally = without_receipt(record(), known(record()), "why", never=never)

    assert json.loads(outcome) == {"never" if never else "given_up": "why"}
    assert (tally.provider, tally.name) == ("acme", TODAY)
    word = "never" if never else "unreceipted"
    assert dict(tally.counts) == {f"acme/mini|{word}": 1, "acme/mini|metered": 700}


@pytest.mark.parametrize("never", [True, False])
@given(billed=st.integers(0, 10**9))
def test_a_call_that_was_given_up_and_billed_after_all_adds_up_to_one_that_was_not(
    never: bool, billed: int
) -> None:
    call, receipt = record(), Final(nano_usd=billed)
    outcome, first = without_receipt(call, known(call), "why", never=never)

    late = booked(record(State.UNRECEIPTED, receipt=outcome), receipt).tally

    sums: dict[str, int] = {}
    for name, count in (*first.counts, *late.counts):
        sums[name] = sums.get(name, 0) + count
    at_once = dict(booked(call, receipt).tally.counts)
    assert {name: count for name, count in sums.items() if count} == {
        name: count for name, count in at_once.items() if count
    }


@given(
    billed=st.integers(-(2**60), 2**60),
    credit=st.integers(-(2**60), 2**60),
    certainty=st.sampled_from(["exact", "at_least", "unknown", "unpriced"]),
)
def test_what_is_booked_can_be_counted_and_is_what_was_billed(
    billed: int, credit: int, certainty: str
) -> None:
    found = adjusted(record(certainty=certainty), Final(nano_usd=billed, credits={"DIEM": credit}))

    if isinstance(found, SetAside):
        assert billed < 0 or credit < 0 or billed > 10**9 or credit > EXACT_MAX
    else:
        assert found.amounts.nano_usd == billed
        assert found.amounts.of("DIEM") == credit
        assert 0 <= billed <= 10**9
        assert 0 <= credit <= EXACT_MAX


@pytest.mark.parametrize(
    ("at_ms", "name"),
    [(0, "sums:1970-01-01"), (86_399_999, "sums:1970-01-01"), (86_400_000, "sums:1970-01-02")],
)
def test_a_day_is_one_in_utc(at_ms: int, name: str) -> None:
    assert day_name(at_ms) == name
