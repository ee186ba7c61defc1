"""What the restoring scripts are given: one argument for each that their headers name."""

from __future__ import annotations

import json

from policies.ledger.interface import Ask, CallRecord, CounterRecord, Due
from policies.ledger.keys import Keys
from policies.ledger.restore_commands import restore_call, restore_counter
from policies.reservations import State
from tests.doubles.calls import MONTH, reservation_of

KEYS = Keys("acme")
RECORD = CallRecord(
    state=State.SETTLED,
    reservation=reservation_of("a", [Ask(budget=MONTH, subject="", held=5, bound=6)]),
    charged=(3,),
    data="{}",
    outcome='{"s":1}',
    generation_ids=("gen-1",),
    ended_ms=7,
)
DUE = Due(queue="p", after_ms=9)


def test_a_call_is_given_with_its_counters_and_the_states_before_it() -> None:
    command = restore_call(KEYS, RECORD, DUE, lease_ms=1, keep_ms=2)

    (charge,) = RECORD.reservation.charges
    assert command.keys[:4] == [
        KEYS.call("a"),
        KEYS.deadlines,
        KEYS.journal,
        KEYS.receipts("p", "due"),
    ]
    assert command.keys[4:] == [KEYS.counter(charge.counter), KEYS.subjects(charge.counter)]
    assert command.arguments[:6] == ["a", "settled", "reserved,expired", 1, 2, 9]
    assert json.loads(str(command.arguments[8]))[0][0] == charge.counter
    assert command.arguments[9:] == ["5", "6", "0", "3", '{"s":1}', "", '["gen-1"]', 7]


def test_a_call_that_waits_for_nothing_says_so() -> None:
    assert restore_call(KEYS, RECORD, None, lease_ms=1, keep_ms=2).arguments[5] == ""


def test_a_counter_is_given_with_its_buckets_in_order() -> None:
    record = CounterRecord(
        counter="b:USD:alice:rolling-60000",
        kind="rolling",
        length_ms=60_000,
        bucket_ms=1_000,
        overrun=2,
        buckets={9: 1, 8: 4},
    )

    command = restore_counter(KEYS, record)

    assert command.arguments[:9] == [
        record.counter,
        "USD",
        "alice",
        "rolling",
        60_000,
        1_000,
        0,
        2,
        0,
    ]
    assert command.arguments[9:] == [8, 4, 9, 1]
    assert command.keys[2] == KEYS.journal
